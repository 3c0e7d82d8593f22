"""Importance weights against exact evidence, against one call a draw, and whatever the chunks."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, distributions, nn

from unbraid.likelihoods import Bernoulli, Gaussian, IgnoreMissing, NegativeBinomial
from unbraid.metrics import LogEvidence, evidence, evidence_classification, log_evidence
from unbraid.models import CPVAE, Model, SequentialVAE
from unbraid.models.contrastive import ContrastiveVAE
from unbraid.models.evidence import _by_calls, log_weights
from unbraid.nets import MaskedTrunk, MLPDecoder, MLPTrunk
from unbraid.types import Batch, Normal

VARIANCE, SIZE, POPULATIONS = 0.3, 8, 3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Linear:
    """x ~ N(A z + B_k t + b, v I) for each population k, with what is known of it."""

    model: CPVAE
    loadings: list[Tensor]
    bias: Tensor

    def exact(self, x: Tensor) -> np.ndarray:
        """log p(x | k), `[n, population]`."""
        noise = VARIANCE * torch.eye(SIZE).double()
        normals = [distributions.MultivariateNormal(self.bias, block @ block.T + noise) for block in self.loadings]
        return torch.stack([normal.log_prob(x.double()) for normal in normals], dim=1).numpy()

    def draw(self, count: int, seed: int = 0) -> tuple[Tensor, np.ndarray]:
        """Observations of the model itself, and their populations."""
        rng = generator(seed)
        population = torch.arange(count) % POPULATIONS
        latents = torch.randn(count, 4, generator=rng).double()
        mean = torch.stack([latents @ block.T for block in self.loadings], 1)[torch.arange(count), population]
        x = mean + self.bias + math.sqrt(VARIANCE) * torch.randn(count, SIZE, generator=rng).double()
        return x.float(), population.numpy()

    def weights(self, x: Tensor, samples: int, seed: int = 0) -> np.ndarray:
        return log_weights(self.model, Batch(x), samples, generator(seed)).numpy()


def decoder(loadings: Tensor, bias: Tensor) -> MLPDecoder:
    made = MLPDecoder(loadings.shape[1], SIZE, ())
    made.last.weight.data, made.last.bias.data = loadings.float(), bias.float()
    return made


def solve(head: nn.Linear, blocks: list[Tensor], bias: Tensor, wider: float, shift: float) -> None:
    """The exact posteriors of blocks with orthogonal columns, their deviations multiplied and their means moved."""
    weights, biases = [], []
    for block in blocks:
        variance = 1 / (1 + block.square().sum(0) / VARIANCE)
        mean = variance[:, None] * block.T / VARIANCE
        weights += [mean, torch.zeros_like(mean)]
        biases += [-mean @ bias + shift * variance.sqrt(), variance.log() + 2 * math.log(wider)]
    head.weight.data, head.bias.data = torch.cat(weights).float(), torch.cat(biases).float()


def linear(wider: float = 1.0, shift: float = 0.0, private_shift: float | None = None) -> Linear:
    """All columns orthogonal, so that every posterior is diagonal; proposals as wrong as told, in deviations."""
    columns = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=generator()).double())[0] * torch.linspace(
        0.6, 1.6, SIZE
    )
    bias = torch.linspace(-1, 1, SIZE).double()
    shared, private = columns[:, :2], list(columns[:, 2:].split(2, dim=1))
    own = [decoder(block, torch.zeros(SIZE)) for block in private]
    model = CPVAE(MLPTrunk(SIZE, ()), decoder(shared, bias), own, Gaussian(VARIANCE), ("a", "b", "c"))
    solve(model.shared_head, [shared], bias, wider, shift)
    solve(model.private_head, private, bias, wider, shift if private_shift is None else private_shift)
    return Linear(model.eval(), [torch.cat([shared, block], 1) for block in private], bias)


def deviations(found: LogEvidence, exact: np.ndarray) -> np.ndarray:
    """Distances from the truth in standard errors, of observations under every population."""
    return (found.value - exact) / found.error


def test_the_exact_posterior_gives_the_evidence_with_every_draw():
    known = linear()
    x, _ = known.draw(60)
    weights = known.weights(x, 5)
    assert weights.shape == (60, POPULATIONS, 5)
    np.testing.assert_allclose(weights, np.broadcast_to(known.exact(x)[..., None], weights.shape), atol=2e-4)


def test_with_a_wrong_proposal_the_errors_are_those_that_are_stated():
    known = linear(wider=1.3, shift=0.5)
    x, _ = known.draw(900)
    found = log_evidence(known.weights(x, 1000))
    distances = deviations(found, known.exact(x))
    assert 0.02 < found.error.mean() < 0.1
    # a little below 0: the bias is half an error times an error
    assert distances.mean() == pytest.approx(-found.error.mean() / 2, abs=3 / math.sqrt(900))
    assert distances.std() == pytest.approx(1, abs=0.06)
    assert (np.abs(distances) < 1.96).mean() == pytest.approx(0.95, abs=0.02)


def test_the_bias_is_half_the_squared_error_and_falls_with_the_number_of_draws():
    known = linear(wider=1.3, shift=0.5)
    x, _ = known.draw(900)
    weights, exact = known.weights(x, 3200), known.exact(x)
    # of mean 0 and common to every split, so that its noise can be taken away
    luck = (np.exp(weights - exact[..., None]) - 1).mean()
    biases, stated = [], []
    for samples in (25, 100, 400):
        parts = weights.reshape(900, POPULATIONS, -1, samples)
        found = [log_evidence(parts[:, :, part]) for part in range(parts.shape[2])]
        biases.append(np.mean([each.value - exact for each in found]) - luck)
        stated.append(np.mean([-(each.error**2) / 2 for each in found]))
    assert biases[0] < biases[1] < biases[2] < 0
    assert biases[0] / biases[1] == pytest.approx(4, rel=0.15)
    assert biases[1] / biases[2] == pytest.approx(4, rel=0.15)
    np.testing.assert_allclose(biases, stated, rtol=0.15)


@pytest.mark.parametrize(("wider", "shift"), [(1.0, 0.0), (1.3, 0.5)])
def test_classification_reaches_the_bayes_rate(wider, shift):
    known = linear(wider, shift)
    x, population = known.draw(1500)
    exact = known.exact(x)
    best = evidence_classification(exact[..., None], population)
    ours = evidence_classification(known.weights(x, 100), population)
    assert ours.interval is not None
    # the Bayes rate: the mean probability of the class that is most probable, which is what the exact rule gets
    rate = best.detail["confidence"]
    assert isinstance(rate, float)
    assert ours.interval[0] < rate < ours.interval[1]
    disagreeing = (log_evidence(known.weights(x, 100)).value.argmax(1) != exact.argmax(1)).sum()
    uncertain = ours.detail["uncertain"]
    assert isinstance(uncertain, int)
    assert disagreeing <= uncertain
    assert abs(ours.value - best.value) * len(x) <= disagreeing


def test_a_known_prior_moves_decisions_as_bayes_rule_says():
    known = linear()
    x, population = known.draw(1500)
    kept = (population == 0) | (np.arange(1500) % 5 == 0)
    counts = np.bincount(population[kept]) / kept.sum()
    uniform = evidence_classification(known.weights(x[kept], 2), population[kept])
    given = evidence_classification(known.weights(x[kept], 2), population[kept], tuple(counts.tolist()))
    assert given.value > uniform.value


@pytest.mark.parametrize(
    ("wrong", "noted"),
    [({"wider": 1.3, "shift": 0.5}, False), ({"wider": 0.4}, True), ({"private_shift": 5.0}, True)],
    ids=["a little wrong", "narrow", "drifted"],
)
def test_the_effective_sample_size_tells_of_poor_proposals(wrong, noted):
    known = linear(**wrong)
    x, population = known.draw(300)
    result = evidence(known.weights(x, 200), population)
    truth = known.exact(x)[np.arange(300), population].mean()
    assert ("note" in result.detail) == noted
    assert (abs(result.value - truth) > 0.3) == noted


MODELS = {
    "VAE": lambda: SequentialVAE(MLPTrunk(5, (8,)), MLPDecoder(3, 5, (8,)), Bernoulli(), False, False),
    "SeqVAE": lambda: SequentialVAE(MLPTrunk(5, (8,)), MLPDecoder(3, 5, (8,)), Bernoulli(), True, False),
    "CPVAE": lambda: cpvae(Gaussian(0.5)),
    "contrastive": lambda: ContrastiveVAE(
        MLPTrunk(5, (8,)), MLPDecoder(5, 5, (8,)), Gaussian(0.5), ("a", "b"), "b", 3, 2
    ),
    "counts": lambda: cpvae(NegativeBinomial(5)),
    "missing": lambda: cpvae(IgnoreMissing(Gaussian(0.5)), MaskedTrunk(MLPTrunk(10, (8,)))),
}


def cpvae(likelihood, trunk=None) -> CPVAE:
    own = [MLPDecoder(2, 5, (8,)) for _ in range(3)]
    return CPVAE(trunk or MLPTrunk(5, (8,)), MLPDecoder(3, 5, (8,)), own, likelihood, ("a", "b", "c"))


def made(name: str) -> tuple[Model, Batch]:
    torch.manual_seed(1)
    x, library = torch.rand(7, 5), None
    if name == "counts":
        x, library = torch.poisson(2 * x, generator=generator()), torch.full((7,), 6.0)
    if name == "missing":
        x[0, 0] = x[3, 2] = torch.nan
    return MODELS[name]().eval(), Batch(x, None, library)


@pytest.fixture(params=MODELS)
def case(request) -> tuple[Model, Batch]:
    return made(request.param)


def test_neither_chunks_nor_batches_change_the_draws(case):
    model, batch = case
    whole = log_weights(model, batch, 40, generator(), memory=2**30)
    assert whole.shape == (7, max(1, len(model.populations)), 40)
    assert whole.dtype == torch.float64
    assert whole.isfinite().all()
    for memory in (1, 2_000, 10_000):
        torch.testing.assert_close(
            log_weights(model, batch, 40, generator(), memory=memory), whole, rtol=1e-5, atol=1e-5
        )
    one = generator()
    halves = [
        Batch(batch.x[p], None, None if batch.library is None else batch.library[p]) for p in (slice(3), slice(3, 7))
    ]
    parts = torch.cat([log_weights(model, half, 40, one) for half in halves])
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-5)
    assert not torch.equal(log_weights(model, batch, 40, generator(1)), whole)


def test_agrees_with_a_call_a_population_and_draw(case):
    """Other draws of the same thing, so both are estimates of one number."""
    model, batch = case
    with torch.no_grad():
        slow = log_evidence(_by_calls(model, batch, 200, generator(1)).numpy())
    fast = log_evidence(log_weights(model, batch, 2000, generator(2)).numpy())
    distances = (fast.value - slow.value) / np.hypot(fast.error, slow.error)
    assert np.abs(distances).max() < 4
    assert distances.std() < 2


def test_a_wider_proposal_estimates_the_same_and_repairs_one_that_is_too_narrow():
    known = linear(wider=0.4)
    x, _ = known.draw(300)
    weights = log_weights(known.model, Batch(x), 1000, generator(), widen=1.2 / 0.4).numpy()
    distances = deviations(log_evidence(weights), known.exact(x))
    assert distances.std() == pytest.approx(1, abs=0.1)
    assert log_evidence(weights).effective.mean() > 3 * log_evidence(known.weights(x, 1000)).effective.mean()


def test_a_wider_proposal_leaves_the_background_its_exact_salient_posterior():
    model, batch = made("contrastive")
    assert isinstance(model, ContrastiveVAE)
    shared, _ = model.posteriors(batch.x)
    wide = log_weights(model, batch, 50, generator(), widen=3.0)[:, 1]  # its salient latents neither weigh nor matter
    noise = torch.stack([torch.randn(50, 7, generator=one) for one in [generator()] for _ in range(7)])[..., :3]
    proposal = Normal(shared.mean[:, None], shared.log_variance[:, None] + 2 * math.log(3))
    z = proposal.sample(noise)
    with torch.no_grad():
        output = model.decoder(torch.cat([z, z.new_zeros(7, 50, 2)], 2).flatten(0, 1)).unflatten(0, (7, 50))
        x = batch.x[:, None].expand_as(output)
        fit = model.likelihood.log_prob(x.flatten(0, 1), output.flatten(0, 1)).view(7, 50)
        standard = Normal(torch.zeros_like(z), torch.zeros_like(z))
        expected = fit + standard.log_prob(z) - proposal.log_prob(z)
    torch.testing.assert_close(wide.float(), expected, rtol=1e-4, atol=1e-4)


def test_a_sequential_pass_agrees_with_the_integral():
    """Two latents, so that p(x) can be had from a grid; the noise of the first step must not bias it."""
    torch.manual_seed(2)
    model = SequentialVAE(MLPTrunk(4, (8,)), MLPDecoder(2, 4, (8,)), Gaussian(0.2), sequential=True, skip=False).eval()
    x = torch.randn(6, 4)
    axis = torch.linspace(-6, 6, 400)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        output = model.decoder(grid)
        prior = -0.5 * grid.double().square().sum(1) - math.log(2 * math.pi)
        fits = torch.stack([model.likelihood.log_prob(each.expand_as(output), output) for each in x])
        exact = torch.logsumexp(fits.double() + prior, 1) + 2 * math.log(12 / 399)
        calls = _by_calls(model, Batch(x), 400, generator(1))
    for weights in (log_weights(model, Batch(x), 3000, generator()), calls):
        found = log_evidence(weights.numpy())
        distances = (found.value[:, 0] - exact.numpy()) / found.error[:, 0]
        assert np.abs(distances).max() < 4


def test_the_trunk_runs_once_and_the_shared_decoder_once_a_draw():
    model, batch = made("CPVAE")
    assert isinstance(model, CPVAE)
    rows = {"trunk": 0, "shared": 0, "private": 0}

    def count(name):
        def hook(module, inputs, output):
            rows[name] += len(output)

        return hook

    model.trunk.register_forward_hook(count("trunk"))
    model.shared_decoder.register_forward_hook(count("shared"))
    model.private_decoders[0].register_forward_hook(count("private"))
    log_weights(model, batch, 10, generator())
    assert rows == {"trunk": 7, "shared": 70, "private": 70}


def test_what_has_no_evidence_is_refused(as_a_user):
    skipping = SequentialVAE(MLPTrunk(5, (8,)), MLPDecoder(3, 5, (8,)), Bernoulli(), False, True).eval()
    with pytest.raises(ValueError, match="expected a model that defines log p"):
        log_weights(skipping, Batch(torch.rand(3, 5)), 5, generator())
    model, batch = made("VAE")
    with pytest.raises(ValueError, match="at least 1 sample"):
        log_weights(model, batch, 0, generator())
    with pytest.raises(ValueError, match="expected widen above 0"):
        log_weights(model, batch, 5, generator(), widen=0.0)
    with pytest.raises(ValueError, match="in evaluation mode"):
        log_weights(model.train(), batch, 5, generator())
