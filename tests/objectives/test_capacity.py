"""Capacity: the literal formula, its two sides, its schedule, and a training that ends with the KL it was told."""

import pytest
import torch

from unbraid.objectives import Constant
from unbraid.objectives.capacity import Capacity
from unbraid.objectives.schedules import Linear
from unbraid.types import Batch, Forward, Progress


def literal(forward: Forward, capacity: float, gamma: float) -> torch.Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for normal in forward.posteriors.values():
        for mean, log_variance in zip(normal.mean.flatten(), normal.log_variance.flatten(), strict=True):
            prior, posterior = (
                torch.distributions.Normal(m, s) for m, s in ((0.0, 1.0), (mean, (log_variance / 2).exp()))
            )
            total = total + torch.distributions.kl_divergence(posterior, prior)
    total = total / len(forward.log_likelihood)
    distance = total - capacity if total > capacity else capacity - total
    return -forward.log_likelihood.mean() + gamma * distance


@pytest.mark.parametrize("capacity", [0.0, 1.0, 30.0])
def test_it_is_the_literal_formula(leaves, same, capacity):
    made = leaves()
    expected = literal(made.forward(), capacity, 7.0)
    same(made, made.loss(Capacity(Constant(capacity), gamma=7.0)), expected)


def test_several_blocks_share_one_capacity(leaves, same):
    one, other = leaves(seed=1), leaves(seed=2)
    blocks = {"shared": one.normal, "private": other.normal}
    forward = Forward(one.z, one.log_likelihood, blocks, {"shared": one.z, "private": other.z})
    found = Capacity(Constant(2.0), gamma=3.0)(forward, Batch(one.z.detach()), Progress())
    same(one, found.loss, literal(forward, 2.0, 3.0))
    assert set(found.parts) == {"reconstruction", "kl/shared", "kl/private", "capacity"}


def test_the_capacity_follows_the_schedule(leaves):
    made = leaves()
    objective = Capacity(Linear(0, 10, 1000))
    found = [
        objective(made.forward(), Batch(made.z), Progress(step)).parts["capacity"].item() for step in (0, 500, 2000)
    ]
    assert found == [0, 5, 10]


def test_the_defaults_are_the_papers():
    objective = Capacity()
    assert objective.gamma == 1000
    assert [objective.capacity(Progress(step)) for step in (0, 50_000, 100_000, 300_000)] == [0.0, 12.5, 25.0, 25.0]


@pytest.mark.parametrize(
    ("arguments", "step", "value"),
    [((0, 25, 100), 1, 0.25), ((5, 5, 3), 2, 5.0), ((10, 0, 4), 1, 7.5), ((10, 0, 4), 4, 0.0), ((0, 1, 1), 0, 0.0)],
)
def test_linear_schedule(arguments, step, value):
    assert Linear(*arguments)(Progress(step)) == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize("arguments", [(-1, 2, 3), (0, -2, 3), (0, float("inf"), 3), (0, float("nan"), 3), (0, 1, 0)])
def test_a_schedule_without_an_end_is_refused(arguments):
    with pytest.raises(ValueError, match=r"expected finite start and end of at least 0, and at least 1 step, got"):
        Linear(*arguments)


@pytest.mark.parametrize("gamma", [-1.0, float("nan")])
def test_a_negative_gamma_is_refused(gamma):
    with pytest.raises(ValueError, match=r"expected gamma of at least 0, got .*; the paper has 1000"):
        Capacity(gamma=gamma)


@pytest.mark.slow
@pytest.mark.parametrize("nats", [2.0, 9.0])  # below and above what the ELBO would take, 5
def test_training_ends_with_the_divergence_it_was_told(trained, nats):
    normal, _ = trained(Capacity(Linear(0, nats, 300), gamma=30.0))  # at 1000 it would swing more
    assert normal.kl().sum(1).mean().item() == pytest.approx(nats, rel=0.3)  # it swings around it
