"""Separated attribute predictability against one scikit-learn classifier, and one covariance, a pair."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import LinearSVC

from unbraid.metrics._margins import classes, line, separate
from unbraid.metrics.sap import SAP_DLIB_CONTINUOUS, SAPProtocol, sap

TRAIN = 500


def example(seed: int, n: int = 800) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, (2, 4, 9), (n, 3))
    codes = np.stack([factors[:, 0], factors[:, 1], factors[:, 2] / 3, factors.sum(axis=1), np.zeros(n)], axis=1)
    return codes + 0.3 * rng.normal(size=codes.shape), factors


@settings(max_examples=30)
@given(
    st.integers(0, 10_000), st.sampled_from([2, 3, 7]), st.sampled_from([0.01, 1, 30]), st.sampled_from([0, -5, 1e3])
)
def test_the_minimum_is_liblinear_s(seed, kinds, scale, shift):
    rng = np.random.default_rng(seed)
    factor = np.concatenate([np.arange(kinds), rng.integers(0, kinds, 200)])
    values = (factor / kinds + rng.normal(size=len(factor))) * scale + shift
    slopes, offsets = separate(line(values), classes(factor[:, None], 0.01))
    machine = LinearSVC(C=0.01, class_weight="balanced", tol=1e-9, max_iter=100_000)
    machine.fit(values[:, None], factor)
    if kinds == 2:
        slopes, offsets = slopes[1:], offsets[1:]
    np.testing.assert_allclose(slopes, machine.coef_[:, 0], atol=2e-5)
    np.testing.assert_allclose(offsets, machine.intercept_, atol=2e-5)


def test_two_classes_are_one_machine():
    codes, factors = example(0)
    slopes, offsets = separate(line(codes[:, 0]), classes(factors[:, :1], 0.01))
    np.testing.assert_allclose([slopes[0], offsets[0]], [-slopes[1], -offsets[1]], atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_accuracies_are_scikit_learn_s(seed):
    codes, factors = example(seed)
    scores = np.empty((5, 3))
    for latent, factor in np.ndindex(5, 3):
        machine = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
        machine.fit(codes[:TRAIN, [latent]], factors[:TRAIN, factor])
        scores[latent, factor] = machine.score(codes[TRAIN:, [latent]], factors[TRAIN:, factor])
    result = sap(codes, factors, TRAIN)
    np.testing.assert_allclose(np.array(result.detail["scores"]), scores, atol=0.01)
    ordered = np.sort(scores, axis=0)
    assert result.value == pytest.approx((ordered[-1] - ordered[-2]).mean(), abs=0.01)


def test_continuous_scores_are_squared_correlations():
    codes, factors = example(0)
    factors = factors**3
    result = sap(codes, factors, TRAIN, SAP_DLIB_CONTINUOUS)
    expected = np.corrcoef(codes[:TRAIN].T, factors[:TRAIN].T)[:5, 5:] ** 2
    np.testing.assert_allclose(np.array(result.detail["scores"]), expected, atol=1e-12)
    assert sap(codes[:TRAIN], factors[:TRAIN], protocol=SAP_DLIB_CONTINUOUS).value == pytest.approx(result.value)


def test_a_variance_that_the_reference_ignores_scores_zero():
    codes, factors = example(0)
    codes[:, 0] *= 1e-7
    assert not np.array(sap(codes, factors, protocol=SAP_DLIB_CONTINUOUS).detail["scores"])[0].any()


def test_the_discrete_protocol_depends_on_scale_and_the_continuous_one_does_not():
    factors = example(0)[1]
    codes = factors.astype(float)
    assert sap(codes, factors, TRAIN).value > sap(codes / 30, factors, TRAIN).value + 0.05
    small, large = (sap(c, factors, TRAIN, SAP_DLIB_CONTINUOUS).value for c in (codes / 30, codes))
    assert small == pytest.approx(large)


@pytest.mark.parametrize("scale", [1e-150, 1e-20, 1.0, 1e6, 1e20, 1e120])
def test_any_scale_gives_a_number(scale):
    codes, factors = example(0)
    assert 0 <= sap(codes * scale, factors, TRAIN).value <= 1


def test_values_that_are_only_held_out_are_never_predicted():
    codes, factors = example(0)
    factors[TRAIN:, 1] = 4
    factors[:TRAIN, 2] = 1
    result = sap(codes, factors, TRAIN)
    assert np.array(result.detail["scores"])[:, 1].tolist() == [0] * 5
    assert 0 <= result.value <= 1


def test_rows_are_held_out_by_the_seed():
    codes, factors = example(0)
    assert sap(codes, factors, seed=1) == sap(codes, factors, seed=1)
    assert sap(codes, factors, seed=1).parameters == {"penalty": 0.01, "train": 534, "test": 266}


def test_impossible_protocols_and_splits_are_refused():
    with pytest.raises(ValueError, match="expected a positive penalty, got 0"):
        SAPProtocol(penalty=0)
    with pytest.raises(ValueError, match="at least two rows to fit on"):
        sap(*example(0), 799)
