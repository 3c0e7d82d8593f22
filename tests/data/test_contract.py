"""What every public data set promises; a new one adds a line to CASES."""

from collections.abc import Callable
from inspect import isabstract

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import unbraid.data
from unbraid.configuration import build, describe
from unbraid.data import Arrays, Data, FactorData, FactorGrid, GrassyDigits, Sprites, TwoPopulationVectors

ABSTRACT = (Data, FactorData, FactorGrid)
TABLE = np.random.default_rng(0).normal(size=(60, 3))
CASES: dict[str, Callable[[], Data]] = {
    "arrays": lambda: Arrays(TABLE),
    "arrays, populations": lambda: Arrays(TABLE, ["b"] * 20 + ["a"] * 40, labels=np.arange(60)),
    "grassy digits": lambda: GrassyDigits(count=60),
    "grassy digits, test": lambda: GrassyDigits("test", count=60, amplitude=1.0, seed=1),
    "sprites 64": lambda: Sprites(),
    "sprites 32": lambda: Sprites(32),
    "sprites 16": lambda: Sprites(16),
    "vectors": lambda: TwoPopulationVectors(counts=(40, 20)),
    "vectors, nonlinear": lambda: TwoPopulationVectors("validation", counts=(1, 59), features=3, nonlinear=True),
}


@pytest.fixture(scope="module", params=list(CASES.values()), ids=list(CASES))
def data(request: pytest.FixtureRequest) -> Data:
    return request.param()


@pytest.fixture(scope="module", params=[Sprites])
def grid(request: pytest.FixtureRequest) -> FactorGrid:
    return request.param()


def some(data: Data) -> np.ndarray:
    return np.linspace(0, len(data) - 1, 40).astype(np.int64)


def public(kind: type) -> set[type]:
    members = (getattr(unbraid.data, name) for name in unbraid.data.__all__)
    return {member for member in members if isinstance(member, type) and issubclass(member, kind)}


def test_every_public_data_set_is_in_this_suite():
    tested = {type(make()) for make in CASES.values()}
    assert {kind for kind in public(Data) if kind not in ABSTRACT} == tested
    assert all(isabstract(kind) for kind in ABSTRACT)


def test_batch_is_finite_float32_of_the_stated_shape(data: Data):
    batch = data.batch(some(data))
    assert batch.x.shape == (40, *data.shape)
    assert batch.x.dtype == torch.float32
    assert batch.x.device.type == "cpu"
    assert batch.x.isfinite().all()
    assert batch.x.is_contiguous()


def test_observations_differ(data: Data):
    assert len(torch.unique(data.batch(some(data)).x, dim=0)) > 30


def test_observations_lie_within_the_bounds(data: Data):
    if data.bounds is not None:
        x = data.batch(some(data)).x
        assert data.bounds[0] <= x.min()
        assert x.max() <= data.bounds[1]


def test_batch_follows_the_order_of_the_index(data: Data):
    index = some(data)
    order = np.random.default_rng(0).permutation(len(index))
    batch, turned = data.batch(index), data.batch(index[order])
    assert torch.equal(batch.x[torch.from_numpy(order)], turned.x)
    assert torch.equal(batch.x[7:8], data.batch(index[7:8]).x)
    if batch.population is not None and turned.population is not None:
        assert torch.equal(batch.population[torch.from_numpy(order)], turned.population)


def test_batch_may_be_empty_or_repeat_an_observation(data: Data):
    assert data.batch(np.array([], dtype=np.int64)).x.shape == (0, *data.shape)
    twice = data.batch(np.array([3, 3])).x
    assert torch.equal(twice[0], twice[1])


def test_changing_a_batch_leaves_the_data_alone(data: Data):
    index = some(data)
    before = data.batch(index).x.clone()
    data.batch(index).x.fill_(-1)
    assert torch.equal(data.batch(index).x, before)


@pytest.mark.parametrize("beyond", [lambda n: n, lambda n: n + 1000, lambda n: -1])
def test_index_out_of_range_raises(data: Data, beyond: Callable[[int], int]):
    with pytest.raises(IndexError, match=f"from 0 to {len(data) - 1}"):
        data.batch(np.array([0, beyond(len(data))]))


def test_population_names_what_the_batch_says(data: Data):
    population = data.batch(some(data)).population
    if data.population is None:
        assert data.populations == ()
        assert population is None
    else:
        assert len(data.population) == len(data)
        assert len(set(data.populations)) == len(data.populations)
        assert set(data.population.tolist()) == set(range(len(data.populations)))
        assert population is not None
        assert np.array_equal(population.numpy(), data.population[some(data)])


def test_labels_are_one_integer_each(data: Data):
    if data.labels is not None:
        assert data.labels.shape == (len(data),)
        assert data.labels.min() >= 0


def test_description_rebuilds_the_same_data(data: Data):
    if isinstance(data, Arrays):  # not kept by value: test_arrays.py
        with pytest.raises(ValueError, match="pass the same data again"):
            build(describe(data))
        return
    again = build(describe(data))
    assert describe(again) == describe(data)
    assert repr(again) == repr(data)
    assert len(again) == len(data)
    assert torch.equal(again.batch(some(data)).x, data.batch(some(data)).x)
    assert repr(again.population) == repr(data.population)
    assert repr(again.labels) == repr(data.labels)


def test_every_public_grid_is_in_this_suite():
    assert public(FactorGrid) == {FactorGrid, Sprites}


@given(pick=st.data())
def test_index_and_factors_are_inverse(grid: FactorGrid, pick: st.DataObject):
    index = np.array(pick.draw(st.lists(st.integers(0, len(grid) - 1), min_size=1)))
    factors = grid.factors(index)
    assert (factors >= 0).all()
    assert (factors < np.array(grid.factor_sizes)).all()
    assert np.array_equal(grid.index(factors), index)


def test_grid_has_a_place_for_every_combination(grid: FactorGrid):
    assert len(grid) == np.prod(grid.factor_sizes)
    assert len(grid.factor_names) == len(grid.factor_sizes)
    first, last = grid.factors(np.array([0, len(grid) - 1]))
    assert not first.any()
    assert np.array_equal(last, np.array(grid.factor_sizes) - 1)
    assert grid.factors(np.array([1]))[0, -1] == 1


def test_sampled_factors_are_uniform_and_seeded(grid: FactorGrid):
    drawn = grid.sample_factors(20_000, np.random.default_rng(0))
    assert np.array_equal(drawn, grid.sample_factors(20_000, np.random.default_rng(0)))
    for column, size in zip(drawn.T, grid.factor_sizes, strict=True):
        share = np.bincount(column, minlength=size) / len(column)
        assert np.abs(share - 1 / size).max() < 5 * np.sqrt(1 / size / len(column))


def test_factors_outside_the_grid_raise(grid: FactorGrid):
    over = np.array(grid.factor_sizes)[None]
    with pytest.raises(ValueError, match="from 0 and below"):
        grid.index(over)
    with pytest.raises(ValueError, match="from 0 and below"):
        grid.index(-np.ones_like(over))
    with pytest.raises(ValueError, match="columns"):
        grid.index(np.zeros((1, over.shape[1] + 1), dtype=np.int64))
    with pytest.raises(IndexError, match="from 0 to"):
        grid.factors(np.array([len(grid)]))
