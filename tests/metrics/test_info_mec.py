"""InfoM, InfoE and InfoC against scikit-learn's estimators called as the authors call them."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, mutual_info_score

from unbraid.metrics.info_mec import INFO_MEC, INFO_MEC_DISCRETE, InfoMECProtocol, info_mec

SIZES = (3, 4, 6)
NAMES = ("info_m", "info_e", "info_c")
RNG = np.random.default_rng(0)
FACTORS = RNG.integers(SIZES, size=(800, 3))
NOISE = RNG.normal(size=(800, 4))
SCALED = FACTORS / np.sqrt((np.array(SIZES) ** 2 - 1) / 12)
MIXED = np.hstack([SCALED @ RNG.normal(size=(3, 3)), SCALED[:, :1]]) + 0.3 * NOISE
SYMBOLS = np.stack([FACTORS[:, 0], FACTORS[:, 1] + 4 * (FACTORS[:, 2] > 2), RNG.integers(5, size=800)], axis=1)
FAST = InfoMECProtocol(iterations=20)


def reference(codes, factors, discrete):
    """The authors' computation, with scikit-learn's estimators."""
    ranges = np.ptp(codes, axis=0)
    active = ranges > (0 if discrete else ranges.max() / 20)
    standard = (codes - codes.mean(axis=0)) / codes.std(axis=0)
    nmi = np.empty((codes.shape[1], factors.shape[1]))
    for f, factor in enumerate(factors.T):
        for d in range(codes.shape[1]):
            if discrete:
                nmi[d, f] = mutual_info_score(factor, codes[:, d])
            else:
                nmi[d, f] = mutual_info_classif(standard[:, [d]], factor, n_neighbors=10, random_state=0)[0]
        nmi[:, f] /= mutual_info_score(factor, factor)
    kept = nmi[active]
    modularity = ((kept.max(1) / kept.sum(1)).mean() - 1 / kept.shape[1]) / (1 - 1 / kept.shape[1])
    compactness = ((kept.max(0) / kept.sum(0)).mean() - 1 / kept.shape[0]) / (1 - 1 / kept.shape[0])
    features = np.hstack([c[:, None] == np.unique(c) for c in codes.T]).astype(float) if discrete else standard
    explicitness = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for factor in factors.T:
            losses = []
            for inputs in (features, np.zeros_like(features)):
                model = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=100).fit(inputs, factor)
                losses.append(log_loss(factor, model.predict_proba(inputs)))
            explicitness.append(1 - losses[0] / losses[1])
    return modularity, np.mean(explicitness), compactness


@pytest.mark.parametrize(
    ("codes", "protocol", "tolerance"),
    [(MIXED, INFO_MEC, 2e-6), (SYMBOLS, INFO_MEC_DISCRETE, 1e-9)],
    ids=["continuous", "discrete"],
)
def test_agrees_with_the_authors_computation(codes, protocol, tolerance):
    found = info_mec(codes, FACTORS, protocol)
    expected = reference(codes, FACTORS, protocol.discrete)
    assert tuple(found) == NAMES
    for name, value in zip(NAMES, expected, strict=True):
        assert found[name].value == pytest.approx(value, abs=tolerance if name != "info_e" else 1e-4)
        assert 0.05 < found[name].value < 0.98


def test_labels_that_occur_once_or_rarely_are_handled_as_scikit_learn_does():
    rare = np.stack([np.arange(800) // 15, np.r_[np.arange(20) + 9, np.zeros(780)]], axis=1).astype(int)
    found = np.array(info_mec(MIXED, rare, FAST)["info_m"].detail["normalised_information"])
    for factor, column in zip(rare.T, found.T, strict=True):
        entropy = mutual_info_score(factor, factor)
        standard = (MIXED - MIXED.mean(axis=0)) / MIXED.std(axis=0)
        expected = mutual_info_classif(standard, factor, n_neighbors=10, random_state=0) / entropy
        np.testing.assert_allclose(column, expected, atol=1e-4)  # theirs: distances by expanded squares, which round


@pytest.mark.parametrize("protocol", [INFO_MEC, INFO_MEC_DISCRETE], ids=lambda p: p.name)
@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_perfect_and_permuted_codes_reach_the_ceiling(protocol, order):
    for result in info_mec(FACTORS[:, order], FACTORS, protocol).values():
        assert result.value == pytest.approx(result.ceiling, abs=0.02)
        assert result.value > 0.93


def test_noise_is_at_chance():
    found = info_mec(np.random.default_rng(5).normal(size=(800, 12)), FACTORS)
    for result in found.values():
        shuffled = np.array(result.detail["shuffled"])
        assert result.chance == pytest.approx(shuffled.mean())
        assert result.value == pytest.approx(shuffled.mean(), abs=0.02 + 5 * shuffled.std())
    assert found["info_e"].value < 0.05


def test_a_rotation_costs_modularity_and_not_explicitness():
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    axes, turned = info_mec(SCALED, FACTORS), info_mec(SCALED @ turn, FACTORS)
    assert turned["info_e"].value == pytest.approx(axes["info_e"].value, abs=0.02)
    assert turned["info_m"].value < axes["info_m"].value - 0.3


def test_repeating_every_dimension_costs_compactness_alone():
    once, twice = info_mec(SCALED, FACTORS), info_mec(np.hstack([SCALED, SCALED]), FACTORS)
    assert twice["info_m"].value == pytest.approx(once["info_m"].value, abs=0.02)
    assert twice["info_e"].value == pytest.approx(once["info_e"].value, abs=0.02)
    assert twice["info_c"].value == pytest.approx((0.5 - 1 / 6) / (1 - 1 / 6), abs=0.02)


@given(
    order=st.permutations(range(4)),
    signs=st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4),
    scale=st.floats(1e-3, 1e3),
    shifts=st.lists(st.floats(-10, 10), min_size=4, max_size=4),
    dead=st.floats(-1e6, 1e6),
)
@settings(max_examples=8)
def test_order_sign_common_scale_shift_and_dead_dimensions_change_nothing(order, signs, scale, shifts, dead):
    changed = (scale * (MIXED * signs + shifts))[:, order]
    found = info_mec(np.hstack([changed, np.full((800, 1), dead)]), FACTORS, FAST)
    for name, expected in info_mec(MIXED, FACTORS, FAST).items():
        assert found[name].value == pytest.approx(expected.value, abs=1e-3)


@given(
    codes=st.lists(st.lists(st.sampled_from([0.0, 1.0, -2.5, 1e6]), min_size=2, max_size=2), min_size=4, max_size=12),
    protocol=st.sampled_from([INFO_MEC, INFO_MEC_DISCRETE]),
)
@settings(max_examples=15)
def test_nothing_is_ever_nan(codes, protocol):
    array = np.tile(codes, (2, 1))
    factors = np.stack([np.arange(len(array)) % 2, np.arange(len(array)) % 3], axis=1)
    for result in info_mec(array, factors, protocol).values():
        assert -0.2 <= result.value <= 1 + 1e-9


def test_a_small_range_is_inactive_for_modularity_alone():
    codes = np.hstack([SCALED[:, :2], 0.01 * SCALED[:, 2:]])
    found = info_mec(codes, FACTORS)
    assert found["info_m"].detail["active"] == [0, 1]
    assert found["info_e"].value > 0.99


@pytest.mark.parametrize("codes", [np.zeros((800, 3)), np.full((800, 2), 0.1), 1e6 * np.ones((800, 1))])
def test_a_constant_code_scores_zero(codes):
    found = info_mec(codes, FACTORS)
    assert [result.value for result in found.values()] == pytest.approx([0, 0, 0], abs=1e-6)
    assert "at least two" in str(found["info_c"].detail["note"])


def test_one_dimension_and_one_factor_say_why():
    assert "1 active dimension" in str(info_mec(SCALED[:, :1], FACTORS)["info_c"].detail["note"])
    one = info_mec(SCALED, FACTORS[:, :1])
    assert one["info_m"].value == 0
    assert "1 factor" in str(one["info_m"].detail["note"])
    assert one["info_c"].value > 0.9


def test_constant_factors_are_left_out():
    padded = np.insert(FACTORS, 1, 7, axis=1)
    for result, expected in zip(info_mec(MIXED, padded).values(), info_mec(MIXED, FACTORS).values(), strict=True):
        assert result.value == expected.value
        assert result.detail["columns"] == [0, 2, 3]


def test_continuous_codes_are_no_symbols():
    with pytest.raises(ValueError, match="expected a quantised code"):
        info_mec(MIXED, FACTORS, INFO_MEC_DISCRETE)


@pytest.mark.parametrize("fields", [{"neighbours": 0}, {"iterations": 0}, {"prune": 1.0}, {"prune": -0.1}])
def test_impossible_protocols_are_refused(fields):
    with pytest.raises(ValueError, match=f"expected {next(iter(fields))}"):
        InfoMECProtocol(**fields)
