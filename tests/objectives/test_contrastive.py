"""Moment matching: the discrepancy against its double sums, and what it does to codes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unbraid.data import Arrays
from unbraid.likelihoods import Gaussian
from unbraid.models import CPVAE, ContrastiveVAE, SequentialVAE
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives import ELBO, ContrastiveMMD
from unbraid.objectives.contrastive import PRECISIONS, salient, squared_mmd
from unbraid.types import Batch, Progress

NAMES = ("a", "b", "c")


def seed(value):
    return torch.Generator().manual_seed(value)


def sample(count, shift=0.0, key=0, latents=3):
    return shift + torch.randn(count, latents, generator=seed(key), dtype=torch.float64)


def small(background="a", names=NAMES[:2], features=7):
    torch.manual_seed(0)
    return ContrastiveVAE(
        MLPTrunk(features, (16,)), MLPDecoder(5, features, (16,)), Gaussian(0.5, True), names, background, 3, 2
    )


def mixed(count=12, kinds=2, features=7):
    return Batch(torch.randn(count, features, generator=seed(1)), torch.arange(count) % kinds)


def test_the_discrepancy_is_its_double_sums():
    x, y = sample(5), sample(4, 0.5, key=1)

    def mean(a, b):
        values = [sum(torch.exp(-g * (p - q).square().sum()) for g in PRECISIONS) for p in a for q in b]
        return sum(values) / len(values)

    expected = mean(x, x) + mean(y, y) - 2 * mean(x, y)
    torch.testing.assert_close(squared_mmd(x, y), expected, rtol=1e-12, atol=1e-12)


@given(key=st.integers(0, 10**6), count=st.integers(1, 8), shift=st.floats(-3, 3))
def test_the_discrepancy_sees_neither_order_place_copies_nor_rotation(key, count, shift):
    x, y = sample(count, 0.0, key), sample(6, shift, key + 1)
    value = squared_mmd(x, y)
    assert value > -1e-12
    torch.testing.assert_close(squared_mmd(x, x), torch.zeros((), dtype=torch.float64), rtol=0, atol=1e-12)
    turn = torch.linalg.qr(sample(3, key=key + 2))[0]
    for other in [(y, x), (x.flip(0), y), (x.repeat(2, 1), y), (x + 5, y + 5), (x @ turn, y @ turn)]:
        torch.testing.assert_close(squared_mmd(*other), value, rtol=1e-6, atol=1e-6)  # narrow kernels see rounding


def test_the_discrepancy_grows_with_the_distance_and_is_small_within_one_distribution():
    near, mid, far = (float(squared_mmd(sample(400), sample(400, shift, key=1))) for shift in (0.0, 0.5, 2.0))
    assert near < mid < far
    assert near < len(PRECISIONS) * (1 / 400 + 1 / 400)  # the bias, at most


def test_the_gradient_is_finite_where_codes_coincide():
    x = torch.zeros(4, 3, requires_grad=True)
    squared_mmd(x, torch.zeros(4, 3)).backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros(4, 3))


def test_an_empty_side_has_no_discrepancy():
    assert squared_mmd(sample(0), sample(3)) == 0
    assert squared_mmd(sample(3), sample(0)) == 0


@pytest.mark.parametrize("background", ["a", "b", "c"])
def test_the_loss_is_that_of_the_published_code(background):
    """There the terms are sums over 128 observations, and the weights 10,000 and 1,000."""
    model, batch = small(background, NAMES).double(), mixed(128, 3)
    batch = Batch(batch.x.double(), batch.population)
    assert batch.population is not None
    forward, index = model(batch, seed(4)), model.background_index
    again, own = seed(4), batch.population == index
    noise = [torch.randn(128, width, generator=again, dtype=torch.float64) for width in (3, 2)]
    features = model.trunk(batch.x)
    (z_mean, z_log), (s_mean, s_log) = (h(features).chunk(2, 1) for h in (model.shared_head, model.private_head))
    z, s = z_mean + torch.exp(0.5 * z_log) * noise[0], s_mean + torch.exp(0.5 * s_log) * noise[1]
    torch.testing.assert_close(salient(forward, index), s)
    elbo = ELBO()(forward, batch, Progress()).loss
    matched = 10_000 * squared_mmd(z[own], z[~own]) + 1_000 * squared_mmd(s[own], torch.zeros_like(s[own]))
    terms = ContrastiveMMD(index)(forward, batch, Progress())
    torch.testing.assert_close(128 * terms.loss, 128 * elbo + matched)


@pytest.mark.parametrize("population", [0, 1])
def test_a_population_that_the_batch_lacks_adds_nothing(population):
    batch = Batch(mixed().x, torch.full((12,), population))
    parts = ContrastiveMMD()(small()(batch, seed(0)), batch, Progress()).parts
    assert parts["mmd/shared"] == 0
    assert (parts["mmd/private"] == 0) == (population == 1)


def test_models_without_this_background_are_refused_before_training():
    model, data = small("b"), Arrays(mixed().x.numpy(), np.array(["a", "b"] * 6))
    ContrastiveMMD(1).check(model, data)
    with pytest.raises(ValueError, match=r"population 0, got 'b'; pass background=model\.background_index"):
        ContrastiveMMD().check(model, data)
    cpvae = CPVAE(MLPTrunk(7), MLPDecoder(3, 7), [MLPDecoder(2, 7) for _ in "ab"], Gaussian(), NAMES[:2])
    with pytest.raises(ValueError, match=r"expected a ContrastiveVAE .*got none in a CPVAE.*ELBO"):
        ContrastiveMMD().check(cpvae, data)


def test_passes_without_private_heads_or_background_are_refused():
    vae, batch = SequentialVAE(MLPTrunk(7), MLPDecoder(3, 7), Gaussian(), False, False), mixed()
    with pytest.raises(ValueError, match=r"expected a ContrastiveVAE .*population 0"):
        ContrastiveMMD()(vae(batch), batch, Progress())
    with pytest.raises(ValueError, match=r"expected a ContrastiveVAE .*population 2"):
        ContrastiveMMD(2)(small()(batch), batch, Progress())


@pytest.mark.parametrize("weights", [(-1, 1, 1), (0, -1, 1), (0, 1, float("nan"))])
def test_wrong_weights_are_refused(weights):
    with pytest.raises(ValueError, match="expected an index and weights of at least 0"):
        ContrastiveMMD(*weights)


def test_training_moves_the_backgrounds_private_codes_to_0_and_shared_codes_together():
    """Targets have a factor and a level of their own; the ELBO alone does not look at the background's private code."""
    generator = seed(3)
    maps = torch.randn(3, 6, generator=generator)
    population = torch.arange(100) % 2
    factors = torch.randn(100, 3, generator=generator)
    factors[:, 2] = (factors[:, 2] + 2) * population
    batch = Batch(factors @ maps + 0.1 * torch.randn(100, 6, generator=generator), population)
    found = {}
    for objective in (ELBO(), ContrastiveMMD()):
        model, noise = small(features=6), seed(0)
        optimiser = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(200):
            optimiser.zero_grad()
            objective(model(batch, noise), batch, Progress()).loss.backward()
            optimiser.step()
        codes = {name: code.detach() for name, code in model.encode(batch.x).items()}
        size = codes["private"][:, 1].norm(dim=1)
        shift = (codes["shared"][population == 0].mean(0) - codes["shared"][population == 1].mean(0)).norm()
        found[type(objective)] = float(size[population == 0].mean() / size[population == 1].mean()), float(shift)
    matched, plain = found[ContrastiveMMD], found[ELBO]
    assert matched[0] < 0.5 * plain[0]
    assert matched[1] < 0.3
