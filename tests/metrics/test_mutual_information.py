"""Bins and mutual information against NumPy's histogram and scikit-learn, pair by pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from unbraid.metrics.mutual_information import binned, information, information_levels, varying


def example(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, (2, 5, 30), (n, 3))
    return np.hstack([factors, rng.normal(size=(n, 2))]) + rng.normal(size=(n, 5)), factors


@given(st.integers(0, 10_000), st.integers(2, 40))
def test_bins_are_those_of_a_histogram(seed, bins):
    codes, _ = example(seed)
    for column, numbers in enumerate(binned(codes, bins).T):
        np.testing.assert_array_equal(np.bincount(numbers, minlength=bins), np.histogram(codes[:, column], bins)[0])
        edges = np.histogram(codes[:, column], bins)[1]
        np.testing.assert_array_equal(numbers, np.digitize(codes[:, column], edges[:-1]) - 1)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(2, 40))
def test_information_is_that_of_every_pair(seed, bins):
    codes, factors = example(seed)
    numbers = binned(codes, bins)
    ours = information(numbers, factors)
    pairs = [[mutual_info_score(factor, number) for factor in factors.T] for number in numbers.T]
    np.testing.assert_allclose(ours.mutual, pairs, atol=1e-12)
    np.testing.assert_allclose(ours.of_factors, [mutual_info_score(f, f) for f in factors.T], atol=1e-12)
    np.testing.assert_allclose(ours.of_codes, [mutual_info_score(c, c) for c in numbers.T], atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 1e300])
def test_a_constant_column_is_one_bin_and_tells_nothing(value):
    codes = np.full((50, 1), value)
    assert not varying(codes).any()
    assert not binned(codes, 20).any()
    known = information(binned(codes, 20), np.arange(50)[:, None] % 5)
    assert known.mutual.item() == known.of_codes.item() == 0


def test_rounding_error_is_constant():
    codes = np.stack([0.3 + 1e-15 * np.arange(50), 1e-9 * np.arange(50)], axis=1)
    assert varying(codes).tolist() == [False, True]


def test_values_that_do_not_occur_count_for_nothing():
    factors = np.array([[0], [3], [3], [0], [7], [7]])
    assert information(factors, factors).mutual.item() == pytest.approx(np.log(3))


def test_independent_codes_get_the_bias_of_the_estimate():
    rng = np.random.default_rng(0)
    known = [information(rng.integers(0, 8, (500, 1)), rng.integers(0, 5, (500, 1))).mutual.item() for _ in range(300)]
    assert np.mean(known) == pytest.approx(7 * 4 / 1000, rel=0.1)


def test_levels_are_of_permuted_rows_and_of_the_perfect_code():
    factors = example(0)[1]
    chance, ceiling = information_levels(lambda known: known.mutual.max(), factors, factors, factors, 0)
    assert ceiling == pytest.approx(information(factors, factors).of_factors.max())
    assert chance < ceiling


def test_one_bin_is_refused():
    with pytest.raises(ValueError, match="at least 2 bins, got 1"):
        binned(np.arange(5.0)[:, None], 1)
