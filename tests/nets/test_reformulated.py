"""The reformulated convolutions and recomputation compute what the plain layers do, gradients included."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn import functional as F  # noqa: N812

from unbraid.data import Arrays
from unbraid.likelihoods import Bernoulli, Gaussian
from unbraid.models import Model, SequentialVAE
from unbraid.nets import ConvDecoder, ConvTrunk, Decoder, NormTrunk, ResidualNet, SkipDecoder, Trunk, compute_as
from unbraid.nets._reformulated import strided, upsampled
from unbraid.objectives import ELBO
from unbraid.randomness import seeded
from unbraid.settings import Computation, Kernels, Precision, Training
from unbraid.training import train
from unbraid.types import Batch, Progress

Net = Trunk | Decoder
PLAIN, DENSE = Computation("plain"), Computation("reformulated")
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}  # of the largest value of a tensor
PASSES = {"VAE": (False, False), "ResVAE": (False, True), "SeqVAE": (True, False), "SR-VAE": (True, True)}


def conv_pair(channels: int, side: int) -> tuple[Trunk, Decoder]:
    widths = (6, 5, 8, 4)[: {16: 2, 32: 3, 64: 4}[side]]
    return ConvTrunk(channels, widths, 12), ConvDecoder(3, channels, widths, 12, 0.3)


def norm_pair(channels: int, side: int) -> tuple[Trunk, Decoder]:
    shape = (channels, side, side)
    return NormTrunk(shape, (4, 6)), SkipDecoder(3, shape, (6, 5), 0.3)


def residual_alone(channels: int, side: int) -> tuple[Trunk]:
    return (ResidualNet((channels, side, side), 5, (4, 6)),)


NETS: dict[str, Callable[[], Net]] = {
    f"{kind} {name}, {channels} x {side}": lambda pair=pair, part=part, c=channels, s=side: pair(c, s)[part]
    for name, pair in {"conv": conv_pair, "norm": norm_pair}.items()
    for part, kind in enumerate(("trunk", "decoder"))
    for channels in (1, 3)
    for side in (16, 32, 64)
}
NETS |= {
    "norm trunk, odd": lambda: NormTrunk((1, 15, 14), (4, 3)),
    "norm trunk, 28": lambda: NormTrunk((1, 28, 28), (4, 3, 5)),
    "residual, odd": lambda: ResidualNet((1, 15, 14), 5, (4, 6)),
    "residual, 2 x 3 blocks": lambda: ResidualNet((3, 16, 16), 5, (4, 6, 6), 2),
    "skip decoder, not square": lambda: SkipDecoder(3, (2, 8, 12), (4, 6)),
    "conv trunk, one layer": lambda: ConvTrunk(2, (4,), 8),
    "conv decoder, one layer": lambda: ConvDecoder(3, 2, (4,), 8),
    "norm trunk, one layer": lambda: NormTrunk((1, 8, 8), (4,)),
    "skip decoder, one layer": lambda: SkipDecoder(3, (1, 8, 8), (4,)),
}
every_net = pytest.mark.parametrize("make", NETS.values(), ids=NETS)
few_nets = pytest.mark.parametrize("name", [name for name in NETS if "x" not in name or "3 x 16" in name])
every_kind = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])


@pytest.fixture(params=["library", "products"])
def ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """With oneDNN's convolutions where there are any, and as on a machine without."""
    before = torch.backends.mkldnn.set_flags(request.param == "library" and torch.backends.mkldnn.is_available())
    yield
    torch.backends.mkldnn.set_flags(*before[:1])


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def made(make: Callable[[], Net], dtype: torch.dtype = torch.float32) -> Net:
    with seeded(0):
        return make().to(dtype)


def inputs(net: Net, count: int = 3) -> Tensor:
    shape = (net.latents,) if isinstance(net, Decoder) else net.shape
    return torch.randn(count, *shape, generator=generator(), dtype=next(net.parameters()).dtype)


def results(net: Net, given: Tensor, computation: Computation, needs: bool = True) -> list[Tensor]:
    """Output, gradients and buffers, for a loss that is different for every output."""
    net = copy.deepcopy(net)
    compute_as(net, computation)
    assert net.computation == computation
    given = given.detach().requires_grad_(needs)
    out = net(given)
    (out * torch.randn(out.shape, generator=generator(), dtype=out.dtype)).sum().backward()
    found = [out, *(each.grad for each in (*net.parameters(), *([given] if needs else []))), *net.buffers()]
    assert all(each is not None for each in found)
    return found  # type: ignore[return-value]


def both(net: Net, tolerance: float, count: int = 3, needs: bool = True) -> None:
    """Compare the two ways."""
    found, expected = (results(net, inputs(net, count), way, needs) for way in (DENSE, PLAIN))
    check_close(found, expected, tolerance)


