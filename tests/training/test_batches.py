"""The order of the data: fair, reshuffled, and a function of seed and step alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unbraid.data import Arrays, Data
from unbraid.randomness import Purpose
from unbraid.training.batches import Batches, copied
from unbraid.types import Batch


def populations(sizes: list[int]) -> Data:
    """Data with these many observations of each population, mixed."""
    population = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    return Arrays(np.zeros((sum(sizes), 1)), population if len(sizes) > 1 else None)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[int], int, int]:
    """Sizes of populations, a batch size that suits them, and a seed."""
    sizes = draw(st.lists(st.integers(1, 30), min_size=1, max_size=4))
    return sizes, draw(st.integers(len(sizes), sum(sizes))), draw(st.integers(0, 2**32))


def members(data: Data) -> list[np.ndarray]:
    if data.population is None:
        return [np.arange(len(data))]
    return [np.flatnonzero(data.population == k) for k in range(len(data.populations))]


@given(case=cases(), step=st.integers(0, 10**7))
def test_every_population_gives_exactly_its_count(case, step):
    sizes, size, seed = case
    data = populations(sizes)
    index = Batches(data, size, seed)(step)
    assert len(index) == size
    counts = [int(np.isin(index, group).sum()) for group in members(data)]
    assert max(counts) - min(counts) <= 1
    assert counts == sorted(counts, reverse=True)  # the first ones give one more


@given(case=cases(), turns=st.integers(1, 3))
def test_every_observation_comes_once_a_pass(case, turns):
    sizes, size, seed = case
    data = populations(sizes)
    batches = Batches(data, size, seed)
    for group in members(data):
        stream = np.empty(0, dtype=np.int64)
        step = 0
        while len(stream) < turns * len(group):
            index = batches(step)
            stream = np.concatenate([stream, index[np.isin(index, group)]])
            step += 1
        for turn in range(turns):
            assert np.array_equal(np.sort(stream[turn * len(group) :][: len(group)]), group)


@given(case=cases(), steps=st.lists(st.integers(0, 10**6), min_size=1, max_size=5))
def test_a_step_depends_on_seed_and_step_alone(case, steps):
    sizes, size, seed = case
    data = populations(sizes)
    used = Batches(data, size, seed)
    asked = [used(step) for step in steps]
    for step, index in zip(steps, asked, strict=True):
        assert np.array_equal(Batches(data, size, seed)(step), index)


@given(seed=st.integers(0, 2**32))
def test_passes_seeds_and_populations_have_orders_of_their_own(seed):
    batches, other = Batches(populations([40, 40]), 80, seed), Batches(populations([40, 40]), 80, seed + 1)
    first, second = batches(0), batches(1)
    assert not np.array_equal(first[:40], second[:40])
    assert not np.array_equal(first[40:], second[40:])
    assert not np.array_equal(first[:40], other(0)[:40])
    assert not np.array_equal(np.argsort(first[:40]), np.argsort(first[40:]))


def test_without_balance_populations_come_in_proportion():
    data = populations([90, 10])
    batches = Batches(data, 50, seed=0, balanced=False)
    assert data.population is not None
    assert np.array_equal(np.sort(np.concatenate([batches(0), batches(1)])), np.arange(100))


def test_a_small_population_is_reshuffled_not_cycled():
    batches = Batches(populations([300, 6]), 12, seed=0)
    small = [tuple(batches(step)[6:]) for step in range(20)]
    assert all(sorted(turn) == sorted(small[0]) for turn in small)
    assert len(set(small)) > 15


class Lacking(Data):
    """Data that name a population and have nothing of it."""

    shape, populations, population = (1,), ("a", "b"), np.zeros(8, dtype=np.int64)

    def __len__(self) -> int:
        return 8

    def batch(self, index) -> Batch:
        raise AssertionError("refused before")


@given(case=cases(), step=st.integers(0, 10**6))
def test_another_purpose_gives_an_order_of_its_own_with_the_same_balance(case, step):
    sizes, size, seed = case
    data = populations(sizes)
    assert np.array_equal(Batches(data, size, seed, purpose=Purpose.ORDER)(step), Batches(data, size, seed)(step))
    index = Batches(data, size, seed, purpose=Purpose.ADVERSARY_ORDER)(step)
    counts = [int(np.isin(index, group).sum()) for group in members(data)]
    assert len(index) == size
    assert counts == [int(np.isin(Batches(data, size, seed)(step), group).sum()) for group in members(data)]


def test_the_orders_of_two_purposes_have_nothing_to_do_with_each_other():
    one, two = (Batches(populations([10_000]), 10_000, 3, purpose=p) for p in (Purpose.ORDER, Purpose.ADVERSARY_ORDER))
    for step, other in ((0, 0), (0, 1), (1, 0)):
        assert abs(np.corrcoef(one(step), two(other))[0, 1]) < 0.04  # four standard errors


@pytest.mark.parametrize("copies", [1, 3])
def test_copies_stand_one_after_the_other(copies: int):
    batch = Batch(torch.arange(8.0).reshape(4, 2), torch.arange(4), torch.arange(4.0))
    found = copied(batch, copies)
    for name in ("x", "population", "library"):
        rows = getattr(found, name).reshape(4, copies, -1)
        assert all(torch.equal(rows[:, k].squeeze(), getattr(batch, name)) for k in range(copies))
    bare = copied(Batch(batch.x), copies)
    assert bare.population is None
    assert bare.library is None


@pytest.mark.parametrize(
    ("data", "size", "message"),
    [
        (populations([5]), 6, "no larger than the data, got batch_size 6 for 5 observations; use at most 5"),
        (populations([5, 5, 5]), 2, "batch_size of at least 3, one for each population, got 2; use a larger batch"),
        (Lacking(), 4, r"observations of every population, got none of \['b'\]; leave them out"),
    ],
    ids=["larger than the data", "smaller than the populations", "empty population"],
)
def test_impossible_batches_are_refused(data, size, message):
    with pytest.raises(ValueError, match=f"expected .*{message}"):
        Batches(data, size, 0)
