"""Interventional robustness against a literal reading of its definition."""

import numpy as np
import pytest

from unbraid.metrics.irs import IRS_DLIB, IRSProtocol, irs


def example(n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    factors = rng.integers(0, (2, 4, 35), (n, 3))
    return factors @ rng.normal(size=(3, 4)) + rng.normal(size=(n, 4)), factors


def literal(codes: np.ndarray, groups: np.ndarray, quantile: float) -> float:
    scores, largest = [], []
    for code in codes.T:
        furthest, robust = np.abs(code - code.mean()).max(), []
        for group in groups.T:
            kept = [code[group == value] for value in sorted(set(group.tolist()))]
            robust.append(1 - np.mean([np.quantile(np.abs(k - k.mean()), quantile) for k in kept]) / furthest)
        scores.append(max(robust))
        largest.append(furthest)
    return float(np.average(scores, weights=largest))


@pytest.mark.parametrize("quantile", [0.5, 0.99, 1.0])
@pytest.mark.parametrize("bins", [None, 20])
def test_agrees_with_the_literal_definition(quantile, bins):
    codes, factors = example()
    groups = factors.copy()
    if bins:
        edges = np.histogram(factors[:, 2], bins)[1][:-1]
        groups[:, 2] = np.digitize(factors[:, 2], edges)
    result = irs(codes, factors, IRSProtocol(quantile, bins))
    assert result.value == pytest.approx(literal(codes, groups, quantile), abs=1e-12)
    assert result.protocol == "custom"


def test_the_values_of_factors_are_binned_not_their_ranks():
    codes, factors = example()
    factors[:, 2] = factors[:, 2] ** 2
    groups = factors.copy()
    groups[:, 2] = np.digitize(factors[:, 2], np.histogram(factors[:, 2], 20)[1][:-1])
    assert irs(codes, factors).value == pytest.approx(literal(codes, groups, 0.99), abs=1e-12)


def test_a_dead_code_has_its_levels():
    _, factors = example()
    result = irs(np.full((500, 2), 3.0), factors)
    assert (result.value, result.chance) == (0, 0)
    assert result.ceiling == irs(factors, factors).ceiling


def test_weights_are_by_the_largest_deviation():
    codes, factors = example()
    codes[:, 0] *= 1e4
    result = irs(codes, factors)
    assert result.value == pytest.approx(np.array(result.detail["scores"])[0], abs=1e-2)
    assert np.array(result.detail["weights"])[0] > 0.99


def test_bins_of_factors_lower_the_ceiling():
    factors = np.stack(np.unravel_index(np.arange(120), (3, 40)), axis=1)
    assert irs(factors.astype(float), factors, IRSProtocol(factor_bins=None)).ceiling == 1
    ceiling = irs(factors.astype(float), factors, IRS_DLIB).ceiling
    assert ceiling is not None
    assert 0.95 < ceiling < 1


@pytest.mark.parametrize("fields", [{"quantile": 0}, {"quantile": 1.1}, {"factor_bins": 1}])
def test_impossible_protocols_are_refused(fields):
    with pytest.raises(ValueError, match="expected"):
        IRSProtocol(**fields)