def check_close(found: Sequence[Tensor], expected: Sequence[Tensor], tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * scale)


@pytest.mark.usefixtures("ways")
@every_kind
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(8, 8), (6, 10), (7, 9), (2, 3)], ids=str)
@pytest.mark.parametrize("batch", [1, 5])
def test_one_layer_is_the_library_s(dtype, channels, size, batch):
    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draws, dtype=dtype).requires_grad_()

    draws = generator()
    x, bias = drawn(batch, channels, *size), drawn(4)
    down, up, flat = drawn(4, channels, 4, 4), drawn(channels, 4, 4, 4), drawn(channels, 1, 4, 4)
    for own, library, arguments in (
        (strided, F.conv2d, (x, down, bias)),
        (upsampled, F.conv_transpose2d, (x, up, bias)),
        (upsampled, F.conv_transpose2d, (x, flat, None)),
    ):
        needed = [each for each in arguments if each is not None]
        out, expected = own(*arguments), library(*arguments, stride=2, padding=1)
        weights = torch.randn(out.shape, generator=draws, dtype=dtype)
        gradients = [torch.autograd.grad(each, needed, weights) for each in (out, expected)]
        check_close([out, *gradients[0]], [expected, *gradients[1]], TOLERANCE[dtype])


@pytest.mark.usefixtures("ways")
@every_kind
@every_net
def test_networks_compute_the_same(make, dtype):
    both(made(make, dtype), TOLERANCE[dtype])


OLDER = """
import torch
from unbraid.nets import ResidualNet, compute_as
from unbraid.settings import Computation
torch.set_num_threads(1)
net, found = ResidualNet((3, 16, 16), 5, (4, 6, 6), 2), []
x = torch.randn(3, 3, 16, 16)
for way in 60 * ("plain", "reformulated"):
    compute_as(net, Computation(way))
    net.zero_grad()
    net(x).pow(2).sum().backward()
    found.append(torch.cat([each.grad.flatten() for each in net.parameters()]))
scale = found[0].abs().max()
assert all((each - found[0]).abs().max() < 1e-4 * scale for each in found)
"""


