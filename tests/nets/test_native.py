"""The compiled kernels compute what the layers say, gradients too, whoever asks and on however many threads."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from unbraid.likelihoods import Bernoulli
from unbraid.models import SequentialVAE
from unbraid.nets import ConvDecoder, ConvTrunk, compute_as
from unbraid.nets._native import knows
from unbraid.objectives import ELBO
from unbraid.settings import Computation
from unbraid.types import Batch, Progress

CPU = torch.device("cpu")
NATIVE, HALF = Computation("native"), Computation("native", "bfloat16")
COMPILED, COMPILED_HALF = knows(NATIVE, (32,), CPU), knows(HALF, (32,), CPU)
needs_compiler = pytest.mark.skipif(not COMPILED, reason="no C compiler here")
SHAPES = {  # channels, widths: the paper's, in colour, narrower, unequal, as small as possible, many channels
    "64": (1, (32, 32, 64, 64)),
    "64 in colour": (3, (32, 32, 64, 64)),
    "32": (1, (32, 64, 64)),
    "16": (2, (48, 16)),
    "8": (1, (16,)),
    "wide": (17, (16, 80, 16)),
}


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def network(kind, shape):
    channels, widths = SHAPES[shape]
    torch.manual_seed(0)
    return ConvTrunk(channels, widths, 64) if kind == "trunk" else ConvDecoder(5, channels, widths, 64, offset=0.3)


def given(net, batch):
    shape = net.shape if isinstance(net, ConvTrunk) else (net.latents,)
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(1)).requires_grad_()


def outcome(net, x, computation, **changed):
    """What the network gives, and the gradients of its input and weights."""
    compute_as(net, computation)
    assert net.computation == computation
    output = net(x)
    weights = torch.randn(output.shape, generator=torch.Generator().manual_seed(2))
    return [output.detach(), *torch.autograd.grad((output * weights).sum(), [x, *net.parameters()])]


def worst(found, expected):
    """Largest difference of each pair in terms of the largest number expected."""
    assert [x.shape for x in found] == [x.shape for x in expected]
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(found, expected, strict=True))


@needs_compiler
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["trunk", "decoder"])
def test_native_is_plain_up_to_rounding(kind, shape, batch, threads):
    net = network(kind, shape)
    x = given(net, batch)
    assert worst(outcome(net, x, NATIVE), outcome(net, x, Computation())) < 1e-5


@needs_compiler
@pytest.mark.parametrize("kind", ["trunk", "decoder"])
def test_native_gives_the_same_bits_again_and_recomputed(kind, threads):
    net = network(kind, "64")
    x = given(net, 6)
    first = outcome(net, x, NATIVE)
    for computation in (NATIVE, Computation("native", recompute=True)):
        assert all(map(torch.equal, outcome(net, x, computation), first))


@needs_compiler
def test_rounding_errors_are_no_larger_than_those_of_plain():
    """Winograd's products are of sums; against double precision they err as much as the plain ones, within a factor."""
    net = network("trunk", "64")
    x = given(net, 8)
    native, plain = outcome(net, x, NATIVE), outcome(net, x, Computation())
    exact = outcome(net.double(), x.detach().double().requires_grad_(), Computation())
    assert worst(native, exact) < 3 * worst(plain, exact)


@needs_compiler
@pytest.mark.parametrize("kind", ["trunk", "decoder"])
def test_what_asks_for_no_gradient_gets_none(kind):
    net = network(kind, "32")
    compute_as(net, NATIVE)
    x = given(net, 3).detach()
    assert net(x).requires_grad
    with torch.no_grad():
        expected = net.layers(x)
        torch.testing.assert_close(net(x), expected, rtol=1e-4, atol=1e-5)
    net(x).sum().backward()
    assert x.grad is None
    assert all(weight.grad is not None for weight in net.parameters())


@needs_compiler
@pytest.mark.parametrize("kind", ["trunk", "decoder"])
def test_inputs_may_lie_in_any_order(kind):
    net = network(kind, "32")
    x = given(net, 4).detach()
    turned = x.to(memory_format=torch.channels_last) if x.ndim == 4 else x.T.contiguous().T
    compute_as(net, NATIVE)
    assert torch.equal(net(turned), net(x))


@needs_compiler
@pytest.mark.parametrize("kind", ["trunk", "decoder"])
def test_not_a_number_stays_one(kind):
    """Else a run that has diverged would go on as if nothing had happened."""
    net = network(kind, "32")
    compute_as(net, NATIVE)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(torch.nan)
    assert net(given(net, 2)).isnan().all()


@needs_compiler
def test_double_precision_is_left_to_the_layers():
    net = network("trunk", "32").double()
    compute_as(net, NATIVE)
    x = given(net, 2).detach().double()
    assert torch.equal(net(x), net.layers(x))


@needs_compiler
@pytest.mark.parametrize(
    "spoil",
    [
        lambda net, x: (net, x[:, :1]),
        lambda net, x: (net, x[..., :8]),
        lambda net, x: (net.double(), x),
        lambda net, x: (net.bfloat16(), x),
    ],
    ids=["channels", "side", "double weights", "bfloat16 weights"],
)
def test_what_does_not_fit_is_refused_as_the_layers_do(spoil):
    """The kernels would read beyond it, or take its bits for other numbers."""
    net, x = spoil(ConvTrunk(2, (32, 32), 8), torch.rand(2, 2, 16, 16))
    compute_as(net, NATIVE)
    with pytest.raises(RuntimeError, match=r"expected input|Kernel size|same"):
        net(x)


