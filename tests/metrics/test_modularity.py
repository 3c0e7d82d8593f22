"""Modularity and explicitness against literal readings of their definitions."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from unbraid.metrics.explicitness import ExplicitnessProtocol, explicitness
from unbraid.metrics.modularity import ModularityProtocol, modularity


def example(n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    factors = rng.integers(0, (2, 4, 5), (n, 3))
    return factors @ rng.normal(size=(3, 4)) + rng.normal(size=(n, 4)), factors


def test_modularity_follows_from_the_information():
    result = modularity(*example())
    expected = []
    for row in np.array(result.detail["mutual_information"]):
        ordered = sorted(row)
        expected.append(1 - sum(m**2 for m in ordered[:-1]) / (ordered[-1] ** 2 * 2))
    np.testing.assert_allclose(np.array(result.detail["scores"]), expected)
    assert result.value == pytest.approx(np.mean(expected))


def test_constant_dimensions_are_left_out_and_the_other_mean_is_told():
    codes, factors = example()
    result = modularity(np.insert(codes, 1, 3.0, axis=1), factors)
    assert result.value == pytest.approx(modularity(codes, factors).value)
    assert result.detail["with_constant_as_zero"] == pytest.approx(0.8 * result.value)
    assert np.array(result.detail["scores"])[1] is None


def test_a_dimension_that_tells_nothing_scores_zero():
    factors = np.stack(np.unravel_index(np.arange(60), (3, 4, 5)), axis=1)
    codes = factors[:, [0, 2]].astype(float)
    assert modularity(codes, factors[:, :2]).detail["scores"] == pytest.approx([1, 0])


def test_one_factor_has_no_other():
    codes, factors = example()
    assert modularity(codes, factors[:, :1]).value == 1


def test_duplicates_are_as_modular():
    factors = example()[1]
    once, twice = modularity(factors.astype(float), factors), modularity(factors[:, [0, 1, 2, 0, 1, 2]] * 1.0, factors)
    assert twice.value == pytest.approx(once.value)


@pytest.mark.parametrize("train", [300, 450])
def test_explicitness_is_scikit_learn_s(train):
    codes, factors = example()
    scaled, areas = (codes - codes[:train].mean(axis=0)) / codes[:train].std(axis=0), []
    for factor in factors.T:
        chances = LogisticRegression().fit(scaled[:train], factor[:train]).predict_proba(scaled[train:])
        areas.append(roc_auc_score(np.eye(factor.max() + 1)[factor[train:]], chances))
    result = explicitness(codes, factors, train)
    np.testing.assert_allclose(np.array(result.detail["areas"]), areas, atol=1e-12)
    assert result.value == pytest.approx(np.mean(areas))


def test_values_that_are_not_held_out_have_no_area():
    codes, factors = example(60)
    factors[40:, 2] = 1
    factors[:40, 2] = np.arange(40) % 3
    factors[40:, 1] = np.arange(20) % 2
    result = explicitness(codes, factors, 40)
    assert np.array(result.detail["areas"])[2] == 0.5
    assert 0 <= result.value <= 1


def test_a_held_out_part_is_drawn_from_the_seed():
    codes, factors = example()
    assert explicitness(codes, factors, seed=1) == explicitness(codes, factors, seed=1)
    assert explicitness(codes, factors, seed=1).value != explicitness(codes, factors, seed=2).value


@pytest.mark.parametrize("make", [lambda: ModularityProtocol(1), lambda: ExplicitnessProtocol(penalty=0)])
def test_impossible_protocols_are_refused(make):
    with pytest.raises(ValueError, match="expected"):
        make()
