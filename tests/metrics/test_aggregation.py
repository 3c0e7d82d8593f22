"""Several seeds as one number: what is kept, how wide the interval is, and how often it holds the truth."""

import numpy as np
import pytest
from scipy import stats

from unbraid.metrics import paired_difference, summarise
from unbraid.metrics.aggregation import Method

THIRTY = np.random.default_rng(0).normal(size=30)


@pytest.mark.parametrize(
    ("choice", "larger", "kept", "which"),
    [
        ({}, True, (0.3, 0.1, 0.2), "all"),
        ({"best": 2}, True, (0.3, 0.2), "best 2 of 3"),
        ({"best": 2}, False, (0.1, 0.2), "best 2 of 3"),
        ({"worst": 2}, True, (0.1, 0.2), "worst 2 of 3"),
        ({"worst": 1}, False, (0.3,), "worst 1 of 3"),
        ({"best": 3}, True, (0.3, 0.1, 0.2), "best 3 of 3"),
    ],
)
def test_the_mean_is_of_those_that_are_kept(choice, larger, kept, which):
    found = summarise([0.3, 0.1, 0.2], larger_is_better=larger, **choice)
    assert (found.kept, found.which, found.values) == (kept, which, (0.3, 0.1, 0.2))
    assert found.mean == pytest.approx(np.mean(kept))
    assert found.low < found.mean < found.high


def test_few_seeds_have_student_s_interval():
    found = summarise([0.81, 0.86, 0.84])
    expected = stats.t.interval(0.95, 2, loc=np.mean(found.values), scale=stats.sem(found.values))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.method == "t"


@pytest.mark.parametrize(
    ("count", "best", "method"), [(9, None, "t"), (10, None, "bootstrap"), (30, 10, "bootstrap"), (30, 9, "t")]
)
def test_the_method_follows_the_number_kept(count, best, method):
    assert summarise(THIRTY[:count], best=best, resamples=100).method == method


def test_the_bootstrap_agrees_with_scipy_at_the_widened_level():
    found = summarise(THIRTY, confidence=0.9, method="bootstrap")
    level = float(stats.norm.cdf(-np.sqrt(30 / 29) * stats.t.ppf(0.95, 29)))
    other = stats.bootstrap(
        (THIRTY,), np.mean, confidence_level=1 - 2 * level, method="percentile", n_resamples=10_000, rng=1
    )
    np.testing.assert_allclose((found.low, found.high), other.confidence_interval, atol=0.02)


def test_selection_is_done_again_in_every_resample():
    """An interval of the ten best alone would be narrower than what ten best of thirty other seeds would give."""
    chosen, alone = summarise(THIRTY, best=10), summarise(np.sort(THIRTY)[-10:])
    assert chosen.mean == pytest.approx(alone.mean)
    assert chosen.high - chosen.low > 1.2 * (alone.high - alone.low)


@pytest.mark.parametrize("best", [None, 2])
def test_equal_values_have_an_interval_of_no_width(best):
    found = summarise([0.5] * 4, best=best)
    assert (found.low, found.mean, found.high) == (0.5, 0.5, 0.5)


def test_one_value_has_no_interval():
    found = summarise([0.81], best=1)
    assert found.mean == 0.81
    assert np.isnan([found.low, found.high]).all()
    assert found.method == "none"


@pytest.mark.parametrize("best", [None, 4])
def test_mirrored_values_have_a_mirrored_interval(best):
    found = summarise(THIRTY, best=best)
    mirrored = summarise(-THIRTY, best=best, larger_is_better=False)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


def test_the_seed_decides_the_interval():
    first, again, other = (summarise(THIRTY, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.low != other.low


@pytest.mark.parametrize(("method", "share"), [("t", 0.95), ("bootstrap", 0.75)])
def test_the_stated_coverage_at_three_seeds(method: Method, share: float):
    """As docs/metrics/aggregation.md says."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        found = summarise(rng.normal(size=3), resamples=300, method=method)
        held += found.low <= 0 <= found.high
    assert held / 400 == pytest.approx(share, abs=0.05)


def test_pairs_are_matched_by_seed():
    common = {seed: float(seed) for seed in range(6)}  # what a seed does to both
    first = {**{seed: value + 0.1 for seed, value in common.items()}, 9: 100.0}
    found = paired_difference(first, dict(reversed(common.items())))
    np.testing.assert_allclose(found.values, 0.1)
    assert found.high - found.low < 1e-9
    assert (found.which, found.wins) == ("6 pairs", 6)


@pytest.mark.parametrize(("larger", "wins"), [(True, 1), (False, 2)])
def test_wins_are_strict(larger, wins):
    found = paired_difference({0: 1.0, 1: 2.0, 2: 2.0, 3: 1.0}, {0: 2.0, 1: 1.0, 2: 2.0, 3: 1.5}, larger)
    assert found.wins == wins


def test_a_single_pair_has_no_interval():
    found = paired_difference({3: 1.0}, {3: 0.5})
    assert (found.mean, found.which, found.method) == (0.5, "1 pair", "none")


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, "at least one number"),
        ([0.1, np.nan], {}, "finite values"),
        ([0.1, 0.2], {"best": 1, "worst": 1}, "best or worst"),
        ([0.1, 0.2], {"best": 3}, "best in 1 to 2"),
        ([0.1, 0.2], {"worst": 0}, "worst in 1 to 2"),
        ([0.1, 0.2], {"confidence": 95.0}, "between 0 and 1"),
        ([0.1, 0.2], {"resamples": 0}, "1 resample"),
    ],
)
def test_what_cannot_be_summarised_is_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        summarise(values, **options)


def test_no_common_seed_is_refused():
    with pytest.raises(ValueError, match=r"got \[0\] and \[1, 2\]"):
        paired_difference({0: 1.0}, {2: 1.0, 1: 1.0})
