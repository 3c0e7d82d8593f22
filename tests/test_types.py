"""The vocabulary: posteriors against torch.distributions, batches, terms."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributions

from unbraid.types import Batch, Normal, Terms

TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-10}
dtypes = pytest.mark.parametrize("dtype", TOLERANCE)
rows = st.lists(
    st.tuples(*[st.floats(-8, 8, width=32), st.floats(-6, 6, width=32), st.floats(-4, 4, width=32)]),
    min_size=1,
    max_size=6,
)


def pair(values, dtype) -> tuple[Normal, distributions.Normal, torch.Tensor]:
    """Our normal, PyTorch's, and one noise value a coordinate, `[1, latent]`."""
    mean, log_variance, noise = torch.tensor(values, dtype=dtype).T[:, None]
    return Normal(mean, log_variance), distributions.Normal(mean, torch.exp(0.5 * log_variance)), noise


def assert_close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Close relative to the size of the numbers that went into a sum, which is at least 1."""
    tolerance = TOLERANCE[ours.dtype]
    torch.testing.assert_close(ours, theirs, rtol=2 * tolerance, atol=2 * tolerance)


@dtypes
@given(values=rows)
def test_kl_equals_that_of_torch(dtype, values):
    ours, theirs, _ = pair(values, dtype)
    prior = distributions.Normal(torch.zeros((), dtype=dtype), torch.ones((), dtype=dtype))
    assert_close(ours.kl(), distributions.kl_divergence(theirs, prior))


@dtypes
@given(values=rows)
def test_log_prob_equals_that_of_torch(dtype, values):
    ours, theirs, noise = pair(values, dtype)
    value = ours.mean + noise * ours.deviation
    assert_close(ours.log_prob(value), theirs.log_prob(value).sum(-1))


@dtypes
@given(values=rows)
def test_sample_is_that_of_torch(dtype, values):
    ours, theirs, noise = pair(values, dtype)
    assert_close(ours.sample(noise), theirs.loc + theirs.scale * noise)
    assert_close(ours.deviation.square(), theirs.variance)
    assert ours.sample(None) is ours.mean


def test_samples_have_the_stated_moments():
    normal = Normal(torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, -3.0]]))
    noise = torch.randn(100_000, 2, generator=torch.Generator().manual_seed(0))
    many = Normal(normal.mean.expand(100_000, 2), normal.log_variance.expand(100_000, 2)).sample(noise)
    error = 4 * normal.deviation[0] / 100_000**0.5
    assert ((many.mean(0) - normal.mean[0]).abs() < error).all()
    torch.testing.assert_close(many.var(0), normal.log_variance[0].exp(), rtol=0.02, atol=0)


@given(values=rows)
def test_kl_is_zero_at_the_prior_alone(values):
    ours, _, _ = pair(values, torch.float64)
    assert (ours.kl() >= -1e-12).all()
    prior = Normal(torch.zeros_like(ours.mean), torch.zeros_like(ours.mean))
    assert torch.equal(prior.kl(), torch.zeros_like(ours.mean))


def test_log_prob_broadcasts_leading_dimensions():
    normal = Normal(torch.randn(5, 3), torch.randn(5, 3))
    value = torch.randn(7, 5, 3)
    expected = torch.stack([normal.log_prob(each) for each in value])
    torch.testing.assert_close(normal.log_prob(value), expected)


def test_a_batch_moves_with_its_populations():
    batch = Batch(torch.zeros(3, 2), torch.tensor([0, 1, 0]))
    moved = batch.to("meta")
    assert len(batch) == len(moved) == 3
    assert moved.x.device.type == "meta"
    assert moved.population is not None
    assert moved.population.device.type == "meta"
    assert Batch(torch.zeros(3, 2)).to("meta").population is None


def test_terms_name_the_loss_first():
    terms = Terms(torch.tensor(3.0), {"reconstruction": torch.tensor(2.0), "kl/z": torch.tensor(1.0)})
    assert list(terms.named()) == ["loss", "reconstruction", "kl/z"]
