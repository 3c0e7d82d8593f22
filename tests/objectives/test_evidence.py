"""The bound against what it bounds: a long-run average, and the exact evidence where there is one."""

import math

import pytest
import torch
from torch import Tensor, distributions, nn

from unbraid.likelihoods import Bernoulli, Gaussian
from unbraid.models import CPVAE, Model, SequentialVAE
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives import ELBO
from unbraid.types import Batch, Forward, Progress

VARIANCE, LATENTS, SIZE = 0.3, 2, 6
STANDARD = distributions.Normal(torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64))


def draws(model: Model, batch: Batch, count: int, seed: int, at_once: int = 1000) -> tuple[float, float]:
    """Mean and standard error of `count` one-sample estimates of the bound for the one observation in `batch`."""
    generator, values = torch.Generator().manual_seed(seed), []
    population = None if batch.population is None else batch.population.expand(at_once)
    many = Batch(batch.x.expand(at_once, -1), population)
    with torch.no_grad():
        for _ in range(count // at_once):
            forward = model(many, generator)
            kl = sum(normal.kl().sum(-1) for normal in forward.posteriors.values())
            values.append(forward.log_likelihood - kl)
    values = torch.cat(values).double()
    return values.mean().item(), values.std().item() / math.sqrt(count)


@pytest.mark.parametrize("seed", range(3))
def test_a_monte_carlo_estimate_agrees_with_a_long_run_average(seed):
    torch.manual_seed(seed)
    model = SequentialVAE(MLPTrunk(5, (8,)), MLPDecoder(3, 5, (8,)), Bernoulli(), sequential=False, skip=False)
    batch = Batch(torch.rand(1, 5))
    few, few_error = draws(model, batch, 2_000, seed=1)
    long, long_error = draws(model, batch, 200_000, seed=2)
    assert 0 < long_error < few_error
    assert abs(few - long) < 4 * math.hypot(few_error, long_error)


def test_the_objective_is_the_mean_of_such_estimates():
    torch.manual_seed(0)
    model = SequentialVAE(MLPTrunk(5, (8,)), MLPDecoder(3, 5, (8,)), Bernoulli(), sequential=False, skip=False)
    batch = Batch(torch.rand(1, 5).expand(1000, -1))
    loss = ELBO()(model(batch, torch.Generator().manual_seed(3)), batch, Progress()).loss
    assert draws(model, Batch(batch.x[:1]), 1000, seed=3)[0] == pytest.approx(-loss.item(), rel=1e-6)


def orthogonal(columns: int) -> Tensor:
    """`[SIZE, columns]`, orthogonal but not of unit length, so that posteriors are diagonal and differ by latent."""
    random = torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return torch.linalg.qr(random)[0][:, :columns] * torch.linspace(0.5, 2, columns, dtype=torch.float64)


def decoder(loadings: Tensor, bias: Tensor) -> MLPDecoder:
    made = MLPDecoder(loadings.shape[1], SIZE, ()).double()
    made.last.weight.data, made.last.bias.data = loadings.clone(), bias.clone()
    return made


def exactly(model: Model) -> None:
    """Give the fixed variance, kept in single precision so far, all the digits of double precision."""
    model.likelihood.log_excess.fill_(math.log(VARIANCE))  # type: ignore[operator, union-attr]


def solve(head: nn.Linear, loadings: list[Tensor], bias: Tensor) -> None:
    """Set a head that reads x to the exact posteriors of blocks with orthogonal columns, one block after the other."""
    weights, biases = [], []
    for block in loadings:
        precision = 1 + block.square().sum(0) / VARIANCE
        mean = block.T / VARIANCE / precision[:, None]
        weights += [mean, torch.zeros_like(mean)]
        biases += [-mean @ bias, -precision.log()]
    head.weight.data, head.bias.data = torch.cat(weights), torch.cat(biases)


def linear_vae() -> tuple[Model, list[Tensor]]:
    """x ~ N(W z + b, v I) with the exact posterior; and W."""
    loadings, bias = orthogonal(LATENTS), torch.linspace(-1, 1, SIZE, dtype=torch.float64)
    trunk = MLPTrunk(SIZE, ())
    model = SequentialVAE(trunk, decoder(loadings, bias), Gaussian(VARIANCE), False, False).double()
    exactly(model)
    solve(model.head, [loadings], bias)
    return model, [loadings]


def linear_cpvae() -> tuple[Model, list[Tensor]]:
    """x ~ N(A z + B_k t + b, v I) with exact posteriors; and [A, B_k] for each k."""
    columns, bias = orthogonal(6), torch.linspace(-1, 1, SIZE, dtype=torch.float64)
    shared, private = columns[:, :2], [columns[:, 2:4], columns[:, 4:6]]
    own = [decoder(block, torch.zeros_like(bias)) for block in private]
    model = CPVAE(MLPTrunk(SIZE, ()), decoder(shared, bias), own, Gaussian(VARIANCE), ("a", "b")).double()
    exactly(model)
    solve(model.shared_head, [shared], bias)
    solve(model.private_head, private, bias)
    return model, [torch.cat([shared, block], 1) for block in private]


def observation(population: int, populations: bool) -> Batch:
    x = torch.randn(1, SIZE, generator=torch.Generator().manual_seed(population), dtype=torch.float64)
    return Batch(x, torch.tensor([population]) if populations else None)


def evidence(model: Model, loadings: Tensor, x: Tensor) -> float:
    """log N(x; b, W W^T + v I)."""
    variance = model.likelihood.current_variance()  # type: ignore[operator]
    covariance = loadings @ loadings.T + variance * torch.eye(SIZE, dtype=torch.float64)
    mean = torch.linspace(-1, 1, SIZE, dtype=torch.float64)
    return distributions.MultivariateNormal(mean, covariance).log_prob(x[0]).item()


def ratio(forward: Forward) -> Tensor:
    """log p(x, latents) - log q(latents | x), `[batch]`; the evidence itself where the posterior is exact."""
    prior = sum(STANDARD.log_prob(sample).sum(-1) for sample in forward.samples.values())
    posterior = sum(normal.log_prob(forward.samples[name]) for name, normal in forward.posteriors.items())
    return forward.log_likelihood + prior - posterior


@pytest.mark.parametrize(("make", "population"), [(linear_vae, 0), (linear_cpvae, 0), (linear_cpvae, 1)])
def test_with_the_exact_posterior_the_bound_is_the_evidence(make, population):
    model, loadings = make()
    batch = observation(population, bool(model.populations))
    exact = evidence(model, loadings[population], batch.x)
    # every single sample says so ...
    weight = ratio(model(batch, torch.Generator().manual_seed(0)))
    assert weight.item() == pytest.approx(exact, abs=1e-10)
    # ... and the bound, whose divergence is in closed form, on average
    mean, error = draws(model, batch, 100_000, seed=0)
    assert error < 0.02
    assert abs(mean - exact) < 4 * error


def test_with_any_other_posterior_the_bound_is_below_the_evidence():
    model, loadings = linear_vae()
    batch = observation(0, False)
    exact = evidence(model, loadings[0], batch.x)
    model.head.bias.data += 0.5  # type: ignore[operator, union-attr]
    mean, error = draws(model, batch, 100_000, seed=0)
    assert mean + 4 * error < exact
