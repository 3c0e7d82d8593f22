"""Variance explained: known shares come back, chance keeps its level, units count and not their observations."""

import numpy as np
import pytest
import torch

from unbraid.likelihoods import NegativeBinomial
from unbraid.metrics import deviances, moved, rescaled, squared_deviations, variance_explained, variance_table


def losses(seed: int, slope: float, count: int = 300, features: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Squared deviations left by `slope` times a signal that is .6 of the variance, and by a constant."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(count, features))
    x = np.sqrt(0.6) * signal + np.sqrt(0.4) * rng.normal(size=(count, features))
    expected = slope * np.sqrt(0.6) * signal + 7  # a level of its own
    return squared_deviations(x, moved(expected, x)), squared_deviations(x, moved(0 * x, x))


def test_the_share_is_that_of_the_signal():
    table = variance_table(*losses(0, 1.0))
    assert table.share.mean() == pytest.approx(0.6, abs=0.01)
    assert ((table.low < 0.6) & (table.high > 0.6)).mean() > 0.85
    assert (table.share > table.by_chance).all()
    assert variance_table(*losses(0, 2.0)).share.mean() == pytest.approx(0, abs=0.06)  # overshoots by as much as it has


def test_without_a_signal_few_tables_have_a_feature_beyond_chance():
    def any_beyond(seed: int) -> bool:
        left, _ = losses(seed, 0.5)
        _, total = losses(seed + 1000, 0.5)  # as good and as bad as the reconstruction
        table = variance_table(left, total * left.sum(0) / total.sum(0))
        return bool((table.share > table.by_chance).any())

    assert np.mean([any_beyond(seed) for seed in range(40)]) < 0.15


def test_copies_of_an_observation_are_no_further_evidence():
    left, total = losses(1, 1.0, count=20)
    once = variance_table(left, total, unit=np.arange(20))
    thrice = variance_table(left.repeat(3, 0), total.repeat(3, 0), unit=np.arange(20).repeat(3))
    for name in ("share", "low", "high", "by_chance"):
        np.testing.assert_allclose(getattr(thrice, name), getattr(once, name), rtol=1e-9)
    naive = variance_table(left.repeat(3, 0), total.repeat(3, 0))
    assert ((naive.high - naive.low) < 0.65 * (once.high - once.low)).all()


def test_missing_values_leave_nothing_and_count_as_nothing():
    rng = np.random.default_rng(0)
    x, expected = rng.normal(size=(40, 3)), rng.normal(size=(40, 3))
    x[::4, 1] = np.nan
    kept = ~np.isnan(x[:, 1])
    table = variance_table(squared_deviations(x, moved(expected, x)), squared_deviations(x, moved(0 * x, x)))
    alone = 1 - np.var(x[kept, 1] - expected[kept, 1]) / np.var(x[kept, 1])
    assert table.share[1] == pytest.approx(alone)


def test_a_feature_that_does_not_vary_has_nothing_to_explain():
    table = variance_table(np.zeros((9, 2)), np.zeros((9, 2)))
    assert table.share.tolist() == table.low.tolist() == table.by_chance.tolist() == [0, 0]


def test_deviances_are_those_of_the_likelihood():
    rng = np.random.default_rng(0)
    x, mean = rng.poisson(3.0, (30, 4)), rng.gamma(2.0, 2.0, (30, 4)) + 0.1
    likelihood = NegativeBinomial(4, 0.7)
    with torch.no_grad():
        library = torch.from_numpy(mean.sum(1)).float()
        at_mean = likelihood.log_prob_each(torch.from_numpy(x).float(), torch.from_numpy(mean).log().float(), library)
    own = np.where(x > 0, x, 1e-30)  # at a mean of its own, which softmax cannot say for all features at once
    r = 1 / 0.7
    at_own = x * np.log(own) - (x + r) * np.log1p(0.7 * own) - (x * np.log(mean) - (x + r) * np.log1p(0.7 * mean))
    found = deviances(x, mean, np.full(4, 0.7))
    np.testing.assert_allclose(found, 2 * at_own, atol=1e-9)
    # two means: the difference of deviances is twice that of log-likelihoods
    other = mean[::-1].copy()
    with torch.no_grad():
        library = torch.from_numpy(other.sum(1)).float()
        at_other = likelihood.log_prob_each(torch.from_numpy(x).float(), torch.from_numpy(other).log().float(), library)
    difference = deviances(x, other, np.full(4, 0.7)) - found
    np.testing.assert_allclose(difference, 2 * (at_mean - at_other).numpy(), atol=1e-3)
    assert (found >= 0).all()
    np.testing.assert_allclose(deviances(x, x, np.full(4, 0.7)), 0, atol=1e-12)


def test_expected_counts_are_brought_to_the_level_of_the_counts():
    counts = np.array([[1, 0, 4], [3, 0, 0]])
    found = rescaled(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 1.0]]), counts)
    np.testing.assert_allclose(found, [[2, 0, 3], [2, 0, 1]])
    assert np.isfinite(deviances(counts, found, np.ones(3))).all()


def test_the_result_lists_the_first_features(as_a_user):
    left, total = losses(0, 1.0)
    names = [f"gene {k}" for k in range(50)]
    result, table = variance_explained(left, total, names), variance_table(left, total)
    assert result.detail["features"] == [names[k] for k in np.argsort(-table.share)[:20]]
    assert result.value == pytest.approx(1 - left.sum() / total.sum())
    assert result.detail["beyond_chance"] == 50
    with pytest.raises(ValueError, match="name for each of 50 features, got 1"):
        variance_explained(left, total, ["one"])
    with pytest.raises(ValueError, match="got negative ones"):
        variance_table(-left, total)
    with pytest.raises(ValueError, match="at least two different units"):
        variance_table(left, total, unit=np.zeros(300, dtype=int))