@needs_compiler
@pytest.mark.parametrize("kind", ["trunk", "decoder"])
def test_other_sides_devices_and_transformations_are_left_to_the_layers(kind):
    net = network(kind, "32")
    compute_as(net, NATIVE)
    x = given(net, 2).detach()
    torch.testing.assert_close(torch.func.vmap(net)(x[None])[0], net.layers(x), rtol=1e-4, atol=1e-5)
    if kind == "trunk":
        wider = torch.nn.functional.pad(x, (0, 3, 0, 3))
        assert torch.equal(net(wider), net.layers(wider))
    assert net.to("meta")(x.to("meta")).device.type == "meta"


@needs_compiler
@pytest.mark.parametrize("kind", ["trunk", "decoder"])
def test_defaults_of_the_caller_change_nothing(kind):
    net = network(kind, "32")
    x = given(net, 2)
    expected = outcome(net, x, NATIVE)
    weights = torch.randn(expected[0].shape, generator=torch.Generator().manual_seed(2))
    try:
        torch.set_default_dtype(torch.float64)
        with torch.device("meta"):
            output = net(x)
            found = torch.autograd.grad((output * weights).sum(), [x, *net.parameters()])
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(map(torch.equal, [output, *found], expected))


@needs_compiler
def test_a_second_derivative_is_refused():
    """Else it would silently be taken for zero."""
    net = network("trunk", "32")
    compute_as(net, NATIVE)
    x = given(net, 2)
    (gradient,) = torch.autograd.grad(net(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.square().sum().backward()


@needs_compiler
@pytest.mark.parametrize("switches", [(False, False), (False, True), (True, False), (True, True)])
def test_every_pass_has_the_same_gradients(switches):
    torch.manual_seed(0)
    model = SequentialVAE(ConvTrunk(1, (32, 64)), ConvDecoder(4, 1, (32, 64)), Bernoulli(), *switches)
    batch = Batch(torch.rand(8, 1, 16, 16))
    found = []
    for computation in (NATIVE, Computation()):
        compute_as(model, computation)
        loss = ELBO()(model(batch, torch.Generator().manual_seed(3)), batch, Progress()).loss
        found.append([loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))])
    assert worst(*found) < 1e-5


@pytest.mark.skipif(not COMPILED_HALF, reason="no C compiler, or no bfloat16 instructions, here")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["trunk", "decoder"])
def test_bfloat16_errs_as_the_layers_do_in_bfloat16(kind, shape):
    net = network(kind, shape)
    x = given(net, 16)
    expected = outcome(net, x, Computation())
    native, plain = (missed(outcome(net, x, each), expected) for each in (HALF, Computation("plain", "bfloat16")))
    assert all(mine < 2 * theirs + 1e-3 for mine, theirs in zip(native, plain, strict=True))
    assert max(native) < 0.02


def missed(found, expected):
    """One minus the cosine of each pair."""
    assert all(part.dtype == torch.float32 for part in found)
    pairs = zip(found, expected, strict=True)
    return [1 - nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0).item() for a, b in pairs]


def test_widths_without_vectors_are_not_known():
    assert not knows(NATIVE, (32, 24), CPU)
    assert not knows(NATIVE, (32,), torch.device("meta"))
    net = ConvTrunk(1, (24, 32))
    compute_as(net, NATIVE)
    assert net.computation == Computation("reformulated")


def which(folder, compiler="cc"):
    """The kernels that a new process takes with this cache folder."""
    code = """if 1:
        import torch
        from unbraid.nets import ConvTrunk, compute_as
        from unbraid.settings import Computation
        net = ConvTrunk(1, (32,), 8)
        compute_as(net, Computation("native"))
        print(net.computation.kernels, torch.allclose(net(x := torch.rand(2, 1, 8, 8)), net.layers(x), atol=1e-5))
    """
    environment = {**os.environ, "CC": compiler, "UNBRAID_CACHE": str(folder)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return ran.stdout.strip()


@pytest.mark.parametrize("compiler", ["/nowhere/cc", "false", "echo"], ids=["none", "failing", "makes nothing"])
def test_without_a_working_compiler_everything_works_as_before(compiler, tmp_path):
    assert which(tmp_path, compiler) == "reformulated True"


@needs_compiler
def test_damaged_kernels_are_compiled_again(tmp_path):
    assert which(tmp_path) == "native True"
    (file,) = tmp_path.glob("*.so")
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:1000])
    assert which(tmp_path) == "native True"
    assert file.stat().st_size == size


@needs_compiler
def test_a_cache_folder_is_not_needed(tmp_path):
    (tmp_path / "file").touch()
    assert which(tmp_path / "file" / "below") == "native True"


@needs_compiler
def test_compilers_may_have_flags_and_spaces_in_their_path(tmp_path):
    script = tmp_path / "my compiler"
    script.write_text('#!/bin/sh\nexec cc "$@"\n')
    script.chmod(0o755)
    assert which(tmp_path / "cache", f"'{script}' -g0") == "native True"


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("without", ["-mno-avx512f", "-mno-avx"])
def test_other_processors_get_the_same(without, tmp_path):
    """Kernels for shorter vectors, which every x86 processor has as well."""
    if os.uname().machine != "x86_64":
        pytest.skip("other processors have no such flag")
    environment = {**os.environ, "CC": f"cc {without}", "UNBRAID_CACHE": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "up_to_rounding"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