def test_few_channels_on_a_processor_without_avx512():
    """oneDNN's own kernel for the shortcuts would write past its buffers there: see `_Pixels`."""
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "MALLOC_CHECK_": "3"}
    done = subprocess.run([sys.executable, "-c", OLDER], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@few_nets
def test_evaluation_and_single_observations(name):
    net = made(NETS[name]).eval()
    for count in (1, 7):
        both(net, 1e-5, count, needs=False)


@few_nets
def test_any_layout_of_the_input(name):
    net = made(NETS[name])
    given = inputs(net)
    expected = results(net, given, PLAIN)
    layouts = [torch.stack([given, given], -1)[..., 0]]
    if given.ndim == 4:
        layouts += [given.contiguous(memory_format=torch.channels_last), given.transpose(2, 3).contiguous().mT]
    for layout in layouts:
        check_close(results(net, layout, DENSE), expected, 1e-5)


@few_nets
def test_frozen_weights_get_no_gradient(name):
    net = made(NETS[name]).requires_grad_(False)
    found = []
    for computation in (DENSE, PLAIN):
        compute_as(net, computation)
        given = inputs(net).requires_grad_()
        net(given).square().sum().backward()
        assert all(each.grad is None for each in net.parameters())
        assert given.grad is not None
        found.append(given.grad)
    check_close(found[:1], found[1:], 1e-5)


@few_nets
def test_weights_side_by_side_under_vmap(name):
    with seeded(0):
        nets = [NETS[name]() for _ in range(2)]
    given, found = torch.stack([inputs(nets[0]), 2 * inputs(nets[0])]), []
    ways = Computation("plain", recompute=True), DENSE, Computation("reformulated", recompute=True), PLAIN
    for computation in ways:
        weights, buffers = stack_module_state(nets)  # type: ignore[arg-type]
        compute_as(nets[0], computation)
        run = lambda *state: functional_call(nets[0], state[:2], state[2:])  # noqa: E731
        out = vmap(run)(weights, buffers, given)
        out.square().sum().backward()
        found.append([out, *(each.grad for each in weights.values()), *buffers.values()])
    for each in found[:-1]:
        check_close(each, found[-1], 1e-5)


@pytest.mark.parametrize("kernels", ["plain", "reformulated"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@few_nets
def test_recomputing_changes_no_bit(name, kernels, precision):
    net = made(NETS[name])
    kept, forgotten = (
        results(net, inputs(net), Computation(kernels, precision, recompute)) for recompute in (False, True)
    )
    for one, other in zip(kept, forgotten, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kernels", ["plain", "reformulated"])
@pytest.mark.parametrize("pair", [conv_pair, norm_pair, residual_alone])
def test_recomputing_keeps_less(pair, kernels):
    for net in pair(1, 64):
        kept = []
        for recompute in (False, True):
            compute_as(net, Computation(kernels, recompute=recompute))
            sizes: dict[int, int] = {}

            def pack(x: Tensor, sizes: dict[int, int] = sizes) -> Tensor:
                sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
                return x

            with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
                out = net(inputs(net))
            kept.append((sum(sizes.values()), out))
        assert kept[1][0] < 0.75 * kept[0][0]


@few_nets
def test_bfloat16_is_near(name):
    net = made(NETS[name])
    found, expected = (results(net, inputs(net), each) for each in (Computation("reformulated", "bfloat16"), PLAIN))
    assert [each.dtype for each in found] == [each.dtype for each in expected]
    for some in (slice(0, 1), slice(1, None)):  # output; gradients
        one, other = (torch.cat([each.flatten().float() for each in side[some]]) for side in (found, expected))
        assert F.cosine_similarity(one, other, dim=0) > 0.99


def conv_model(sequential: bool, skip: bool) -> Model:
    return SequentialVAE(*conv_pair(1, 32), Bernoulli(), sequential, skip)


def norm_model(sequential: bool, skip: bool) -> Model:
    return SequentialVAE(*norm_pair(3, 16), Gaussian(0.5), sequential, skip)


@pytest.mark.parametrize("model", [conv_model, norm_model])
@pytest.mark.parametrize("switches", PASSES.values(), ids=PASSES)
@every_kind
def test_losses_of_models_have_the_same_gradients(model, switches, dtype):
    with seeded(0):
        net = model(*switches).to(dtype)
    batch = Batch(torch.rand(5, *net.shape, generator=generator(), dtype=dtype))
    found = []
    for computation in (DENSE, Computation("reformulated", recompute=True), PLAIN):
        member = copy.deepcopy(net)
        compute_as(member, computation)
        loss = ELBO()(member(batch, generator()), batch, Progress()).loss
        loss.backward()
        found.append([loss.detach(), *(each.grad for each in member.parameters()), *member.buffers()])
    for dense in found[:2]:
        check_close(dense, found[2], TOLERANCE[dtype])


@pytest.fixture
def squares() -> Arrays:
    """Bright squares on a dark ground."""
    rng = np.random.default_rng(0)
    x = 0.1 * rng.random((40, 1, 16, 16))
    for image, row, column in zip(x, rng.integers(0, 12, 40), rng.integers(0, 12, 40), strict=True):
        image[0, row : row + 4, column : column + 4] += 0.8
    return Arrays(x)


def trained(
    data: Arrays, folder: Path, kernels: Kernels, precision: Precision = "float32", recompute: bool = False
) -> list[float]:
    with seeded(0):
        model = SequentialVAE(ConvTrunk(1, (8, 8), 16), ConvDecoder(3, 1, (8, 8), 16), Bernoulli())
    settings = Training(20, 8, 1e-3, log_every=1, kernels=kernels, precision=precision, recompute=recompute)
    run = train(model, ELBO(), data, folder, settings)
    recorded = json.loads((run.path / "run.json").read_text())
    assert recorded["training"]["kernels"] == kernels
    assert recorded["computation"] == {"kernels": kernels, "precision": precision, "recompute": recompute}
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line["split"] == "train"]


def test_training_takes_the_same_course(squares, tmp_path):
    plain = trained(squares, tmp_path / "plain", "plain")
    dense = trained(squares, tmp_path / "dense", "reformulated")
    again = trained(squares, tmp_path / "again", "reformulated", recompute=True)
    coarse = trained(squares, tmp_path / "coarse", "reformulated", "bfloat16")
    assert len(plain) == 20
    assert plain[-1] < plain[0]
    np.testing.assert_allclose(dense, plain, rtol=1e-5)
    assert again == dense
    np.testing.assert_allclose(coarse, plain, rtol=0.02)


def test_only_processors_are_reformulated():
    for net in (ConvTrunk(), ConvDecoder(), NormTrunk(), SkipDecoder(3), ResidualNet()):
        assert net.knows(DENSE, torch.device("cpu"))
        assert not net.knows(DENSE, torch.device("cuda"))
        assert net.knows(PLAIN, torch.device("cuda"))
        compute_as(net, DENSE, torch.device("cuda"))
        assert net.computation == PLAIN


def test_the_plain_layers_own_the_parameters():
    net = ConvTrunk(1, (4,), 8)
    names = list(net.state_dict())
    compute_as(net, DENSE)
    assert list(net.state_dict()) == names == [f"layers.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")]
    assert isinstance(net.layers, nn.Sequential)
