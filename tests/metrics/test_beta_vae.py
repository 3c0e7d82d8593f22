"""The beta-VAE metric against a literal reading of its definition, and what it does not see."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from unbraid.metrics import grid_codes, lazy_codes, row_codes
from unbraid.metrics.beta_vae import BETA_VAE_DLIB, BETA_VAE_STANDARDISED, BetaVAEProtocol, beta_vae

SIZES = (3, 6, 8, 8)
GRID = np.stack(np.unravel_index(np.arange(1152), SIZES), axis=1)
SCALED = (GRID - GRID.mean(axis=0)) / GRID.std(axis=0)
TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(4, 4)))[0]
MIXED = SCALED @ (np.eye(4) + 0.7 * np.random.default_rng(0).uniform(-1, 1, (4, 4)))
FEW = BetaVAEProtocol(batch=8, train_points=300, test_points=300)
FEW_STANDARDISED = BetaVAEProtocol(batch=8, train_points=300, test_points=300, standardise=True)
both = pytest.mark.parametrize("protocol", [BETA_VAE_DLIB, BETA_VAE_STANDARDISED], ids=lambda p: p.name)


def literal(codes_of, protocol, seed):
    """One point at a time, one pair at a time, and the classifier as the reference calls it."""
    rng = np.random.default_rng(seed)

    def point():
        factor = int(rng.integers(4))
        differences = []
        for _ in range(protocol.batch):
            first, second = (np.array([rng.integers(size) for size in SIZES]) for _ in range(2))
            second[factor] = first[factor]
            codes = codes_of(np.stack([first, second]))
            differences.append(np.abs(codes[0] - codes[1]))
        return np.mean(differences, axis=0), factor

    points, labels = zip(*(point() for _ in range(protocol.train_points + protocol.test_points)), strict=True)
    train, test = slice(protocol.train_points), slice(protocol.train_points, None)
    model = LogisticRegression(max_iter=10_000).fit(points[train], labels[train])
    return float(model.score(points[test], labels[test]))


@pytest.mark.parametrize("seed", [0, 1])
def test_agrees_with_the_literal_definition(seed):
    matrix = np.eye(4) + 1.5 * np.random.default_rng(seed).uniform(-1, 1, (4, 4))

    def codes_of(factors):
        return (factors - GRID.mean(axis=0)) / GRID.std(axis=0) @ matrix

    protocol = BetaVAEProtocol(batch=4, train_points=800, test_points=800)
    ours = beta_vae(grid_codes(codes_of(GRID), SIZES), protocol)
    assert 0.5 < ours.value < 0.97
    assert ours.interval is not None
    deviation = (ours.interval[1] - ours.interval[0]) / (2 * 1.96)
    assert abs(ours.value - literal(codes_of, protocol, seed)) < 4 * np.sqrt(2) * deviation


def test_the_regression_is_the_reference_s_at_its_optimum():
    source = grid_codes(0.03 * MIXED, SIZES)
    ours = beta_vae(source, FEW)
    rng = np.random.default_rng(0)
    fixed = rng.choice(4, size=600)
    codes = source.groups(np.repeat(fixed, 8), 2, rng).codes
    points = np.abs(codes[:, 0] - codes[:, 1]).reshape(600, 8, 4).mean(axis=1)
    theirs = LogisticRegression(max_iter=10_000, tol=1e-8).fit(points[:300], fixed[:300])
    assert ours.value == pytest.approx(theirs.score(points[300:], fixed[300:]), abs=2 / 300)
    assert ours.detail["train_accuracy"] == pytest.approx(theirs.score(points[:300], fixed[:300]), abs=2 / 300)


@both
def test_perfect_and_permuted_codes_reach_the_ceiling(protocol):
    for order in ([0, 1, 2, 3], [3, 0, 2, 1]):
        result = beta_vae(grid_codes(SCALED[:, order], SIZES), protocol)
        assert result.value == result.ceiling == 1
        assert result.protocol == protocol.name
        assert result.detail["recalls"] == [1, 1, 1, 1]


@both
@pytest.mark.parametrize("dead", [0, 3])
def test_noise_and_constants_are_at_chance(protocol, dead):
    sizes = (8, 10, 12, 14)  # in a small grid, noise differs between the values of a factor
    codes = np.hstack([np.random.default_rng(0).normal(size=(13_440, 6)), np.full((13_440, dead), 1e6)])
    result = beta_vae(grid_codes(codes, sizes), protocol)
    assert result.chance == pytest.approx(0.25, abs=0.02)
    assert result.value == pytest.approx(result.chance, abs=0.03)
    constant = beta_vae(grid_codes(np.full((1152, 3), 0.1), SIZES), protocol)
    assert constant.value == pytest.approx(0.25, abs=0.03)


def test_protocols_have_the_published_sizes():
    for protocol in (BETA_VAE_DLIB, BETA_VAE_STANDARDISED):
        assert (protocol.batch, protocol.train_points, protocol.test_points) == (64, 10_000, 5_000)
    assert BetaVAEProtocol(batch=32).name == "custom"


def test_scale_matters_unless_standardised():
    assert beta_vae(grid_codes(0.01 * MIXED, SIZES), FEW).value < beta_vae(grid_codes(MIXED, SIZES), FEW).value - 0.05


def test_a_rotation_is_hardly_seen():
    assert beta_vae(grid_codes(SCALED @ TURN, SIZES), BETA_VAE_STANDARDISED).value > 0.9


def test_grid_rows_and_function_agree():
    order = np.random.default_rng(0).permutation(1152)
    matrix = TURN * [1, 2, 3, 4]
    values = [
        beta_vae(source, BetaVAEProtocol(batch=4, train_points=2000, test_points=2000)).value
        for source in (
            grid_codes(GRID @ matrix, SIZES),
            row_codes((GRID @ matrix)[order], GRID[order]),
            lazy_codes(lambda factors: factors @ matrix, SIZES),
        )
    ]
    assert max(values) - min(values) < 0.05


@given(
    order=st.permutations(range(4)),
    signs=st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4),
    shifts=st.lists(st.floats(-100, 100), min_size=4, max_size=4),
    dead=st.floats(-1e6, 1e6),
)
@settings(max_examples=8)
def test_order_sign_shift_and_dead_dimensions_change_nothing(order, signs, shifts, dead):
    changed = np.hstack([(MIXED * signs + shifts)[:, order], np.full((1152, 1), dead)])
    for protocol in (FEW, FEW_STANDARDISED):
        result, expected = (beta_vae(grid_codes(codes, SIZES), protocol) for codes in (changed, MIXED))
        assert result.value == pytest.approx(expected.value, abs=2 / 300)
        assert result.ceiling == expected.ceiling


@given(scales=st.lists(st.sampled_from([1e-9, 1e-3, 0.5, 1.0, 7.0, 1e6]), min_size=4, max_size=4))
@settings(max_examples=8)
def test_any_scale_gives_a_score_and_the_same_one_if_standardised(scales):
    codes = grid_codes(MIXED * scales, SIZES)
    assert 0 <= beta_vae(codes, FEW).value <= 1
    expected = beta_vae(grid_codes(MIXED, SIZES), FEW_STANDARDISED).value
    assert beta_vae(codes, FEW_STANDARDISED).value == pytest.approx(expected, abs=2 / 300)


def test_points_are_drawn_in_bulk():
    calls = []

    def counted(factors):
        calls.append(len(factors))
        return factors.astype(float)

    start = time.perf_counter()
    beta_vae(lazy_codes(counted, SIZES))
    assert time.perf_counter() - start < 30  # 0.7 s on one core; room for a busy machine
    assert sum(calls) == 15_000 * 64 * 2
    assert max(calls) <= 32_000


@pytest.mark.parametrize("fields", [{"batch": 0}, {"train_points": 99}, {"test_points": 0}])
def test_impossible_protocols_are_refused(fields):
    with pytest.raises(ValueError, match=f"expected {next(iter(fields))} of at least"):
        BetaVAEProtocol(**fields)
