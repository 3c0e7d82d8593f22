"""All pairs of shared and private draws, against their own direct evaluation and against exact evidence."""

import math

import numpy as np
import pytest
import torch
from torch import distributions

from unbraid.likelihoods import Bernoulli, Gaussian, IgnoreMissing, Likelihood
from unbraid.metrics import PairedWeights, log_evidence
from unbraid.models import CPVAE, Add, Combination, SequentialVAE, log_weights, paired_log_weights, pairs_apply
from unbraid.models._proposals import proposal_of
from unbraid.nets import MaskedTrunk, MLPDecoder, MLPTrunk
from unbraid.settings import Computation
from unbraid.types import Batch

NAMES, SIZE, VARIANCE = ("a", "b", "c"), 6, 0.3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cpvae(likelihood: Likelihood, masked: bool = False, combine: Combination | None = None) -> CPVAE:
    torch.manual_seed(1)
    trunk = MaskedTrunk(MLPTrunk(2 * SIZE, (8,))) if masked else MLPTrunk(SIZE, (8,))
    own = [MLPDecoder(2, SIZE, (8,)) for _ in NAMES]
    return CPVAE(trunk, MLPDecoder(3, SIZE, (8,)), own, likelihood, NAMES, combine).eval()


def data(missing: bool = False) -> Batch:
    x = torch.randn(7, SIZE, generator=generator(3))
    if missing:
        x[0, 0] = x[3, 2] = x[3, 3] = torch.nan
    return Batch(x)


