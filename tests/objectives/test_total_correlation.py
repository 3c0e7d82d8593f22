"""Beta-TC: the two ways of sampling against what they estimate, with every minibatch of small data enumerated."""

import math
from itertools import combinations, product

import numpy as np
import pytest
import torch
from torch import Tensor, distributions

from unbraid.data import Arrays
from unbraid.likelihoods import Gaussian
from unbraid.models import SequentialVAE
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives import ELBO
from unbraid.objectives.total_correlation import (
    BetaTC,
    MinibatchSampling,
    Stratified,
    Weighted,
    decompose,
    log_aggregates,
    log_densities,
)
from unbraid.types import Forward, Normal

N = 6  # observations of the small data
SAMPLINGS = pytest.mark.parametrize("sampling", [Stratified(), Weighted()], ids=["stratified", "weighted"])


def density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    return distributions.Normal(mean, (log_variance / 2).exp()).log_prob(z).exp()


def aggregate(normal: Normal, z: Tensor) -> tuple[Tensor, Tensor]:
    """q(z) and its marginals at one point, over all that `normal` holds."""
    each = density(z, normal.mean, normal.log_variance)
    return each.prod(1).mean(), each.mean(0)


def estimates(normal: Normal, z: Tensor, index: tuple[int, ...], weights: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Estimates of q and its marginals at z of the first of `index`, from a batch with these indices."""
    rows = list(index)
    batch = Normal(normal.mean[rows], normal.log_variance[rows])
    log_q, log_marginals = log_aggregates(log_densities(batch, z[rows]), weights)
    return log_q[0].exp(), log_marginals[0].exp()


def mean(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    joint, marginals = zip(*pairs, strict=True)
    return torch.stack(joint).mean(0), torch.stack(marginals).mean(0)


@pytest.mark.parametrize("size", range(2, N + 1))
def test_stratified_estimates_are_unbiased(leaves, size):
    """Every minibatch that holds x_i, for every i: their mean is the aggregate posterior over all the data, exactly."""
    made = leaves(N)
    weights = Stratified().weights(size, N)
    for own in range(N):
        rest = [i for i in range(N) if i != own]
        found = mean(
            [estimates(made.normal, made.z, (own, *others), weights) for others in combinations(rest, size - 1)]
        )
        torch.testing.assert_close(found, aggregate(made.normal, made.z[own]), rtol=1e-12, atol=0)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_bias_of_weighted_estimates_is_the_published_one(leaves, size):
    """Every choice of the others, drawn independently: the mean is (q(z_i | x_i) + (B - 1) q(z_i)) / (N B)."""
    made = leaves(N)
    weights = Weighted().weights(size, N)
    for own in range(N):
        pairs = [
            estimates(made.normal, made.z, (own, *others), weights) for others in product(range(N), repeat=size - 1)
        ]
        each = density(made.z[own], made.mean[own], made.log_variance[own])
        joint, marginals = aggregate(made.normal, made.z[own])
        expected = [(o + (size - 1) * q) / (N * size) for o, q in ((each.prod(), joint), (each, marginals))]
        torch.testing.assert_close(mean(pairs), tuple(expected), rtol=1e-12, atol=0)


def published(size: int) -> Tensor:
    """Weights of the paper's appendix C.2: one of the others differs."""
    weights = torch.full((size, size), 1 / (size - 1), dtype=torch.float64)
    for i in range(size):
        weights[i, i] = 1 / N
        weights[i, (i + 1) % size] = (N - size + 1) / (N * (size - 1))
    return weights


def widespread(size: int) -> Tensor:
    """The same with the special weights in the first two columns, wherever the observation itself is, as often seen."""
    weights = torch.full((size, size), 1 / (size - 1), dtype=torch.float64)
    weights[:, 0], weights[:, 1] = 1 / N, (N - size + 1) / (N * (size - 1))
    weights[size - 2, 0] = weights[0, 1]
    return weights


def over_all_batches(leaves, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the estimate of q(z_i) relative to the truth, over ordered minibatches; `[N]`."""
    size, means, deviations = len(weights), [], []
    made = leaves(N)
    each = torch.stack([density(made.z[i], made.mean, made.log_variance).prod(1) for i in range(N)])
    for own in range(N):
        ordered = [rows for rows in product(range(N), repeat=size) if own in rows and len(set(rows)) == size]
        found = torch.stack([(weights[rows.index(own)] * each[own, list(rows)]).sum() for rows in ordered])
        means.append(found.mean() / each[own].mean())
        deviations.append(found.std() / each[own].mean())
    return torch.stack(means), torch.stack(deviations)


def test_against_the_published_and_the_widespread_weights(leaves):
    own, other = Stratified().weights(4, N)
    ours = torch.full((4, 4), other, dtype=torch.float64).fill_diagonal_(own)
    found, spread = over_all_batches(leaves, ours)
    paper, paper_spread = over_all_batches(leaves, published(4))
    wrong, _ = over_all_batches(leaves, widespread(4))
    torch.testing.assert_close(torch.stack([found, paper]), torch.ones(2, N, dtype=torch.float64), rtol=1e-12, atol=0)
    assert (spread < paper_spread).all()
    assert wrong.min() > 1.1  # too much weight on the observation itself


@SAMPLINGS
def test_all_weights_of_one_observation_sum_to_what_is_said(sampling: MinibatchSampling):
    own, other = sampling.weights(4, N)
    assert own + 3 * other == pytest.approx(1 if isinstance(sampling, Stratified) else 1 / N)


def literal(forward: Forward, objective: BetaTC) -> Tensor:
    """The definition, one number at a time."""
    normal, z = forward.posteriors["z"], forward.samples["z"]
    size, latents = z.shape
    own, other = objective.sampling.weights(size, objective.observations)
    total = torch.zeros((), dtype=torch.float64)
    for i in range(size):
        q, marginals = torch.zeros((), dtype=torch.float64), torch.zeros(latents, dtype=torch.float64)
        for j in range(size):
            each = density(z[i], normal.mean[j], normal.log_variance[j])
            weight = own if i == j else other
            q, marginals = q + weight * each.prod(), marginals + weight * each
        log_own = density(z[i], normal.mean[i], normal.log_variance[i]).log().sum()
        log_prior = distributions.Normal(0.0, 1.0).log_prob(z[i]).sum()
        log_product = marginals.log().sum()
        total = total + objective.alpha * (log_own - q.log()) + objective.beta * (q.log() - log_product)
        total = total + objective.gamma * (log_product - log_prior)
    return -forward.log_likelihood.mean() + total / size


@SAMPLINGS
def test_it_is_the_literal_formula(leaves, same, sampling):
    made = leaves()
    objective = BetaTC(50, 2.0, 5.0, 0.5, sampling)
    same(made, made.loss(objective), literal(made.forward(), objective))


@SAMPLINGS
def test_the_three_terms_sum_to_the_divergence_of_the_samples(leaves, same, sampling):
    made = leaves()
    prior = distributions.Normal(0.0, 1.0).log_prob(made.z).sum(-1)
    divergence = (made.normal.log_prob(made.z) - prior).mean()
    same(made, made.loss(BetaTC(50, 1, 1, 1, sampling)), divergence - made.log_likelihood.mean())


def test_the_whole_data_as_one_batch_are_exact(leaves):
    made = leaves(N)
    found = decompose(made.normal, made.z, Stratified().weights(N, N))
    q, marginals = zip(*(aggregate(made.normal, z) for z in made.z), strict=True)
    log_q, log_product = torch.stack(q).log(), torch.stack(marginals).log().sum(-1)
    own = made.normal.log_prob(made.z)
    prior = distributions.Normal(0.0, 1.0).log_prob(made.z).sum(-1)
    expected = ((own - log_q).mean(), (log_q - log_product).mean(), (log_product - prior).mean())
    torch.testing.assert_close(found, expected)


@SAMPLINGS
def test_order_and_sign_of_latents_do_not_matter(leaves, sampling):
    made = leaves()
    order, sign = [2, 0, 1], torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
    turned = Normal(sign * made.mean[:, order], made.log_variance[:, order])
    weights = sampling.weights(5, 50)
    torch.testing.assert_close(
        decompose(turned, sign * made.z[:, order], weights), decompose(made.normal, made.z, weights)
    )


@pytest.mark.parametrize("log_variance", [-140.0, -60.0, 0.0, 60.0])
@pytest.mark.parametrize("distance", [0.0, 1e3])
def test_extreme_posteriors_stay_finite_in_single_precision(log_variance, distance):
    mean = (torch.randn(8, 3, generator=torch.Generator().manual_seed(0)) + distance * torch.arange(8)[:, None]).float()
    normal = Normal(mean.requires_grad_(), torch.full((8, 3), log_variance, requires_grad=True))
    terms = torch.stack(decompose(normal, normal.sample(torch.ones(8, 3)), Stratified().weights(8, 1000)))
    gradients = torch.autograd.grad(terms.sum(), (normal.mean, normal.log_variance))
    assert all(value.isfinite().all() for value in (terms, *gradients))


@SAMPLINGS
def test_single_precision_is_enough(leaves, sampling):
    made = leaves(64, 10)
    weights = sampling.weights(64, 737_280)
    double = torch.stack(decompose(made.normal, made.z, weights))
    single = torch.stack(decompose(Normal(made.mean.float(), made.log_variance.float()), made.z.float(), weights))
    torch.testing.assert_close(single.double(), double, rtol=1e-6, atol=1e-5)


def vae(size: int) -> SequentialVAE:
    return SequentialVAE(MLPTrunk(size, ()), MLPDecoder(2, size, ()), Gaussian(), sequential=False, skip=False)


def test_data_of_another_size_are_refused():
    data = Arrays(np.random.default_rng(0).normal(size=(7, 3)))
    BetaTC(7).check(vae(3), data)
    with pytest.raises(ValueError, match=r"expected observations=7, .* got 8: .*; use BetaTC\(7\)"):
        BetaTC(8).check(vae(3), data)


@pytest.mark.parametrize(
    ("size", "message"),
    [(1, "expected a batch of at least 2 observations.*got 1; raise batch_size"), (9, "at most observations=8, got 9")],
)
def test_a_batch_that_says_nothing_is_refused(leaves, size, message):
    with pytest.raises(ValueError, match=message):
        leaves(size).loss(BetaTC(8))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"observations": 1}, "expected at least 2 observations, got 1; give len"),
        ({"observations": 9, "beta": -1}, "expected alpha, beta and gamma of at least 0, got 1.0, -1, 1.0"),
        ({"observations": 9, "gamma": math.nan}, "expected alpha, beta and gamma of at least 0"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BetaTC(**arguments)


@pytest.mark.slow
@SAMPLINGS
def test_training_lowers_the_total_correlation(trained, sprites, sampling):
    """That of the aggregate posterior over all the data, which no minibatch knows."""
    whole = Stratified().weights(len(sprites), len(sprites))
    correlation = {}
    for objective in (ELBO(), BetaTC(len(sprites), sampling=sampling)):
        normal, z = trained(objective)
        with torch.no_grad():
            correlation[type(objective)] = decompose(normal, z, whole)[1].item()
    assert 0 < correlation[BetaTC] < 0.6 * correlation[ELBO]
