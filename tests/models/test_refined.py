"""Proposals that are fitted to each observation, against exact evidence."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor, distributions

from unbraid.likelihoods import Bernoulli, Gaussian
from unbraid.metrics import evidence, evidence_classification, log_evidence
from unbraid.models import CPVAE, Model, SequentialVAE, log_weights, refined_log_weights
from unbraid.models.contrastive import ContrastiveVAE
from unbraid.nets import MLPDecoder, MLPTrunk, NormTrunk, SkipDecoder
from unbraid.types import Batch

STEPS, VARIANCE, SIZE, POPULATIONS = 500, 0.3, 8, 3


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(loadings: Tensor) -> MLPDecoder:
    made = MLPDecoder(loadings.shape[1], SIZE, ())
    made.last.weight.data, made.last.bias.data = loadings.float(), torch.zeros(SIZE)
    return made


class Linear:
    """x ~ N(A z + B_k t, v I), all columns orthogonal: posteriors are diagonal, and the evidence is known.

    drift: how far the encoder's private posteriors are from the true ones, in their deviations.
    """

    def __init__(self, drift: float = 0.0):
        columns = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=generator()).double())[0]
        columns = columns * torch.linspace(0.6, 1.6, SIZE)
        shared, *private = columns.split(2, dim=1)
        self.loadings = [torch.cat([shared, block], 1) for block in private]
        self.model = CPVAE(MLPTrunk(SIZE, ()), flat(shared), [*map(flat, private)], Gaussian(VARIANCE), ("a", "b", "c"))
        for head, blocks, moved in ((self.model.shared_head, [shared], 0.0), (self.model.private_head, private, drift)):
            weights, biases = [], []
            for block in blocks:
                variance = 1 / (1 + block.square().sum(0) / VARIANCE)
                weights += [variance[:, None] * block.T / VARIANCE, torch.zeros(2, SIZE).double()]
                biases += [moved * variance.sqrt(), variance.log()]
            head.weight.data, head.bias.data = torch.cat(weights).float(), torch.cat(biases).float()
        self.model.eval()

    def draw(self, count: int) -> tuple[Batch, np.ndarray]:
        """Observations of the model itself, and log p(x | k) of all populations."""
        rng, population = generator(), torch.arange(count) % POPULATIONS
        latents = torch.randn(count, 4, generator=rng).double()
        mean = torch.stack([latents @ block.T for block in self.loadings], 1)[torch.arange(count), population]
        x = mean + math.sqrt(VARIANCE) * torch.randn(count, SIZE, generator=rng).double()
        noise = VARIANCE * torch.eye(SIZE).double()
        known = [distributions.MultivariateNormal(torch.zeros(SIZE).double(), b @ b.T + noise) for b in self.loadings]
        return Batch(x.float(), population), torch.stack([each.log_prob(x) for each in known], 1).numpy()


def own(values: np.ndarray, batch: Batch) -> np.ndarray:
    assert batch.population is not None
    return values[np.arange(len(batch)), batch.population.numpy()]


def cpvae() -> CPVAE:
    torch.manual_seed(0)
    decoders = [MLPDecoder(2, 6, (8,)) for _ in range(2)]
    return CPVAE(MLPTrunk(6, (8,)), MLPDecoder(2, 6, (8,)), decoders, Gaussian(0.1), ("a", "b")).eval()


def vae(sequential: bool = False) -> Model:
    torch.manual_seed(0)
    return SequentialVAE(MLPTrunk(6, (8,)), MLPDecoder(2, 6, (8,)), Bernoulli(), sequential, False).eval()


def contrastive() -> Model:
    torch.manual_seed(0)
    return ContrastiveVAE(MLPTrunk(6, (8,)), MLPDecoder(4, 6, (8,)), Gaussian(0.1), ("a", "b"), "a", 2, 2).eval()


def some(count: int = 12) -> Batch:
    return Batch(torch.rand(count, 6, generator=generator()), torch.arange(count) % 2)


@pytest.mark.parametrize("drift", [2.0, 5.0])
def test_a_private_posterior_that_has_drifted_is_brought_back(drift: float):
    known = Linear(drift)
    batch, exact = known.draw(60)
    exact = own(exact, batch)
    drifted = own(log_evidence(log_weights(known.model, batch, 200, generator()).numpy()).value, batch)
    weights = refined_log_weights(known.model, batch, 200, generator(), STEPS).numpy()
    assert weights.shape == (60, 1, 200)
    found = log_evidence(weights)
    assert np.abs(found.value[:, 0] - exact).max() < 0.05
    assert np.abs(found.value[:, 0] - exact).mean() < 0.05 * np.abs(drifted - exact).mean()
    assert found.effective.min() > 150
    assert evidence(weights).value == pytest.approx(exact.mean(), abs=0.01)


def test_every_population_can_be_asked():
    known = Linear(drift=4.0)
    batch, exact = known.draw(90)
    weights = refined_log_weights(known.model, Batch(batch.x), 100, generator(), STEPS, own=False).numpy()
    assert weights.shape == (90, POPULATIONS, 100)
    np.testing.assert_allclose(log_evidence(weights).value, exact, atol=0.1)
    assert batch.population is not None
    named = [evidence_classification(each, batch.population.numpy()).value for each in (weights, exact[..., None])]
    assert named[0] == pytest.approx(named[1], abs=0.02)


def test_wider_is_wider_after_it_was_fitted():
    known = Linear(drift=3.0)
    batch, _ = known.draw(30)
    plain, wide = (
        log_evidence(refined_log_weights(known.model, batch, 100, generator(), STEPS, widen=each).numpy()).effective
        for each in (1.0, 2.0)
    )
    assert wide.mean() < 0.6 * plain.mean()


@pytest.mark.parametrize("make", [cpvae, vae, contrastive, lambda: vae(sequential=True)])
def test_more_draws_count_and_nothing_of_the_model_changes(make):
    model = make()
    before = copy.deepcopy(model.state_dict())
    batch = some(64)
    plain = log_evidence(log_weights(model, batch, 32, generator()).numpy()).effective
    refined = log_evidence(refined_log_weights(model, batch, 32, generator(), 200).numpy()).effective
    assert refined.mean() > (own(plain, batch) if model.populations else plain).mean()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_same_draws_give_the_same_weights():
    model, batch = cpvae(), some()
    one, two = (refined_log_weights(model, batch, 8, generator(), 5) for _ in range(2))
    assert torch.equal(one, two)
    assert refined_log_weights(model, batch, 7, generator(), 5, memory=1).shape == (12, 1, 7)


def test_a_proposal_that_got_worse_is_not_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("unbraid.models.refined.RATE", 1e6)
    known = Linear()
    batch, exact = known.draw(40)
    weights = refined_log_weights(known.model, batch, 20, generator(), 3).numpy()
    np.testing.assert_allclose(log_evidence(weights).value[:, 0], own(exact, batch), atol=1e-3)


@pytest.mark.parametrize("widen", [1.0, 2.0])
def test_the_background_of_a_contrastive_model_keeps_its_exact_posterior(widen: float):
    """Latents that answer for nothing would make its weights uneven, the more the wider they are proposed."""
    x = torch.rand(40, 6, generator=generator())
    background = Batch(x, torch.zeros(40, dtype=torch.long))
    weights = refined_log_weights(contrastive(), background, 400, generator(), STEPS, widen=widen)
    assert log_evidence(weights.numpy()).effective.mean() > (200 if widen == 1 else 140)


def test_gradients_must_be_possible():
    with torch.inference_mode(), pytest.raises(ValueError, match=r"use torch.no_grad\(\)"):
        refined_log_weights(cpvae(), some(), 4, generator(), 3)


def test_few_rows_at_once_find_the_same():
    known = Linear(drift=3.0)
    batch, exact = known.draw(9)
    weights = refined_log_weights(known.model, batch, 50, generator(), STEPS, own=False, memory=4 * 4 * SIZE * 4)
    np.testing.assert_allclose(log_evidence(weights.numpy()).value, exact, atol=0.1)


def test_images_are_read_as_in_evaluation():
    torch.manual_seed(0)
    shape = (1, 8, 8)
    decoders = [SkipDecoder(2, shape, (4, 4)) for _ in "ab"]
    model = CPVAE(NormTrunk(shape, (4, 4)), SkipDecoder(3, shape, (4, 4)), decoders, Gaussian(0.1, True), "ab").eval()
    before = copy.deepcopy(model.state_dict())
    batch = Batch(torch.rand(6, *shape, generator=generator()), torch.arange(6) % 2)
    for whose in (True, False):
        assert refined_log_weights(model, batch, 4, generator(), 10, own=whose).isfinite().all()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "at least 1 step, got 0; log_weights"),
        ({"samples": 0}, "at least 1 sample"),
        ({"model": SequentialVAE(MLPTrunk(6, (8,)), MLPDecoder(2, 6, (8,)), Bernoulli()).eval()}, "defines log p"),
        ({"model": cpvae().train()}, r"call model.eval\(\)"),
        ({"batch": Batch(torch.rand(3, 6))}, "population index for each observation"),
        ({"batch": Batch(torch.rand(3, 6), torch.tensor([0, 1, 2]))}, "never seen that population"),
    ],
)
def test_what_cannot_be_refined_is_refused(change: dict, message: str):
    given = {"model": cpvae(), "batch": some(), "samples": 4, "generator": generator(), "steps": 3}
    with pytest.raises(ValueError, match=message):
        refined_log_weights(**{**given, **change})
