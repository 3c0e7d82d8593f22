import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.preprocessing import StandardScaler

from unbraid.metrics import (
    FOREST,
    LOGISTIC,
    NEIGHBOURS,
    NEIGHBOURS_REGRESSION,
    RIDGE,
    Probe,
    population_leakage,
    regression_leakage,
)

RNG = np.random.default_rng(0)
POPULATION = np.repeat([0, 1, 2], [200, 100, 50])
NOISE = RNG.normal(size=(350, 4))
PROBES = pytest.mark.parametrize("probe", [LOGISTIC, NEIGHBOURS, FOREST], ids=lambda p: p.name)


def null(result) -> dict:
    found = result.detail["null"]
    assert isinstance(found, dict)
    return found


@PROBES
def test_a_code_that_gives_the_population_away(probe):
    results = population_leakage(NOISE + 10 * np.eye(4)[POPULATION], POPULATION, probe, shuffles=1)
    assert results["accuracy"].value == results["balanced_accuracy"].value == 1
    assert results["accuracy"].protocol == probe.name


@PROBES
def test_a_code_that_knows_nothing_is_at_chance(probe):
    results = population_leakage(NOISE, POPULATION, probe, shuffles=3)
    assert results["accuracy"].chance == pytest.approx(200 / 350)
    assert results["balanced_accuracy"].chance == pytest.approx(1 / 3)
    assert results["balanced_accuracy"].value == pytest.approx(1 / 3, abs=0.1)
    for name, result in results.items():
        assert null(result)["mean"] == pytest.approx(result.value, abs=0.1), name


def test_a_nonlinear_probe_sees_what_a_linear_one_cannot():
    population = np.repeat([0, 1], 200)
    angle = RNG.uniform(0, 2 * np.pi, 400)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (1 + 2 * population[:, None])
    values = [
        population_leakage(ring, population, p, shuffles=1)["accuracy"].value for p in (LOGISTIC, NEIGHBOURS, FOREST)
    ]
    assert values[0] < 0.65
    assert min(values[1:]) > 0.95


def test_accuracies_are_those_of_held_out_predictions():
    codes = NOISE + np.eye(4)[POPULATION] * [100, 1, 1, 1]
    predicted = np.zeros_like(POPULATION)
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(codes, POPULATION):
        scaler = StandardScaler().fit(codes[train])
        model = LOGISTIC.make(0).fit(scaler.transform(codes[train]), POPULATION[train])  # type: ignore[attr-defined]
        predicted[test] = model.predict(scaler.transform(codes[test]))
    results = population_leakage(codes, POPULATION)
    assert results["accuracy"].value == pytest.approx((predicted == POPULATION).mean())
    assert results["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(POPULATION, predicted))


def test_a_population_smaller_than_the_folds_is_refused():
    with pytest.raises(ValueError, match="expected 2 to 4 folds"):
        population_leakage(NOISE[:24], np.repeat([0, 1], [20, 4]))


def test_r2_is_that_of_held_out_predictions():
    factors = NOISE[:, :2] + 0.5 * RNG.normal(size=(350, 2))
    predicted = np.zeros_like(factors)
    for train, test in KFold(5, shuffle=True, random_state=0).split(NOISE):
        scaler = StandardScaler().fit(NOISE[train])
        model = Ridge(1.0).fit(scaler.transform(NOISE[train]), factors[train])
        predicted[test] = model.predict(scaler.transform(NOISE[test]))
    result = regression_leakage(NOISE, factors)
    np.testing.assert_allclose(np.array(result.detail["r2"]), r2_score(factors, predicted, multioutput="raw_values"))
    assert result.interval is not None
    assert 0 < result.interval[1] - result.interval[0] < 0.2


@pytest.mark.parametrize("probe", [RIDGE, NEIGHBOURS_REGRESSION], ids=lambda p: p.name)
def test_codes_that_know_nothing_have_no_r2(probe):
    result = regression_leakage(NOISE, RNG.normal(size=(350, 3)), probe)
    assert result.value < 0.05
    assert null(result)["mean"] < 0.05
    assert null(result)["p"] > 0.05


def test_factors_do_not_depend_on_each_others_units():
    factors = NOISE[:, :2] + 0.5 * RNG.normal(size=(350, 2))
    assert regression_leakage(NOISE, factors * [1, 1e6]).value == pytest.approx(
        regression_leakage(NOISE, factors).value
    )


def test_neighbours_read_a_curve_that_ridge_cannot():
    factors = NOISE[:, :1] ** 2
    codes = NOISE[:, :1]
    assert regression_leakage(codes, factors).value < 0.2
    assert regression_leakage(codes, factors, NEIGHBOURS_REGRESSION).value > 0.7


def test_a_probe_of_ones_own_is_named():
    own = Probe("ridge with penalty 10", lambda seed: Ridge(10.0))
    assert regression_leakage(NOISE, NOISE[:, :1], own).protocol.startswith("ridge with penalty 10")


def test_constant_factors_are_refused():
    factors = np.hstack([NOISE[:, :1], np.full((350, 1), 0.1)])
    with pytest.raises(ValueError, match=r"constant columns \[1\]"):
        regression_leakage(NOISE, factors)
