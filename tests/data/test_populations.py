"""Populations from classes and from several sets, and splits of any data."""

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unbraid.configuration import build, describe
from unbraid.data import Arrays, ByClass, GrassyDigits, Part, Populations, Shuffled, Sprites, Table, split

RNG = np.random.default_rng(0)
LABELS = np.arange(90) % 3
KINDS = Arrays(RNG.normal(size=(90, 4)), labels=LABELS, classes=("cat", "dog", "emu"))


def test_every_class_is_a_population_unless_they_are_grouped():
    each, grouped = ByClass(KINDS), ByClass(KINDS, {"birds": ["emu"], "pets": ["dog", "cat"]})
    assert each.population is not None
    assert grouped.population is not None
    assert each.populations == ("cat", "dog", "emu")
    assert np.array_equal(each.population, LABELS)
    assert grouped.populations == ("birds", "pets")
    assert np.array_equal(grouped.population, np.array([1, 1, 0])[LABELS])
    assert torch.equal(grouped.batch(np.arange(90)).x, KINDS.batch(np.arange(90)).x)


def test_what_a_run_keeps_of_the_data_is_not_lost_inside_others(tmp_path):
    (tmp_path / "table.csv").write_text("kind,x\n" + "\n".join(f"{'ab'[k % 2]},{k}" for k in range(40)))
    table = Table(tmp_path / "table.csv", label="kind")
    assert table.facts()["files"]
    assert ByClass(table).facts() == Part(table).facts() == table.facts()
    assert Populations({"one": table, "two": table}).facts()["members"] == {"one": table.facts(), "two": table.facts()}


def test_other_classes_are_left_out():
    some = ByClass(KINDS, {"a": ["emu"], "b": ["cat"]})
    assert len(some) == 60
    assert some.labels is not None
    assert set(some.labels.tolist()) == {0, 2}
    assert torch.equal(some.batch(np.arange(60)).x, torch.from_numpy(KINDS.x[LABELS != 1]))


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"a": ["cat"], "b": ["cow"]}, "got 'cow' in population 'b'"),
        ({"a": ["cat"], "b": ["cat"]}, "got 'cat' in two"),
        ({"a": ["cat"]}, "at least two populations"),
        ({"a": ["cat"], "b": []}, "each with observations"),
    ],
)
def test_wrong_groups_raise(groups, message):
    with pytest.raises(ValueError, match=message):
        ByClass(KINDS, groups)


def test_classes_without_names_raise():
    with pytest.raises(ValueError, match="named classes"):
        ByClass(Arrays(RNG.normal(size=(5, 2)), labels=np.arange(5)))


@given(counts=st.lists(st.integers(1, 30), min_size=2, max_size=4), seed=st.integers(0, 99))
def test_members_keep_their_order_and_a_batch_follows_the_index(counts, seed):
    arrays = {f"p{k}": RNG.normal(size=(count, 3)).astype(np.float32) for k, count in enumerate(counts)}
    together = Populations(arrays)
    index = np.random.default_rng(seed).integers(0, sum(counts), 20)
    batch = together.batch(index)
    assert batch.population is not None
    assert np.array_equal(batch.x.numpy(), np.concatenate(list(arrays.values()))[index])
    assert np.array_equal(batch.population.numpy(), np.repeat(np.arange(len(counts)), counts)[index])


def test_data_sets_of_one_shape_become_populations():
    together = Populations({"drawn": GrassyDigits(count=30), "tests": GrassyDigits("test", count=20)})
    assert together.populations == ("drawn", "tests")
    assert together.bounds == (0.0, 1.25)
    assert build(describe(together)).population.tolist() == [0] * 30 + [1] * 20
    with pytest.raises(ValueError, match="one kind"):
        Populations({"digits": GrassyDigits(count=30), "sprites": Sprites()})
    with pytest.raises(ValueError, match="at least two"):
        Populations({"digits": GrassyDigits(count=30)})


def test_missing_values_of_one_member_are_known():
    x = RNG.normal(size=(10, 3))
    holes = np.where(x > 1, np.nan, x)
    assert Populations({"a": x, "b": Arrays(holes, missing=True)}).missing


@given(
    sizes=st.lists(st.integers(20, 200), min_size=2, max_size=4),
    shares=st.sampled_from([(0.7, 0.15, 0.15), (0.5, 0.25, 0.25), (0.8, 0.1, 0.1)]),
    seed=st.integers(0, 1000),
)
def test_parts_share_nothing_and_keep_proportions(sizes, shares, seed):
    names = np.repeat([f"p{k}" for k in range(len(sizes))], sizes)
    whole = Arrays(np.arange(sum(sizes), dtype=float)[:, None], names)
    parts = split(whole, seed, shares)
    again = split(whole, seed, shares)
    chosen = np.concatenate([part.chosen for part in parts])
    assert np.array_equal(np.sort(chosen), np.arange(sum(sizes)))
    for part, same, share in zip(parts, again, shares, strict=True):
        assert np.array_equal(part.chosen, same.chosen)
        assert part.population is not None
        counts = np.bincount(part.population, minlength=len(sizes))
        assert (np.abs(counts - share * np.array(sizes)) <= 1).all()


