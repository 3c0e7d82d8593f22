"""The importance-weighted bound: the literal formula, and the exact evidence of linear-Gaussian models."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, distributions

from unbraid.likelihoods import Gaussian
from unbraid.models import CPVAE, Model, SequentialVAE
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives import ELBO
from unbraid.objectives.importance import ImportanceWeighted
from unbraid.randomness import seeded
from unbraid.types import Batch, Forward, Progress

SIZE, VARIANCE = 4, 0.5
STANDARD = distributions.Normal(0.0, 1.0)


def literal(forward: Forward, copies: int) -> Tensor:
    """The definition, one weight at a time, not in logarithms."""
    total = torch.zeros((), dtype=torch.float64)
    for start in range(0, len(forward.log_likelihood), copies):
        weights = torch.zeros((), dtype=torch.float64)
        for k in range(start, start + copies):
            weight = forward.log_likelihood[k].exp()
            for name, normal in forward.posteriors.items():
                z = forward.samples[name][k]
                posterior = distributions.Normal(normal.mean[k], (normal.log_variance[k] / 2).exp())
                weight = weight * STANDARD.log_prob(z).exp().prod() / posterior.log_prob(z).exp().prod()
            weights = weights + weight
        total = total + (weights / copies).log()
    return -total * copies / len(forward.log_likelihood)


@pytest.mark.parametrize("copies", [1, 2, 3, 6])
def test_it_is_the_literal_formula(leaves, same, copies):
    made = leaves(6)
    same(made, made.loss(ImportanceWeighted(copies)), literal(made.forward(), copies))


def test_every_block_enters_the_weights(leaves, same):
    one, other = leaves(6, 3, seed=1), leaves(6, 2, seed=2)
    posteriors, samples = {"shared": one.normal, "private": other.normal}, {"shared": one.z, "private": other.z}
    forward = Forward(one.z, one.log_likelihood, posteriors, samples)
    found = ImportanceWeighted(3)(forward, Batch(one.z.detach()), Progress())
    same(one, found.loss, literal(forward, 3))
    assert set(found.parts) == {"reconstruction", "kl/shared", "kl/private", "gain", "effective_samples"}


def test_the_parts_make_the_loss(leaves):
    made = leaves(6)
    found = ImportanceWeighted(3)(made.forward(), Batch(made.z.detach()), Progress())
    parts = found.parts
    torch.testing.assert_close(found.loss, parts["reconstruction"] + parts["kl/z"] - parts["gain"])
    assert parts["gain"] > 0
    assert 1 < parts["effective_samples"] < 3


def test_large_logarithms_stay_finite(leaves):
    made = leaves(6)
    made.log_likelihood.data = made.log_likelihood.data - 1e4 * torch.arange(6)
    found = ImportanceWeighted(3)(made.forward(), Batch(made.z.detach()), Progress())
    assert all(value.isfinite() for value in found.named().values())
    assert found.parts["effective_samples"] == pytest.approx(1)


def test_a_batch_without_whole_copies_is_refused(leaves):
    with pytest.raises(ValueError, match=r"expected every observation 4 times in a row, got a batch of 6; repeat it"):
        leaves(6).loss(ImportanceWeighted(4))
    with pytest.raises(ValueError, match="expected at least 1 copy of every observation, got 0"):
        ImportanceWeighted(0)


def linear(latents: int = 2, sequential: bool = False, skip: bool = False) -> SequentialVAE:
    """x ~ N(W z + b, v I), and an encoder with random weights."""
    with seeded(0):
        networks = MLPTrunk(SIZE, ()), MLPDecoder(latents, SIZE, ())
        return SequentialVAE(*networks, Gaussian(VARIANCE), sequential, skip).double()


def linear_cpvae() -> CPVAE:
    with seeded(0):
        shared, *own = (MLPDecoder(2, SIZE, ()) for _ in range(3))
        return CPVAE(MLPTrunk(SIZE, ()), shared, own, Gaussian(VARIANCE), ("a", "b")).double()


def seq_vae() -> SequentialVAE:
    return linear(sequential=True)


BOUNDED = pytest.mark.parametrize("make", [linear, seq_vae, linear_cpvae])


def evidence(model: Model, x: Tensor) -> float:
    """log N(x; b, W W^T + v I), of the second population if there are two."""
    named = dict(model.named_parameters())
    own = [name for name in ("decoder", "shared_decoder", "private_decoders.1") if f"{name}.last.weight" in named]
    loadings = torch.cat([named[f"{name}.last.weight"].detach() for name in own], 1)
    centre = torch.stack([named[f"{name}.last.bias"].detach() for name in own]).sum(0)
    covariance = loadings @ loadings.T + VARIANCE * torch.eye(SIZE, dtype=torch.float64)
    return distributions.MultivariateNormal(centre, covariance).log_prob(x).item()


def repeated(model: Model, x: Tensor, count: int) -> Batch:
    return Batch(x.expand(count, -1), torch.ones(count, dtype=torch.int64) if model.populations else None)


def bounds(model: Model, x: Tensor, copies: int, count: int = 10_000) -> tuple[float, float]:
    """Mean and standard error of the bound with this number of copies."""
    generator, objective = torch.Generator().manual_seed(copies), ImportanceWeighted(copies)
    batch = repeated(model, x, count * copies // 100)
    with torch.no_grad():
        values = -torch.stack([objective(model(batch, generator), batch, Progress()).loss for _ in range(100)])
    return values.mean().item(), values.std().item() / 10


X = torch.tensor([1.0, -0.5, 0.8, 0.3], dtype=torch.float64)


@BOUNDED
def test_the_weights_average_to_the_evidence(make):
    """So that, by Jensen, the logarithm of any number of them bounds it: for SeqVAE too, whatever its earlier noise."""
    model, objective = make(), ImportanceWeighted(1)
    batch, exact = repeated(model, X, 200_000), evidence(model, X)
    with torch.no_grad():
        forward = model(batch, torch.Generator().manual_seed(0))
        pairs = [(normal, forward.samples[name]) for name, normal in forward.posteriors.items()]
        terms = [STANDARD.log_prob(z).sum(-1) - normal.log_prob(z) for normal, z in pairs]
        log_weights = torch.stack([forward.log_likelihood, *terms]).sum(0)
        assert objective(forward, batch, Progress()).loss.item() == pytest.approx(-log_weights.mean().item())
    weights = (log_weights - exact).exp()
    error = weights.std().item() / math.sqrt(len(weights))
    assert error < 0.02
    assert abs(weights.mean().item() - 1) < 4 * error


@BOUNDED
def test_more_copies_tighten_the_bound(make):
    model = make()
    found = [bounds(model, X, copies) for copies in (1, 4, 16)]
    exact = evidence(model, X)
    for (low, low_error), (high, high_error) in itertools.pairwise([*found, (exact, 0.0)]):
        assert low + 4 * math.hypot(low_error, high_error) < high
    assert exact - found[-1][0] < 0.2 * (exact - found[0][0])


@pytest.mark.parametrize("copies", [1, 5])
def test_with_the_exact_posterior_every_number_of_copies_gives_the_evidence(copies):
    model = linear(latents=1)
    loadings, bias = (model.get_parameter(f"decoder.last.{name}").data for name in ("weight", "bias"))
    precision = 1 + loadings.square().sum() / VARIANCE
    mean = loadings.T / VARIANCE / precision
    model.head.weight.data = torch.cat([mean, torch.zeros_like(mean)])
    model.head.bias.data = torch.cat([-mean @ bias, -precision.log()[None]])
    batch = repeated(model, X, 20)
    found = ImportanceWeighted(copies)(model(batch, torch.Generator().manual_seed(0)), batch, Progress())
    assert found.loss.item() == pytest.approx(-evidence(model, X), abs=1e-6)  # the variance is kept in single precision
    assert found.parts["effective_samples"].item() == pytest.approx(copies)
    assert found.parts["gain"].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("sequential", [False, True])
def test_with_a_skip_it_bounds_nothing(sequential):
    """Far from what the decoder can make, a model that is handed x claims more than the evidence."""
    model = linear(sequential=sequential, skip=True)
    assert not model.defines_density
    assert bounds(model, 10 * X, 4)[0] > evidence(model, 10 * X) + 10


def test_one_copy_is_the_elbo_on_average():
    model = linear()
    found, error = bounds(model, X, 1)
    batch = repeated(model, X, 100_000)
    with torch.no_grad():
        expected = -ELBO()(model(batch, torch.Generator().manual_seed(9)), batch, Progress()).loss.item()
    assert abs(found - expected) < 5 * error


@pytest.mark.slow
def test_training_with_copies_reaches_a_higher_bound(train_vae, sprites):
    """Under the same estimate of log p(x), 64 samples an observation, a VAE trained with 8 copies is ahead."""
    found, batch = {}, Batch(sprites.batch(np.arange(256)).x.repeat_interleave(64, 0))
    for objective in (ELBO(), ImportanceWeighted(8)):
        model = train_vae(objective)
        with torch.no_grad():
            forward = model(batch, torch.Generator().manual_seed(2))
            found[type(objective)] = -ImportanceWeighted(64)(forward, batch, Progress()).loss.item()
    assert found[ImportanceWeighted] > found[ELBO]
