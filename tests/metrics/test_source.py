"""Groups that share a factor are drawn as the definition says, from a grid, from rows and from functions alike."""

from functools import partial

import numpy as np
import pytest

from unbraid.data import Teapots
from unbraid.metrics import continuous_codes, grid_codes, lazy_codes, row_codes
from unbraid.metrics.source import chunks

SIZES = (3, 4, 2)
GRID = np.stack(np.unravel_index(np.arange(24), SIZES), axis=1)
MATRIX = np.random.default_rng(0).normal(size=(3, 5))


def of(factors):
    return factors @ MATRIX


def shuffled_rows():
    order = np.random.default_rng(1).permutation(24)
    return row_codes(of(GRID[order]), GRID[order])


SOURCES = {
    "grid": partial(grid_codes, of(GRID), SIZES),
    "rows": shuffled_rows,
    "repeated rows": lambda: row_codes(np.tile(of(GRID), (3, 1)), np.tile(GRID, (3, 1))),
    "lazy": partial(lazy_codes, of, SIZES),
}
every = pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)


@every
def test_codes_are_those_of_the_factors(make):
    rng = np.random.default_rng(0)
    for drawn in (make().observations(500, rng), make().groups(np.array([0, 1, 2, 1]), 50, rng)):
        np.testing.assert_allclose(drawn.codes, of(drawn.factors), atol=1e-12)


@every
def test_observations_are_uniform(make):
    factors = make().observations(24_000, np.random.default_rng(0)).factors
    counts = np.bincount(np.ravel_multi_index(tuple(factors.T.astype(int)), SIZES), minlength=24)
    np.testing.assert_allclose(counts / 24_000, 1 / 24, atol=5 * np.sqrt(1 / 24 / 24_000))


@every
@pytest.mark.parametrize("factor", [0, 1, 2])
def test_a_group_shares_one_factor_and_is_uniform_in_the_rest(make, factor):
    drawn = make().groups(np.full(6000, factor), 4, np.random.default_rng(0))
    assert drawn.codes.shape == (6000, 4, 5)
    np.testing.assert_array_equal(drawn.factors[..., factor], drawn.factors[:, [0] * 4, factor])
    cells = np.asarray(np.ravel_multi_index(tuple(np.moveaxis(drawn.factors, -1, 0).astype(int)), SIZES))
    for rows in (cells[:, 0], cells[:, 3]):  # every cell equally often, first and last of the group alike
        np.testing.assert_allclose(np.bincount(rows, minlength=24) / 6000, 1 / 24, atol=5 * np.sqrt(1 / 24 / 6000))
    others = np.delete(drawn.factors, factor, axis=-1)  # independent of each other given the shared value
    same = (others[:, 0] == others[:, 1]).all(axis=-1).mean()
    chance = 1 / np.prod(np.delete(SIZES, factor))
    assert same == pytest.approx(chance, abs=5 * np.sqrt(chance / 6000))


@every
def test_a_seed_fixes_all_draws(make):
    first, second = (make().groups(np.array([0, 2]), 3, np.random.default_rng(5)).factors for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_rows_need_not_be_a_grid():
    factors = np.array([[0, 0, 7], [0, 1, 7], [1, 0, 7], [1, 1, 7], [1, 1, 9]])
    drawn = row_codes(np.arange(5.0)[:, None], factors).groups(np.full(20_000, 0), 2, np.random.default_rng(0))
    shares = np.bincount(drawn.codes[:, 1, 0].astype(int)) / 20_000
    np.testing.assert_allclose(shares, 1 / 5, atol=0.02)  # a value is drawn as often as it is there


def test_a_value_of_one_row_is_never_fixed():
    factors = np.array([[0, 5, 0], [0, 5, 1], [1, 5, 2], [1, 6, 3], [2, 6, 4]])
    source = row_codes(np.arange(5.0)[:, None], factors)
    assert source.fixable.tolist() == [0, 1]  # every value of the last is alone
    assert source.parameters["unshared_rows"] == [1, 0, 5]
    drawn = source.groups(np.full(1000, 0), 8, np.random.default_rng(0))
    assert set(np.unique(drawn.factors[..., 0])) == {0, 1}


def test_constant_factors_are_never_fixed():
    for source in (
        grid_codes(np.zeros((12, 1)), (4, 1, 3)),
        lazy_codes(of, (4, 1, 3)),
        row_codes(np.zeros((4, 1)), np.array([[0, 3, 0], [0, 3, 0], [1, 3, 1], [1, 3, 1]])),
    ):
        assert source.fixable.tolist() == [0, 2]
        assert source.width == 3


def test_continuous_factors_share_the_value_of_the_first(tmp_path, monkeypatch):
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path))
    teapots = Teapots(count=20, size=32)
    source = continuous_codes(lambda factors: factors[:, ::-1].copy(), teapots.sample_factors)
    assert source.fixable.tolist() == [0, 1, 2, 3, 4]
    fixed = np.array([0, 3, 1])
    drawn = source.groups(fixed, 100, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn.codes, drawn.factors[..., ::-1])
    constant = (drawn.factors == drawn.factors[:, :1]).all(axis=1)
    np.testing.assert_array_equal(constant, np.eye(5, dtype=bool)[fixed])


def test_chunks_cover_every_vote_once():
    for votes, rows in ((1, 1), (15_000, 64), (7, 100_000)):
        parts = list(chunks(votes, rows))
        assert np.concatenate([np.arange(votes)[part] for part in parts]).tolist() == list(range(votes))
        assert all((part.stop - part.start) * rows <= max(32_000, rows) for part in parts)


@pytest.mark.parametrize("sizes", [(), (3,), (1, 4), (0, 3, 3), (-1, 3, 3)])
def test_too_few_factors_are_refused(sizes):
    for make in (partial(grid_codes, np.zeros((3, 1))), partial(lazy_codes, of)):
        with pytest.raises(ValueError, match="expected the sizes of at least two factors that vary"):
            make(sizes)


def test_rows_and_draws_without_two_factors_are_refused():
    with pytest.raises(ValueError, match=r"expected at least two factors that vary .* got 1 of 2"):
        row_codes(np.zeros((4, 1)), np.array([[0, 0], [0, 1], [1, 2], [1, 3]]))
    with pytest.raises(ValueError, match=r"expected at least two factors that vary .* got 1 of 3"):
        continuous_codes(of, lambda count, rng: rng.random((count, 3)) * [1, 0, 0])


def test_wrong_grids_and_rows_are_refused(as_a_user):
    with pytest.raises(ValueError, match="expected as many codes as cells of the grid, got 23 and 24"):
        grid_codes(of(GRID)[:-1], SIZES)
    with pytest.raises(ValueError, match="expected as many factors as codes, got 23 and 24"):
        row_codes(of(GRID), GRID[:-1])


def test_an_encoder_that_loses_rows_is_refused():
    source = lazy_codes(lambda factors: factors[:-1].astype(float), SIZES)
    with pytest.raises(ValueError, match="expected as many codes as rows of factors"):
        source.observations(10, np.random.default_rng(0))
