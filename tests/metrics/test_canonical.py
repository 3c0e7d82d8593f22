import numpy as np
import pytest
from scipy.linalg import eigh
from sklearn.cross_decomposition import CCA

from unbraid.metrics import canonical_correlation

RNG = np.random.default_rng(0)
FACTORS = RNG.normal(size=(300, 3))
CODES = np.hstack([FACTORS @ RNG.normal(size=(3, 4)) + RNG.normal(size=(300, 4)), RNG.normal(size=(300, 2))])


def correlations(codes, factors):
    return np.array(canonical_correlation(codes, factors).detail["correlations"])


def by_eigenvalues(codes, factors):
    """Square roots of the eigenvalues of Syx Sxx^-1 Sxy against Syy."""
    x, y = codes - codes.mean(0), factors - factors.mean(0)
    explained = y.T @ x @ np.linalg.solve(x.T @ x, x.T @ y)
    return np.sqrt(eigh(explained, y.T @ y, eigvals_only=True)[::-1])


def test_agrees_with_the_eigenvalue_definition():
    np.testing.assert_allclose(correlations(CODES, FACTORS), by_eigenvalues(CODES, FACTORS), rtol=1e-10)


def test_agrees_with_scikit_learn():
    left, right = CCA(3, tol=1e-10, max_iter=5000).fit_transform(CODES, FACTORS)
    found = [np.corrcoef(left[:, i], right[:, i])[0, 1] for i in range(3)]
    np.testing.assert_allclose(correlations(CODES, FACTORS), found, rtol=1e-5)


def test_blind_to_affine_maps_of_both_sides():
    codes = CODES @ RNG.normal(size=(6, 6)) * 1e-6 + 40
    factors = FACTORS @ RNG.normal(size=(3, 3)) * [1, 1e5, 1e-5]
    np.testing.assert_allclose(correlations(codes, factors), correlations(CODES, FACTORS), rtol=1e-6)


def test_dependent_dimensions_change_nothing():
    dependent = np.hstack([CODES, CODES[:, :2], np.full((300, 1), 0.1), CODES @ RNG.normal(size=(6, 2))])
    result = canonical_correlation(dependent, np.hstack([FACTORS, FACTORS[:, :1], np.ones((300, 1))]))
    assert (result.detail["rank_codes"], result.detail["rank_factors"]) == (6, 3)
    np.testing.assert_allclose(np.array(result.detail["correlations"]), correlations(CODES, FACTORS), rtol=1e-8)


def test_missing_dimensions_count_as_zero():
    result = canonical_correlation(FACTORS[:, :1], FACTORS)
    np.testing.assert_allclose(np.array(result.detail["correlations"]), [1, 0, 0], atol=1e-12)
    assert result.value == pytest.approx(1 / 3)


def test_unrelated_codes_are_at_chance():
    result = canonical_correlation(RNG.normal(size=(300, 6)), FACTORS)
    assert result.value == pytest.approx(result.chance, abs=0.05)


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="more samples than latents plus factors"):
        canonical_correlation(CODES[:9], FACTORS[:9])


def test_factors_that_never_vary_are_refused():
    with pytest.raises(ValueError, match="at least one factor that varies"):
        canonical_correlation(CODES, np.full((300, 2), 0.1))
