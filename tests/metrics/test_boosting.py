"""Our boosted trees against scikit-learn's, whose algorithm they follow."""

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from unbraid.metrics._boosting import boosted


def rows(classes: int, n: int = 400, columns: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two columns that speak of the class, one less, and noise; no two values are equal."""
    rng = np.random.default_rng(seed)
    y = rng.integers(classes, size=n)
    x = rng.normal(size=(n, columns))
    x[:, 0] += y
    x[:, 1] += 2 * (y % 2)
    return x, y


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("settings", [(30, 3, 0.1), (10, 1, 0.5), (10, 4, 0.1)], ids=str)
def test_exhaustive_search_is_scikit_learns(classes, settings):
    x, y = rows(classes)
    stages, depth, rate = settings
    theirs = GradientBoostingClassifier(n_estimators=stages, max_depth=depth, learning_rate=rate, random_state=0)
    theirs.fit(x[:300], y[:300])
    ours = boosted(x[:300], y[:300], stages, depth, rate, bins=300)
    np.testing.assert_allclose(ours.importance, theirs.feature_importances_, atol=0.01)
    assert (ours.predict(x) == theirs.predict(x)).mean() >= 0.97


@pytest.mark.parametrize("bins", [16, 64, 256])
def test_histograms_change_little(bins):
    x, y = rows(5, n=3000)
    found, exhaustive = (boosted(x[:2000], y[:2000], 40, bins=count) for count in (bins, 2000))
    np.testing.assert_allclose(found.importance, exhaustive.importance, atol=0.02)
    right, best = ((trees.predict(x[2000:]) == y[2000:]).mean() for trees in (found, exhaustive))
    assert abs(right - best) < 0.02


def test_a_single_row_at_the_end_of_a_bin_is_found():
    x = np.arange(1000.0)[:, None]
    y = (x[:, 0] >= 997).astype(int)
    trees = boosted(x, y, stages=1, bins=4)
    assert trees.threshold[0, 0, 0] == 996.5
    assert (trees.predict(x) == y).mean() >= 0.997


def test_thresholds_lie_between_the_values_of_a_node():
    x = np.repeat([0.0, 1, 4, 10], 30)[:, None]
    y = np.repeat([0, 0, 1, 1], 30)
    trees = boosted(x, y, stages=20)
    np.testing.assert_array_equal(trees.predict(np.array([[2.4], [2.6]])), [0, 1])


@pytest.mark.parametrize("n", [400, 3000])
def test_equal_columns_share_what_they_gain(n):
    x, y = rows(3, n)
    importance = boosted(np.hstack([x, x[:, :1], -x[:, :1]]), y, 20).importance
    np.testing.assert_allclose(importance[[0, 0]], importance[[4, 5]], atol=0.002)


def test_classes_may_have_any_numbers():
    x, y = rows(3)
    names = np.array([-7, 40, 1000])
    plain, named = boosted(x, y, 10), boosted(x, names[y], 10)
    np.testing.assert_array_equal(names[plain.predict(x)], named.predict(x))
    np.testing.assert_array_equal(plain.importance, named.importance)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.zeros((20, 2)), np.arange(20) % 3),
        (np.random.default_rng(0).normal(size=(20, 2)), np.full(20, 5)),
        (np.full((3, 1), 1e300), np.array([0, 1, 1])),
    ],
    ids=["constant columns", "one class", "huge"],
)
def test_nothing_to_split_gives_no_importance(x, y):
    trees = boosted(x, y, 5)
    assert trees.importance.tolist() == [0] * x.shape[1]
    kinds, counts = np.unique(y, return_counts=True)
    assert set(trees.predict(x)) <= set(kinds[counts == counts.max()])


@pytest.mark.parametrize(
    "change", [lambda x: 1e-9 * x, lambda x: 1e9 * x + 5e9, np.sinh], ids=["small", "far", "curved"]
)
def test_only_the_order_of_values_matters(change):
    x, y = rows(4)
    plain, changed = boosted(x, y, 15), boosted(change(x), y, 15)
    np.testing.assert_allclose(plain.importance, changed.importance, atol=1e-6)
    np.testing.assert_array_equal(plain.predict(x), changed.predict(change(x)))


@pytest.mark.parametrize("n", [2, 3, 7])
def test_few_rows(n):
    x, y = np.arange(2.0 * n).reshape(n, 2), np.arange(n) % 2
    trees = boosted(x, y, 50)
    assert np.isfinite(trees.value).all()
    np.testing.assert_array_equal(trees.predict(x), y)


def test_more_rows_than_a_small_integer_counts():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=70_000)
    x = rng.normal(size=(70_000, 2)) + y[:, None] * [2, 0]
    trees = boosted(x, y, 3)
    assert trees.importance[0] > 0.99
    assert (trees.predict(x) == y).mean() > 0.8


def test_a_factor_that_only_two_columns_tell_together():
    x = np.random.default_rng(0).integers(0, 2, size=(400, 2)).astype(float)
    y = (x[:, 0] != x[:, 1]).astype(int)
    assert (boosted(x, y, 20).predict(x) == y).all()


def test_the_seed_settles_everything():
    x, y = rows(3)
    x = np.round(x)
    first, again, other = (boosted(x, y, 10, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.importance, again.importance)
    np.testing.assert_allclose(first.importance, other.importance, atol=0.02)