MODELS = {
    "fixed variance": lambda: (cpvae(Gaussian(0.5)), data()),
    "learned, small variance": lambda: (cpvae(Gaussian(0.001, True)), data()),
    "missing values": lambda: (cpvae(IgnoreMissing(Gaussian(0.5)), True), data(True)),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_pair_weighs_what_it_weighs_alone(name):
    model, batch = MODELS[name]()
    found = paired_log_weights(model, batch, 5, 4, generator(), widen=1.2)
    assert found.shape == (7, 3, 5, 4)
    assert found.dtype == torch.float64
    proposal = proposal_of(model, batch.x, 1.2)
    z, *private = proposal.draw(proposal.noise(5, 4, generator=generator()))
    model = model.double()
    for k, t in enumerate(private):
        for i in range(5):
            for j in range(4):
                parts = (
                    model.shared_decoder(z.latents[:, i].double()),
                    model.private_decoders[k](t.latents[:, j].double()),
                )
                fit = model.likelihood.log_prob(batch.x.double(), model.combine(*parts))
                expected = fit + z.log_weights[:, i] + t.log_weights[:, j]
                torch.testing.assert_close(found[:, k, i, j], expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_neither_chunks_nor_batches_change_the_draws(name):
    model, batch = MODELS[name]()
    whole = paired_log_weights(model, batch, 8, 6, generator(), memory=2**30)
    for memory in (1, 500, 5_000):
        part = paired_log_weights(model, batch, 8, 6, generator(), memory=memory)
        torch.testing.assert_close(part, whole, rtol=1e-5, atol=1e-4)
    one = generator()
    parts = [paired_log_weights(model, Batch(batch.x[each]), 8, 6, one) for each in (slice(3), slice(3, 7))]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-5, atol=1e-4)
    assert not torch.equal(paired_log_weights(model, batch, 8, 6, generator(1)), whole)


def test_large_parts_that_cancel_lose_nothing():
    """Both decoders' outputs are large, their sum is not: in single precision the expansion would be off by nats."""
    model, batch = cpvae(Gaussian(0.01)), data()
    model.shared_decoder.last.bias.data += 300  # type: ignore[union-attr]
    for decoder in model.private_decoders:
        decoder.last.bias.data -= 300  # type: ignore[union-attr]
    found = paired_log_weights(model, batch, 5, 5, generator())
    proposal = proposal_of(model, batch.x, 1.0)
    z, t, *_ = proposal.draw(proposal.noise(5, 5, generator=generator()))
    parts = [
        decoder(each.latents.flatten(0, 1)).double().unflatten(0, (7, 5))
        for decoder, each in ((model.shared_decoder, z), (model.private_decoders[0], t))
    ]
    output = parts[0][:, :, None] + parts[1][:, None]
    normal = distributions.Normal(output, 0.1)
    expected = normal.log_prob(batch.x.double()[:, None, None]).sum(-1)
    expected = expected + z.log_weights[:, :, None] + t.log_weights[:, None]
    torch.testing.assert_close(found[:, 0], expected.detach(), rtol=1e-6, atol=1e-6)


def overlapping(wider: float = 2.5, apart: float = 0.1) -> tuple[CPVAE, list[torch.Tensor]]:
    """x ~ N(A z + B_k t, v I) with B_k nearly along A, so that z and t explain the same; a mean-field proposal."""
    rng = generator()
    shared = 1.5 * torch.linalg.qr(torch.randn(SIZE, 2, generator=rng).double())[0]
    own = [0.9 * shared + apart * torch.randn(SIZE, 2, generator=rng).double() for _ in NAMES]
    decoders = [MLPDecoder(2, SIZE, ()) for _ in range(4)]
    for decoder, loadings in zip(decoders, (shared, *own), strict=True):
        decoder.last.weight.data, decoder.last.bias.data = loadings.float(), torch.zeros(SIZE)
    model = CPVAE(MLPTrunk(SIZE, ()), decoders[0], decoders[1:], Gaussian(VARIANCE), NAMES)
    blocks = [torch.cat([shared, each], 1) for each in own]
    means = [torch.linalg.solve(b.T @ b / VARIANCE + torch.eye(4).double(), b.T / VARIANCE) for b in blocks]
    variance = 1 / (1 + 1.5**2 / VARIANCE)
    spread = torch.full((2,), math.log(variance) + 2 * math.log(wider))
    model.shared_head.weight.data = torch.cat([torch.stack([m[:2] for m in means]).mean(0), torch.zeros(2, SIZE)])
    model.private_head.weight.data = torch.cat([torch.cat([m[2:], torch.zeros(2, SIZE)]) for m in means])
    for head, count in ((model.shared_head, 1), (model.private_head, 3)):
        head.weight.data = head.weight.data.float()
        head.bias.data = torch.cat([torch.zeros(2), spread]).repeat(count).float()
    return model.eval(), blocks


def known(count: int) -> tuple[CPVAE, Batch, np.ndarray]:
    """A model, observations of it, and their exact log p(x), `[count, population]`."""
    model, blocks = overlapping()
    noise = VARIANCE * torch.eye(SIZE).double()
    normals = [distributions.MultivariateNormal(torch.zeros(SIZE).double(), b @ b.T + noise) for b in blocks]
    latents, errors = torch.randn(count, 4, generator=generator(5)), torch.randn(count, SIZE, generator=generator(6))
    x = torch.stack([latents.double() @ b.T for b in blocks], 1)[torch.arange(count), torch.arange(count) % 3]
    x = x + math.sqrt(VARIANCE) * errors.double()
    return model, Batch(x.float()), torch.stack([normal.log_prob(x) for normal in normals], 1).numpy()


def test_the_mean_weight_of_pairs_is_without_bias():
    model, batch, exact = known(4000)
    weights = paired_log_weights(model, batch, 16, 16, generator()).numpy()
    means = np.exp(weights - exact[..., None, None]).mean(axis=(2, 3))
    assert means.mean() == pytest.approx(1, abs=4 * means.mean(1).std() / math.sqrt(4000))


def test_errors_are_those_that_are_stated_although_pairs_depend_on_each_other():
    model, batch, exact = known(600)
    found = PairedWeights.of(paired_log_weights(model, batch, 96, 64, generator()).numpy()).evidence()
    distances = (found.value - exact) / found.error
    assert 0.05 < found.error.mean() < 0.5
    assert distances.mean() == pytest.approx(-found.error.mean() / 2, abs=0.12)
    assert distances.std() == pytest.approx(1, abs=0.1)
    assert (np.abs(distances) < 1.96).mean() == pytest.approx(0.95, abs=0.03)


def test_where_blocks_explain_the_same_pairs_do_the_work_of_more_draws():
    model, batch, exact = known(600)

    def missed(weights) -> float:
        return float(np.sqrt(((log_evidence(weights).value - exact) ** 2).mean()))

    pairs = missed(PairedWeights.of(paired_log_weights(model, batch, 16, 16, generator()).numpy()))
    assert pairs < missed(log_weights(model, batch, 64, generator()).numpy())


def test_every_network_runs_once_a_draw_of_its_own():
    model, batch = MODELS["fixed variance"]()
    rows = dict.fromkeys(("trunk", "shared", *NAMES), 0)

    def counting(name):
        def hook(module, inputs, output):
            rows[name] += len(output)

        return hook

    model.trunk.register_forward_hook(counting("trunk"))
    model.shared_decoder.register_forward_hook(counting("shared"))
    for name, decoder in zip(NAMES, model.private_decoders, strict=True):
        decoder.register_forward_hook(counting(name))
    paired_log_weights(model, batch, 9, 4, generator())
    assert rows == {"trunk": 7, "shared": 63, "a": 28, "b": 28, "c": 28}


def test_a_coarser_precision_is_for_that_call_alone_and_close():
    model, batch = MODELS["fixed variance"]()
    exact = paired_log_weights(model, batch, 8, 8, generator())
    coarse = paired_log_weights(model, batch, 8, 8, generator(), computation=Computation("plain", "bfloat16"))
    assert 0 < float((coarse - exact).abs().max()) < 0.5
    assert torch.equal(paired_log_weights(model, batch, 8, 8, generator()), exact)
    plain = log_weights(model, batch, 8, generator())
    coarse = log_weights(model, batch, 8, generator(), computation=Computation("plain", "bfloat16"))
    assert 0 < float((coarse - plain).abs().max()) < 0.5
    assert model.shared_decoder.computation == Computation()


class Scaled(Combination):
    """Another sum, which the expansion does not know."""

    neutral = 0.0

    def __call__(self, shared, private):
        return 2 * shared + private


REFUSED = {
    "squashed": lambda: cpvae(Gaussian(0.5, squash=True)),
    "Bernoulli": lambda: cpvae(Bernoulli()),
    "squashed, missing": lambda: cpvae(IgnoreMissing(Gaussian(0.5, squash=True)), True),
    "another combination": lambda: cpvae(Gaussian(0.5), combine=Scaled()),
    "VAE": lambda: SequentialVAE(MLPTrunk(SIZE), MLPDecoder(3, SIZE), Gaussian(0.5), False, False).eval(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_models_that_do_not_add_are_refused(name, as_a_user):
    model = REFUSED[name]()
    assert not pairs_apply(model)
    with pytest.raises(ValueError, match="expected a CPVAE with Add and a Gaussian"):
        paired_log_weights(model, data(), 4, 4, generator())


def test_what_cannot_be_is_refused(as_a_user):
    model, batch = MODELS["fixed variance"]()
    assert pairs_apply(model)
    assert pairs_apply(cpvae(Gaussian(0.5), combine=Add()))
    with pytest.raises(ValueError, match="at least 2 draws of each block, got 4 shared and 1 private"):
        paired_log_weights(model, batch, 4, 1, generator())
    with pytest.raises(ValueError, match="expected widen above 0"):
        paired_log_weights(model, batch, 4, 4, generator(), widen=0.0)
    with pytest.raises(ValueError, match="in evaluation mode"):
        paired_log_weights(model.train(), batch, 4, 4, generator())
