"""Data for learning one population after the other."""

import numpy as np
import pytest
import torch

from unbraid.data import Arrays, ByClass, Extended, OneOf

RNG = np.random.default_rng(0)
LABELS = np.arange(90) % 3
KINDS = Arrays(RNG.normal(size=(90, 4)), labels=LABELS, classes=("cat", "dog", "emu"))
PETS = ByClass(KINDS, {"pets": ["cat", "dog"], "birds": ["emu"]})
NAMES = ("pets", "birds", "new")


@pytest.mark.parametrize(
    ("data", "name", "members", "expected"),
    [
        (KINDS, "dog", None, LABELS == 1),
        (KINDS, "new", ("cat", "emu"), LABELS != 1),
        (PETS, "birds", None, None),
        (Arrays(KINDS.x), "new", None, np.ones(90, bool)),
    ],
)
def test_members_are_a_population_or_classes_or_all(data, name, members, expected):
    one = OneOf(data, name, ("first", name), members)
    assert one.absent == ("first",)
    assert one.population is not None
    assert set(one.population.tolist()) == {1}
    batch = one.batch(np.arange(len(one)))
    assert batch.population is not None
    assert batch.population.tolist() == [1] * len(one)
    assert torch.equal(batch.x, torch.from_numpy(KINDS.x[LABELS == 2 if expected is None else expected]))


def test_a_new_population_stands_behind_the_others():
    both = Extended(PETS, OneOf(KINDS, "new", NAMES, ["dog"]))
    assert both.populations == NAMES
    assert both.absent == ()
    assert both.population is not None
    assert np.bincount(both.population).tolist() == [60, 30, 30]
    index = np.array([100, 3, 119, 0])
    batch = both.batch(index)
    assert torch.equal(batch.x[1], PETS.batch(index[1:2]).x[0])
    assert torch.equal(batch.x[0], torch.from_numpy(KINDS.x[LABELS == 1][10]))
    assert batch.population is not None
    assert batch.population.tolist() == both.population[index].tolist()
    again = Extended(both, OneOf(KINDS, "newer", (*NAMES, "newer"), ["emu"]))
    assert len(again) == 150
    assert again.labels is not None
    assert (again.labels[-30:] == 2).all()


def test_units_of_old_and_new_data_are_others():
    taken = Arrays(KINDS.x, labels=LABELS, classes=KINDS.classes)
    taken.unit = np.arange(90) // 9
    both = Extended(ByClass(taken, {"cats": ["cat"], "dogs": ["dog"]}), OneOf(taken, "emu", ("cats", "dogs", "emu")))
    assert both.unit is not None
    old, new = both.unit[:60], both.unit[60:]
    assert np.array_equal(old, taken.unit[LABELS != 2])
    assert not set(old.tolist()) & set(new.tolist())
    assert len(set(new.tolist())) == 10


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OneOf(KINDS, "cow", NAMES), "one of them 'cow'"),
        (lambda: OneOf(KINDS, "new", ("new", "new")), "distinct populations"),
        (lambda: OneOf(KINDS, "new", NAMES), r"among .* the classes \('cat', 'dog', 'emu'\), got \('new',\)"),
        (lambda: OneOf(Arrays(KINDS.x), "new", NAMES, ["cat"]), "got .'cat',"),
        (lambda: OneOf(Arrays(KINDS.x, labels=LABELS, classes="abcd"), "d", ("a", "d")), "got none of 90"),
        (lambda: Extended(PETS, OneOf(KINDS, "dog", ("birds", "pets", "dog"))), "name them in this order"),
        (lambda: Extended(KINDS, OneOf(KINDS, "dog", ("cat", "dog"))), "one population more"),
        (lambda: Extended(PETS, OneOf(Arrays(np.ones((5, 3))), "new", NAMES)), "observations of one kind"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
