"""DIP-VAE I and II: the literal formulas, whose covariance each takes, and what training does to it."""

import pytest
import torch
from torch import Tensor, distributions

from unbraid.objectives import ELBO
from unbraid.objectives.dip import DIP1, DIP2, covariance
from unbraid.types import Batch, Forward, Normal, Progress

BOTH = pytest.mark.parametrize("objective", [DIP1(3.0, 5.0), DIP2(3.0, 5.0)], ids=["I", "II"])


def literal(forward: Forward, objective: DIP1 | DIP2) -> Tensor:
    """The definition, one pair of latents at a time."""
    normal = forward.posteriors["z"]
    size, latents = normal.mean.shape
    penalty = torch.zeros((), dtype=torch.float64)
    for i in range(latents):
        for j in range(latents):
            a, b = normal.mean[:, i], normal.mean[:, j]
            found = sum(a[n] * b[n] for n in range(size)) / size - (sum(a) / size) * (sum(b) / size)
            if i == j and isinstance(objective, DIP2):
                found = found + sum(normal.log_variance[n, i].exp() for n in range(size)) / size
            weight, target = (objective.lambda_d, 1.0) if i == j else (objective.lambda_od, 0.0)
            penalty = penalty + weight * (found - target) ** 2
    prior = distributions.Normal(0.0, 1.0)
    posterior = distributions.Normal(normal.mean, (normal.log_variance / 2).exp())
    kl = distributions.kl_divergence(posterior, prior).sum() / size
    return -forward.log_likelihood.mean() + kl + penalty


@BOTH
def test_it_is_the_literal_formula(leaves, same, objective):
    made = leaves()
    same(made, made.loss(objective), literal(made.forward(), objective))


def test_the_second_takes_the_covariance_of_the_samples(leaves):
    made = leaves(50)
    noise = torch.randn(20_000, 50, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        samples = made.normal.mean + made.normal.deviation * noise
        found = torch.cov(samples.flatten(0, 1).T, correction=0)
        torch.testing.assert_close(found, covariance(made.normal, True), atol=5e-3, rtol=0)
        torch.testing.assert_close(torch.cov(made.mean.T, correction=0), covariance(made.normal, False))


def test_independent_means_of_unit_variance_cost_nothing():
    grid = torch.tensor([[a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)], dtype=torch.float64)
    certain = Normal(grid + 7, torch.full_like(grid, -100.0))  # a shift does not matter
    forward = Forward(grid, torch.zeros(4, dtype=torch.float64), {"z": certain}, {"z": certain.mean})
    for objective in (DIP1(), DIP2()):
        parts = objective(forward, Batch(grid), Progress()).parts
        assert parts["dip/off_diagonal"] == 0
        assert parts["dip/diagonal"] < 1e-20


def test_the_weights_on_the_diagonal_are_in_the_papers_ratio():
    assert DIP1().lambda_d == 10 * DIP1().lambda_od
    assert DIP2().lambda_d == DIP2().lambda_od


@BOTH
def test_a_batch_of_one_is_refused(leaves, objective):
    with pytest.raises(ValueError, match="expected a batch of at least 2 observations, which have a covariance, got 1"):
        leaves(1).loss(objective)


@pytest.mark.parametrize("kind", [DIP1, DIP2])
@pytest.mark.parametrize("weights", [(-1.0, 1.0), (1.0, float("nan"))])
def test_negative_weights_are_refused(kind, weights):
    with pytest.raises(ValueError, match="expected lambda_od and lambda_d of at least 0, got"):
        kind(*weights)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [DIP1, DIP2])
def test_training_drives_the_covariance_to_the_identity(trained, kind):
    distance = {}
    for objective in (ELBO(), kind()):
        found = covariance(trained(objective)[0], with_variance=kind is DIP2)
        distance[type(objective)] = (found - torch.eye(5)).square().sum().item()
    assert distance[kind] < 0.5 * distance[ELBO]
