"""InfoVAE: the literal formula, and the discrepancy against brute force, against its exact value, and in training."""

import math

import pytest
import torch
from torch import Tensor, distributions

from unbraid.objectives import ELBO
from unbraid.objectives.info import InfoVAE, squared_mmd
from unbraid.types import Forward

BANDWIDTHS = (0.5, 1.0, 2.0)


def kernel(a: Tensor, b: Tensor, bandwidth: float) -> Tensor:
    return torch.exp(-(a - b).square().sum(-1) / (2 * bandwidth**2 * a.shape[-1]))


def literal(forward: Forward, objective: InfoVAE) -> Tensor:
    """The definition, one pair of samples at a time, with the prior's part by numerical integration."""
    normal, z = forward.posteriors["z"], forward.samples["z"]
    size = len(z)
    distance = torch.zeros((), dtype=torch.float64)
    for bandwidth in objective.bandwidths:
        pairs = [kernel(z[i], z[j], bandwidth) for i in range(size) for j in range(size) if i != j]
        across = torch.stack([integrated(row, bandwidth) for row in z])
        distance = distance + torch.stack(pairs).mean() - 2 * across.mean() + integrated_twice(z.shape[1], bandwidth)
    posterior = distributions.Normal(normal.mean, (normal.log_variance / 2).exp())
    kl = distributions.kl_divergence(posterior, distributions.Normal(0.0, 1.0)).sum() / size
    weight = objective.alpha + objective.lambda_mmd - 1
    reconstruction = -forward.log_likelihood.mean()
    return reconstruction + (1 - objective.alpha) * kl + weight * distance / len(objective.bandwidths)


def grid() -> tuple[Tensor, Tensor]:
    """Points, and the weights with which a function's values there give its expectation over N(0, 1)."""
    points = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    return points, distributions.Normal(0.0, 1.0).log_prob(points).exp() * (points[1] - points[0])


def integrated(row: Tensor, bandwidth: float) -> Tensor:
    """Expectation of the kernel over its second argument, a product of integrals over one coordinate."""
    points, weights = grid()
    each = torch.exp(-(row[:, None] - points).square() / (2 * bandwidth**2 * len(row)))
    return (each @ weights).prod()


def integrated_twice(latents: int, bandwidth: float) -> Tensor:
    """Expectation over both."""
    points, weights = grid()
    each = torch.exp(-(points[:, None] - points).square() / (2 * bandwidth**2 * latents))
    return (weights @ each @ weights) ** latents


@pytest.mark.parametrize("objective", [InfoVAE(), InfoVAE(1.0, 50.0), InfoVAE(-0.5, 5.0, BANDWIDTHS)], ids=str)
def test_it_is_the_literal_formula(leaves, same, objective):
    made = leaves()
    same(made, made.loss(objective), literal(made.forward(), objective))


@pytest.mark.parametrize("bandwidth", BANDWIDTHS)
def test_the_prior_in_closed_form_is_the_limit_of_samples_of_it(bandwidth):
    generator = torch.Generator().manual_seed(0)
    z = 0.5 + 0.7 * torch.randn(64, 4, generator=generator, dtype=torch.float64)
    prior, other = torch.randn(2, 400_000, 4, generator=generator, dtype=torch.float64)
    within = torch.stack([kernel(z[i], z[j], bandwidth) for i in range(64) for j in range(64) if i != j]).mean()
    across = torch.stack([kernel(row, prior, bandwidth).mean() for row in z]).mean()
    expected = within - 2 * across + kernel(prior, other, bandwidth).mean()
    torch.testing.assert_close(squared_mmd(z, (bandwidth,)), expected, atol=2e-3, rtol=0)


def between_gaussians(mean: float, deviation: float, latents: int, bandwidth: float) -> float:
    """Exact MMD^2 between N(mean, deviation^2 I) and N(0, I)."""
    v = bandwidth**2 * latents

    def expected(variance: float, distance: float) -> float:
        return (v / (v + variance)) ** (latents / 2) * math.exp(-latents * distance**2 / (2 * (v + variance)))

    return expected(2 * deviation**2, 0) - 2 * expected(1 + deviation**2, mean) + expected(2, 0)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (0.3, 1.0), (0.0, 0.5), (-1.0, 2.0)])
@pytest.mark.parametrize("bandwidth", BANDWIDTHS)
def test_the_estimate_is_unbiased(mean, deviation, bandwidth):
    generator = torch.Generator().manual_seed(0)
    draws = mean + deviation * torch.randn(4000, 8, 5, generator=generator, dtype=torch.float64)
    found = torch.stack([squared_mmd(z, (bandwidth,)) for z in draws])
    error = found.std().item() / math.sqrt(len(found))
    assert abs(found.mean().item() - between_gaussians(mean, deviation, 5, bandwidth)) < 4 * error
    assert found.min() < found.mean()


def test_single_precision_is_enough():
    z = torch.randn(64, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(
        squared_mmd(z.float(), BANDWIDTHS).double(), squared_mmd(z, BANDWIDTHS), atol=1e-6, rtol=0
    )


def test_without_the_discrepancy_it_is_the_elbo(leaves, same):
    made = leaves()
    same(made, made.loss(InfoVAE(0.0, 1.0)), made.loss(ELBO()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 1.5}, "expected alpha of at most 1 and lambda_mmd of at least 1 - alpha, got 1.5 and 100"),
        ({"alpha": 0.0, "lambda_mmd": 0.5}, "got 0.0 and 0.5; another choice would reward divergence"),
        ({"alpha": float("nan")}, "expected alpha of at most 1"),
        ({"bandwidths": ()}, r"expected bandwidths above 0, at least one, got \(\)"),
        ({"bandwidths": (1.0, 0.0)}, "expected bandwidths above 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        InfoVAE(**arguments)


def test_a_batch_of_one_is_refused(leaves):
    with pytest.raises(ValueError, match="expected a batch of at least 2 observations, which are compared"):
        leaves(1).loss(InfoVAE())


@pytest.mark.slow
def test_training_without_a_divergence_still_matches_the_prior(trained):
    """MMD-VAE: the code tells more than under the ELBO, and all codes together still look like the prior."""
    found = []
    for objective in (ELBO(), InfoVAE(alpha=1.0), InfoVAE(alpha=1.0, lambda_mmd=0.0)):
        normal, z = trained(objective)
        found.append((normal.kl().sum(1).mean().item(), squared_mmd(z, (1.0,)).item()))
    (elbo, _), (kl, distance), (_, free) = found
    assert kl > 1.3 * elbo
    assert distance < 0.2 * free