def test_parts_of_unlabelled_data_and_by_class():
    assert KINDS.labels is not None
    assert [len(part) for part in split(Arrays(RNG.normal(size=(100, 2))))] == [70, 15, 15]
    assert [np.bincount(KINDS.labels[part.chosen]).tolist() for part in split(KINDS, shares=(0.6, 0.2, 0.2))] == [
        [18] * 3,
        [6] * 3,
        [6] * 3,
    ]


@pytest.mark.parametrize(
    ("shares", "message"), [((0.5, 0.5, 0.5), "sum to 1"), ((1.0, 0.0, 0.0), "got none"), ((0.5, 0.5), "sum to 1")]
)
def test_wrong_shares_raise(shares, message):
    with pytest.raises(ValueError, match=message):
        Part(KINDS, "test", shares=shares)


def test_another_seed_is_another_split():
    assert not np.array_equal(Part(KINDS, seed=0).chosen, Part(KINDS, seed=1).chosen)


def test_cards_of_what_data_are_made_of_are_found_once():
    digits = GrassyDigits(count=30)
    both = Part(Populations({"a": digits, "b": GrassyDigits(count=20, seed=1)}))
    assert both.cards == digits.cards
    assert both.held > digits.held


def test_shuffled_populations_move_whole_units():
    frame = pandas.DataFrame({"x": np.arange(90.0), "arm": ["a", "b", "b"] * 30})
    frame["who"] = [f"m{k // 9 * 3 + k % 3}" for k in range(90)]  # three rows of each, all of one arm
    data = Table(frame, "arm", group="who", split="all")
    shuffled = Shuffled(data, seed=3)
    assert shuffled.unit is not None
    assert shuffled.population is not None
    for number in np.unique(shuffled.unit):
        assert len(set(shuffled.population[shuffled.unit == number].tolist())) == 1
    assert np.bincount(shuffled.population).tolist() == [30, 60]
    assert not np.array_equal(shuffled.population, np.asarray(data.population))
    assert shuffled.population.tolist() == np.asarray(Shuffled(data, seed=3).population).tolist()
    assert (shuffled.population != Shuffled(data, seed=4).population).any()
    batch = shuffled.batch(np.array([5, 2]))
    assert batch.population is not None
    assert batch.population.tolist() == shuffled.population[[5, 2]].tolist()
    assert torch.equal(batch.x, data.batch(np.array([5, 2])).x)


def test_shuffled_populations_of_units_in_both_stay_within_the_unit():
    frame = pandas.DataFrame({"x": np.arange(60.0), "time": ["before", "after"] * 30, "who": np.arange(60) // 6 + 100})
    data = Table(frame, "time", group="who", split="all")
    shuffled = Shuffled(data)
    assert shuffled.unit is not None
    assert shuffled.population is not None
    for number in np.unique(shuffled.unit):
        assert shuffled.population[shuffled.unit == number].sum() == 3
    assert not np.array_equal(shuffled.population, np.asarray(data.population))


def test_shuffled_rows_without_units_and_data_without_populations():
    data = Arrays(np.random.default_rng(0).normal(size=(40, 2)), ["a"] * 30 + ["b"] * 10)
    shuffled = Shuffled(data)
    assert shuffled.population is not None
    assert np.bincount(shuffled.population).tolist() == [30, 10]
    with pytest.raises(ValueError, match="expected data with populations to shuffle"):
        Shuffled(Arrays(np.ones((3, 2))))


def test_units_in_several_populations_do_not_hold_the_others_where_they_are():
    who = [*np.repeat(np.arange(20), 5), 20, 20]
    frame = pandas.DataFrame({"x": np.arange(102.0), "arm": [*np.repeat(["a", "b"], 50), "a", "b"], "who": who})
    data = Table(frame, "arm", group="who", split="all")
    shuffled = Shuffled(data)
    assert shuffled.population is not None
    assert (shuffled.population != np.asarray(data.population)).sum() > 20
    assert np.bincount(shuffled.population).tolist() == [51, 51]
    assert sorted(shuffled.population[-2:].tolist()) == [0, 1]


def test_units_stay_whole_in_parts_and_apart_in_populations():
    frame = pandas.DataFrame({"x": np.arange(90.0), "arm": np.repeat(["a", "b"], 45), "who": np.arange(90) // 3})
    data = Table(frame, "arm", group="who", split="all")
    parts = split(data)
    units = [set(np.asarray(part.unit).tolist()) for part in parts]
    assert sum(map(len, units)) == len(set.union(*units)) == 30
    third = Table(pandas.DataFrame({"x": np.arange(4.0), "arm": ["a", "b"] * 2}), "arm", split="all")
    both = Populations({"first": data, "second": data, "third": third})
    assert both.unit is not None
    assert len(set(both.unit.tolist())) == 30 + 30 + 4
    assert Populations({"a": np.ones((4, 1)), "b": np.ones((4, 1))}).unit is None
