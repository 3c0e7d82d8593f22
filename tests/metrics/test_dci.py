"""DCI against the reference's golden values, scikit-learn and its own definition."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Lasso

from unbraid.metrics.dci import DCI_DLIB, DCI_QEDR_LASSO, DCI_QEDR_RF, DCIBoosting, DCIForest, DCILasso, dci

GOLDEN = os.environ.get("UNBRAID_TEST_GOLDEN")
NAMES = ("dci_disentanglement", "dci_completeness", "dci_informativeness")
FEW = DCIBoosting(stages=15)
PROTOCOLS = [FEW, DCI_QEDR_LASSO, DCI_QEDR_RF]
each = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: type(protocol).__name__)


def made(seed: int = 0, n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Codes of three factors with noise, two of them mixed, and a dimension of noise."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, (2, 4, 5), size=(n, 3))
    mixing = np.array([[1, 0, 0, 0], [0, 1, 0.7, 0], [0, -0.7, 1, 0]])
    return factors @ mixing + rng.normal(size=(n, 4)) * [0.2, 0.2, 0.2, 1], factors


def values(codes, factors, protocol, **more) -> list[float]:
    return [result.value for result in dci(codes, factors, protocol=protocol, shuffles=0, **more).values()]


@pytest.mark.slow
@pytest.mark.skipif(
    GOLDEN is None, reason="UNBRAID_TEST_GOLDEN names no folder: DCI is NOT compared with the reference"
)
@pytest.mark.parametrize("case", ["identity_noise", "rotation", "mix", "duplicate"])
def test_agrees_with_the_reference(case):
    folder = Path(str(GOLDEN))
    arrays = np.load(folder / "metrics.npz")
    expected = json.loads((folder / "metrics.json").read_text())[case]["dci"]
    found = dci(arrays[f"{case}.codes"], arrays[f"{case}.factors"], test_from=2000, shuffles=0)
    assert found["dci_disentanglement"].value == pytest.approx(expected["disentanglement"], abs=0.02)
    assert found["dci_completeness"].value == pytest.approx(expected["completeness"], abs=0.02)
    assert found["dci_informativeness"].value == pytest.approx(expected["informativeness_test"], abs=0.02)
    assert found["dci_informativeness"].detail["train"] == pytest.approx(expected["informativeness_train"], abs=0.02)
    importance, theirs = np.array(found["dci_disentanglement"].detail["importance"]), np.array(expected["importance"])
    if case == "duplicate":  # which of two copies is split is chance there; ours share
        importance, theirs = (table[1:5] for table in (importance, theirs))
    np.testing.assert_allclose(importance, theirs, atol=0.02)
    telling = theirs > 0.1
    assert (importance > 0.1).tolist() == telling.tolist()


def test_scores_are_the_definition():
    codes, factors = made()
    found = dci(codes, factors, protocol=FEW, shuffles=0)
    table = np.array(found["dci_disentanglement"].detail["importance"])

    def entropy(shares, base):
        return -sum(p * np.log(p) for p in shares if p > 0) / np.log(base)

    total = table.sum()
    of_latents = [(1 - entropy(line / line.sum(), 3)) * line.sum() / total for line in table if line.sum()]
    of_factors = [(1 - entropy(line / line.sum(), 4)) * line.sum() / total for line in table.T]
    assert found["dci_disentanglement"].value == pytest.approx(sum(of_latents))
    assert found["dci_completeness"].value == pytest.approx(sum(of_factors))


@pytest.mark.parametrize("kind", ["lasso", "forest"])
def test_regressions_are_scikit_learns(kind):
    codes, factors = made()
    protocol = DCILasso(0.05) if kind == "lasso" else DCIForest(4, (2, 3, 4))
    result = dci(codes, factors, 400, protocol, seed=3, shuffles=0)["dci_informativeness"]
    x = (codes - codes[:400].mean(axis=0)) / codes[:400].std(axis=0)
    for factor in range(3):
        y = (factors[:, factor] - factors[:400, factor].mean()) / factors[:400, factor].std()
        reader = Lasso(0.05) if kind == "lasso" else RandomForestRegressor(4, max_depth=factor + 2, random_state=3)
        reader.fit(x[:400], y[:400])
        importance = np.abs(reader.coef_) if isinstance(reader, Lasso) else reader.feature_importances_
        error = np.sqrt(np.mean((reader.predict(x[400:]) - y[400:]) ** 2)) / y[400:].std()
        np.testing.assert_allclose(np.array(result.detail["importance"])[:, factor], importance, atol=1e-8)
        assert np.array(result.detail["of_factors"])[factor] == pytest.approx(error)


@pytest.mark.parametrize("protocol", [DCI_QEDR_LASSO, DCIForest(10, (12, 10, 3), "qedr-rf")], ids=["lasso", "forest"])
def test_real_factors_are_regressed_as_they_are(protocol):
    rng = np.random.default_rng(0)
    factors = rng.uniform(0, (2 * np.pi, np.pi / 2, 1), (1200, 3))
    perfect, mixed = factors[:, [2, 0, 1]] * [-3, 1, 20] + 1, factors @ np.array([[1, 1, 0], [-1, 1, 0], [0, 1, 1]])
    good, bad = (dci(codes, factors, 800, protocol) for codes in (perfect, mixed))
    assert good[NAMES[0]].value > 0.95
    assert good[NAMES[1]].value > 0.95
    assert good[NAMES[2]].value < 0.15
    for name in NAMES:
        assert good[name].value == pytest.approx(good[name].ceiling, abs=0.02)
    assert bad[NAMES[0]].value < 0.7
    noise = dci(rng.normal(size=(1200, 3)), factors, 800, protocol)
    assert noise[NAMES[2]].value == pytest.approx(noise[NAMES[2]].chance, abs=0.1)


def test_a_depth_belongs_to_a_factor_of_its_own():
    """A factor that does not vary keeps its place in the list of depths."""
    factors = np.random.default_rng(0).uniform(size=(600, 3)) * [1, 0, 1]
    found = [dci(3 * factors, factors, protocol=DCIForest(5, (12, 12, depth)), shuffles=0) for depth in (12, 1)]
    details = [each[NAMES[2]].detail for each in found]
    assert [detail["factors"] for detail in details] == [[0, 2]] * 2
    deep, flat = (np.array(detail["of_factors"]) for detail in details)
    assert deep[0] == flat[0]
    assert deep[1] < flat[1]


@pytest.mark.parametrize("protocol", [DCI_QEDR_LASSO, DCI_QEDR_RF], ids=["lasso", "forest"])
def test_whole_numbers_score_the_same_whatever_their_type(protocol):
    codes, factors = made()
    assert values(codes, factors.astype(float), protocol) == values(codes, factors, protocol)


@each
def test_perfect_codes_reach_the_ceiling(protocol):
    _, factors = made()
    for perfect in (factors.astype(float), 3.0 - 2 * factors[:, [2, 0, 1]]):
        for name, result in dci(perfect, factors, protocol=protocol).items():
            assert result.value == pytest.approx(result.ceiling, abs=0.02)
            assert result.ceiling == pytest.approx(float(name != NAMES[2] or protocol is FEW), abs=0.03)


@each
def test_noise_is_at_chance(protocol):
    _, factors = made(n=3000)
    noise = np.random.default_rng(5).normal(size=(3000, 4))
    results = dci(noise, factors, protocol=protocol, shuffles=3)
    assert results[NAMES[2]].value == pytest.approx(results[NAMES[2]].chance, abs=0.05)
    if protocol is not DCI_QEDR_LASSO:  # one coefficient that is left is a disentangled code to it
        for name in NAMES[:2]:
            assert results[name].value == pytest.approx(results[name].chance, abs=0.05)


@each
@settings(max_examples=8)
@given(st.permutations(range(4)), st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4), st.integers(-3, 3))
def test_order_sign_scale_and_place_do_not_matter(protocol, order, signs, power):
    codes, factors = made()
    changed = codes[:, order] * np.array(signs) * 10.0**power + 2
    np.testing.assert_allclose(values(changed, factors, protocol), values(codes, factors, protocol), atol=0.04)


@each
@settings(max_examples=5)
@given(st.sampled_from([0.0, 0.1, -1e6]), st.integers(1, 3))
def test_constant_dimensions_only_count_in_completeness(protocol, value, many):
    codes, factors = made()
    dead = np.hstack([np.full((len(codes), many), value), codes])
    plain, more = (dci(c, factors, protocol=protocol, shuffles=0) for c in (codes, dead))
    for name in (NAMES[0], NAMES[2]):
        assert more[name].value == pytest.approx(plain[name].value)
    expected = 1 - (1 - plain[NAMES[1]].value) * np.log(4) / np.log(4 + many)
    assert more[NAMES[1]].value == pytest.approx(expected)
    assert more[NAMES[1]].detail["completeness_of_active"] == pytest.approx(plain[NAMES[1]].value)
    assert more[NAMES[0]].detail["active"] == list(range(many, many + 4))


def test_duplicated_dimensions_cost_completeness_alone():
    codes, factors = made()
    plain, twice = (dci(c, factors, protocol=FEW, shuffles=0) for c in (codes, np.hstack([codes, codes])))
    assert twice[NAMES[0]].value == pytest.approx(plain[NAMES[0]].value, abs=0.02)
    assert twice[NAMES[2]].value == pytest.approx(plain[NAMES[2]].value, abs=0.02)
    halved = 1 - ((1 - plain[NAMES[1]].value) * np.log(4) + np.log(2)) / np.log(8)
    assert twice[NAMES[1]].value == pytest.approx(halved, abs=0.02)


def test_rotation_costs_disentanglement_alone():
    factors = np.random.default_rng(0).integers(0, 4, size=(2000, 2))
    turned = factors @ np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    disentanglement, completeness, informativeness = values(turned, factors, DCI_DLIB)
    assert disentanglement < 0.2
    assert completeness < 0.2
    assert informativeness > 0.99


@each
@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_nothing_is_ever_nan(protocol, seed):
    rng = np.random.default_rng(seed)
    n, latents = int(rng.integers(4, 30)), int(rng.integers(1, 4))
    codes = np.round(rng.normal(size=(n, latents)), int(rng.integers(0, 3))) * rng.integers(0, 2, size=latents)
    factors = rng.integers(0, 4, size=(n, 2)) * 5
    factors[:2] = [[0, 0], [5, 5]]
    for result in dci(codes, factors, n // 2, protocol, seed).values():
        assert np.isfinite(np.array([result.value, result.chance, result.ceiling], dtype=float)).all()


@each
def test_an_all_constant_code_says_nothing(protocol):
    _, factors = made()
    results = dci(np.ones((len(factors), 3)), factors, protocol=protocol)
    assert [results[name].value for name in NAMES[:2]] == [0, 0]
    assert results[NAMES[2]].value == pytest.approx(results[NAMES[2]].chance)


def test_values_of_a_factor_may_be_missing_on_a_side():
    factors = np.repeat([[0, 3], [7, 3], [7, 9], [90, 9]], 30, axis=0)
    codes = factors + np.random.default_rng(0).normal(size=factors.shape) / 10
    for results in (dci(codes, factors, 60, FEW), dci(codes, factors, 90, FEW)):
        assert all(0 <= result.value <= 1 for result in results.values())
        assert results[NAMES[2]].detail["factors"] == [0, 1]


def test_a_single_factor_and_a_single_dimension():
    _, factors = made()
    assert values(factors[:, 1:2].astype(float), factors[:, 1:2], FEW) == pytest.approx([1, 1, 1])


def test_levels_can_be_left_out():
    codes, factors = made()
    without, with_them = (dci(codes, factors, protocol=FEW, shuffles=shuffles) for shuffles in (0, 2))
    for name in NAMES:
        assert without[name].chance is without[name].ceiling is None
        assert without[name].value == with_them[name].value
        assert without[name].detail == with_them[name].detail


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DCIBoosting(stages=0), "expected positive stages"),
        (lambda: DCIBoosting(bins=1), "expected positive stages"),
        (lambda: DCILasso(0), "expected a positive alpha"),
        (lambda: DCIForest(0), "expected at least one tree"),
        (lambda: DCIForest(depths=()), "expected at least one tree"),
        (lambda: dci(*made(), protocol=DCIForest(depths=(2, 3))), "expected a depth for each factor"),
        (lambda: dci(*made(), shuffles=-1), "expected shuffles of at least 0"),
        (lambda: dci(made()[0], made()[1] / 2), "expected factors as integers for the protocol dlib.*QEDR_LASSO"),
        (lambda: dci(made()[0], made()[1] * np.nan, None, DCI_QEDR_RF), "expected finite factors"),
        (lambda: dci(made()[0], np.full((600, 2), 0.5), None, DCI_QEDR_RF), "expected at least one factor that varies"),
        (lambda: dci(*made(), test_from=599), "expected at least two rows to fit on"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("protocol", [DCI_QEDR_LASSO, DCI_QEDR_RF], ids=["lasso", "forest"])
def test_regressions_read_the_values_of_factors(protocol):
    """Not their ranks: a code that is linear in the values has a smaller error than one linear in the ranks."""
    ranks = np.random.default_rng(0).integers(0, 5, (300, 2))
    values = np.array([0, 1, 3, 10, 100])[ranks]
    errors = [dci(code.astype(float), values, None, protocol)[NAMES[2]].value for code in (values, ranks)]
    assert errors[0] < 0.05
    if protocol is DCI_QEDR_LASSO:
        assert errors[1] > 0.3
