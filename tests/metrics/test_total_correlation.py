"""Gaussian total correlation against its formula, and what is said where that is infinite."""

import numpy as np
import pytest

from unbraid.metrics.total_correlation import gaussian_total_correlation


def gaussian(correlation: float, n: int = 100_000) -> np.ndarray:
    return np.random.default_rng(0).multivariate_normal([1, -2], [[4, 2 * correlation], [2 * correlation, 1]], n)


@pytest.mark.parametrize("correlation", [0.0, 0.5, -0.9, 0.999])
def test_two_dimensions_in_closed_form(correlation):
    expected = -0.5 * np.log(1 - correlation**2)
    assert gaussian_total_correlation(gaussian(correlation)).value == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("dimensions", [2, 5, 10])
def test_agrees_with_the_log_determinant(dimensions):
    rng = np.random.default_rng(dimensions)
    codes = rng.normal(size=(300, dimensions)) @ rng.normal(size=(dimensions, dimensions)) + 100
    covariance = np.cov(codes.T)
    expected = 0.5 * (np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1])
    assert gaussian_total_correlation(codes).value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("copies", [1, 2, 3])
def test_each_dependent_direction_counts_the_same(copies):
    codes = gaussian(0.5, 1000)
    result = gaussian_total_correlation(np.hstack([codes, *[3 * codes[:, :1] - 1] * copies]))
    assert result.detail["dependent"] == copies
    assert f"directions: {copies}," in str(result.detail["note"])
    single = gaussian_total_correlation(codes).value
    assert result.value == pytest.approx(single + copies * 0.5 * np.log(1e14), rel=0.05)


def test_fewer_rows_than_dimensions_are_dependent():
    result = gaussian_total_correlation(np.random.default_rng(0).normal(size=(4, 10)))
    assert result.detail["dependent"] == 7
    assert np.isfinite(result.value)


def test_chance_is_what_independent_dimensions_get():
    codes = np.random.default_rng(0).normal(size=(500, 6))
    assert gaussian_total_correlation(codes).chance == pytest.approx(6 * 5 / (4 * 500), rel=0.3)


def test_a_rotation_of_equal_variances_changes_nothing():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(500, 4))
    codes = np.linalg.qr(codes - codes.mean(axis=0))[0]
    rotated = codes @ np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert gaussian_total_correlation(rotated).value == pytest.approx(0, abs=1e-9)
