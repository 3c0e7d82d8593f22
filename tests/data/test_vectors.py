import numpy as np
import pytest

from unbraid.data import TwoPopulationVectors


@pytest.mark.parametrize("counts", [(7, 50), (50, 7), (1, 1)])
def test_populations_have_the_stated_counts(counts: tuple[int, int]):
    data = TwoPopulationVectors(counts=counts)
    assert data.population is not None
    assert tuple(np.bincount(data.population)) == counts
    assert data.shared_factors.shape == data.private_factors.shape == (sum(counts), 2)


def test_linear_data_have_the_stated_covariance():
    data = TwoPopulationVectors(counts=(100_000, 60_000), features=6, shared=3, private=1, noise=0.5)
    assert data.shared_loadings is not None
    assert data.private_loadings is not None
    for k, own in enumerate(data.private_loadings):
        exact = data.shared_loadings @ data.shared_loadings.T + own @ own.T + 0.25 * np.eye(6)
        np.testing.assert_allclose(np.cov(data.x[data.population == k].T), exact, atol=0.1)  # four standard errors


def test_linear_data_without_noise_are_their_factors_times_loadings():
    data = TwoPopulationVectors(counts=(30, 20), noise=0.0)
    assert data.shared_loadings is not None
    assert data.private_loadings is not None
    own = np.einsum("nfp,np->nf", data.private_loadings[data.population], data.private_factors)
    np.testing.assert_allclose(data.x, data.shared_factors @ data.shared_loadings.T + own, atol=1e-5)


def test_nonlinear_data_are_no_linear_function_of_their_factors():
    data = TwoPopulationVectors(counts=(5000, 1), nonlinear=True, noise=0.0)
    assert data.shared_loadings is None
    assert data.private_loadings is None
    factors = np.hstack([data.shared_factors, data.private_factors, np.ones((5001, 1))])[data.population == 0]
    x = data.x[data.population == 0]
    rest = x - factors @ np.linalg.lstsq(factors, x)[0]
    assert 0.1 < rest.var() / x.var() < 0.6  # a matrix explains part of it


@pytest.mark.parametrize("nonlinear", [False, True])
def test_each_map_adds_a_variance_of_about_one(nonlinear: bool):
    data = TwoPopulationVectors(counts=(5000, 5000), features=200, nonlinear=nonlinear, noise=0.0)
    assert 1.5 < data.x.var(0).mean() < 2.5


def test_splits_share_maps_but_no_samples():
    train, test = TwoPopulationVectors("train"), TwoPopulationVectors("test")
    np.testing.assert_array_equal(train.shared_loadings, test.shared_loadings)
    np.testing.assert_array_equal(train.private_loadings, test.private_loadings)
    assert set(map(bytes, train.x)).isdisjoint(map(bytes, test.x))


def test_seeds_differ_in_maps_and_samples():
    first, second = TwoPopulationVectors(seed=0), TwoPopulationVectors(seed=1)
    assert set(map(bytes, first.shared_factors)).isdisjoint(map(bytes, second.shared_factors))
    assert first.shared_loadings is not None
    assert second.shared_loadings is not None
    assert not np.isin(first.shared_loadings, second.shared_loadings).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "training"}, "training"),
        ({"counts": (10, 0)}, "each of counts to be at least 1, got 0"),
        ({"counts": (10, 10, 10)}, "expected two counts"),
        ({"features": 0}, "features to be at least 1"),
        ({"shared": 0}, "shared to be at least 1"),
        ({"private": -1}, "private to be at least 1"),
        ({"noise": -0.1}, "noise to be finite"),
        ({"noise": float("nan")}, "noise to be finite"),
    ],
)
def test_bad_arguments_raise(arguments: dict, message: str):
    # TypeError: where annotations are checked, a wrong literal stops there already
    with pytest.raises((ValueError, TypeError), match=message):
        TwoPopulationVectors(**arguments)
