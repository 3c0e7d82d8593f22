"""Populations out of what there is: from classes, from several data sets; and splits of any data."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int, Real

from unbraid.configuration import Plain
from unbraid.data._groups import population_of_class, require_members
from unbraid.data._split import SHARES, Split, split_number, stratified_units
from unbraid.data.arrays import Arrays
from unbraid.data.contract import Data
from unbraid.types import Batch

SHUFFLE = 5  # keeps these random numbers apart from those of splits with the same seed


class ByClass(Data):
    """Data whose populations are groups of its classes; observations of other classes are left out.

    data: with `labels` and `classes`.
    groups: classes (by name) of each population; None makes every class a population.

    Raises:
        ValueError: the data have no named classes, a class is unknown or in two populations, or a population is empty.
    """

    def __init__(self, data: Data, groups: Mapping[str, Sequence[str]] | None = None):
        if data.labels is None or not data.classes:
            raise ValueError(f"expected data with named classes, got {data!r}; give it labels and their names")
        self.data = data
        self.groups = None if groups is None else {str(name): list(map(str, of)) for name, of in groups.items()}
        used = {name: [name] for name in data.classes} if self.groups is None else self.groups
        self.populations = tuple(used)
        of_class = population_of_class(data.classes, used)
        population = of_class[data.labels]
        self.chosen = np.flatnonzero(population >= 0)
        self.population, self.labels = population[self.chosen], data.labels[self.chosen]
        require_members(self.populations, self.population)
        self.unit = None if data.unit is None else data.unit[self.chosen]
        inherit(self, data)

    def __len__(self) -> int:
        return len(self.chosen)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The observations at `index`, with the population of their class."""
        index = self.checked(index)
        assert self.population is not None
        return replace(self.data.batch(self.chosen[index]), population=torch.from_numpy(self.population[index]))

    def facts(self) -> dict[str, Plain]:
        """Those of the data."""
        return self.data.facts()


class Populations(Data):
    """Several data sets of one shape, each a population.

    members: data, or an array `[n, *shape]`, of each population, under its name; populations may differ in size.

    Raises:
        ValueError: fewer than two members, an empty one, or shapes or features that differ.
    """

    def __init__(self, members: Mapping[str, Data | Real[np.ndarray, "..."]]):
        self.members = {str(name): one if isinstance(one, Data) else Arrays(one) for name, one in members.items()}
        if len(self.members) < 2:
            raise ValueError(f"expected at least two populations, got {list(self.members)}")
        parts = list(self.members.values())
        first = parts[0]
        for name, part in self.members.items():
            if tuple(part.shape) != tuple(first.shape) or part.feature_names != first.feature_names:
                raise ValueError(
                    f"expected observations of one kind, got shape {tuple(part.shape)} in '{name}' and "
                    f"{tuple(first.shape)} in '{next(iter(self.members))}', or other feature names"
                )
        counts = [len(part) for part in parts]
        self.populations = tuple(self.members)
        self.population = np.repeat(np.arange(len(parts)), counts)
        require_members(self.populations, self.population)
        self.starts = np.cumsum([0, *counts[:-1]])
        inherit(self, first)
        self.missing = any(part.missing for part in parts)
        self.bounds = widest([part.bounds for part in parts])
        known = [part.labels for part in parts if part.labels is not None]
        same = len({part.classes for part in parts}) == 1
        self.labels = np.concatenate(known) if same and len(known) == len(parts) else None
        self.classes = first.classes if self.labels is not None else ()
        self.unit = joined_units(parts)

    def __len__(self) -> int:
        assert self.population is not None
        return len(self.population)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The observations at `index`; indices run through the members in their order."""
        index = self.checked(index)
        assert self.population is not None
        population = self.population[index]
        order = np.argsort(population, kind="stable")
        back = torch.from_numpy(np.argsort(order, kind="stable"))
        parts = [
            part.batch(index[population == k] - self.starts[k])
            for k, part in enumerate(self.members.values())
            if (population == k).any() or not len(index)
        ]
        libraries = [part.library for part in parts if part.library is not None]
        library = torch.cat(libraries)[back] if len(libraries) == len(parts) else None
        return Batch(torch.cat([part.x for part in parts])[back], torch.from_numpy(population), library)

    def facts(self) -> dict[str, Plain]:
        """Those of every member, under its name."""
        return {"members": {name: part.facts() for name, part in self.members.items()}}


class Part(Data):
    """One of the three parts of a random split of other data, stratified by population (or else by class).

    Units (`Data.unit`, such as a patient) stay whole.

    data: what is split.
    split: which part.
    seed: of the split; the same seed gives the same parts.
    shares: of train, validation and test.

    Raises:
        ValueError: shares that do not sum to 1, or a part without an observation (of some population).
    """

    def __init__(self, data: Data, split: Split = "train", seed: int = 0, shares: Sequence[float] = SHARES):
        number = split_number(split)
        self.data, self.split, self.seed, self.shares = data, split, seed, tuple(shares)
        groups = data.population if data.population is not None else data.labels
        groups = np.zeros(len(data), dtype=np.int64) if groups is None else groups
        self.chosen = stratified_units(groups, data.unit, seed, shares)[number]
        if not len(self.chosen):
            raise ValueError(f"expected observations in the {split} part, got none of {len(data)}; use other shares")
        self.populations = data.populations
        self.population = None if data.population is None else data.population[self.chosen]
        self.labels = None if data.labels is None else data.labels[self.chosen]
        self.unit = None if data.unit is None else data.unit[self.chosen]
        if self.population is not None:
            try:
                require_members(self.populations, self.population)
            except ValueError as error:
                kept = "" if data.unit is None else f"; units stay whole, and there are {len(np.unique(data.unit))}"
                raise ValueError(f"{error} in the {split} part{kept}; use other shares, or more data") from error
        inherit(self, data)

    def __len__(self) -> int:
        return len(self.chosen)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The observations at `index` of this part."""
        return self.data.batch(self.chosen[self.checked(index)])

    def facts(self) -> dict[str, Plain]:
        """Those of the data that are split."""
        return self.data.facts()


class Shuffled(Data):
    """The same observations with populations that mean nothing: what is found in these needs no populations.

    Units (`Data.unit`, such as a patient) that are of one population change places with each other, so that samples of
    one stay together as they were; those that have observations of several are left with as many of each, permuted
    within the unit. Each population keeps as many units, or observations.

    data: with populations.
    seed: of the permutation.

    Raises:
        ValueError: the data have no populations.
    """

    def __init__(self, data: Data, seed: int = 0):
        if data.population is None:
            raise ValueError(f"expected data with populations to shuffle, got {data!r}; name their column")
        self.data, self.seed = data, seed
        self.populations, self.labels, self.unit = data.populations, data.labels, data.unit
        self.population = _permuted(data.population, data.unit, np.random.default_rng([seed, SHUFFLE]))
        inherit(self, data)

    def __len__(self) -> int:
        return len(self.data)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The observations at `index`, each with a population that is another's or by chance its own."""
        index = self.checked(index)
        assert self.population is not None
        return replace(self.data.batch(index), population=torch.from_numpy(self.population[index]))

    def facts(self) -> dict[str, Plain]:
        """Those of the data."""
        return self.data.facts()


def _permuted(
    population: Int[np.ndarray, " n"], unit: Int[np.ndarray, " n"] | None, rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
    if unit is None:
        return rng.permutation(population)
    first, of = np.unique(unit, return_index=True, return_inverse=True)[1:]
    several = np.zeros(len(first), dtype=bool)
    several[of[population[first][of] != population]] = True
    moved = population[first]
    moved[~several] = rng.permutation(moved[~several])
    permuted = moved[of]
    for number in np.flatnonzero(several):
        permuted[of == number] = rng.permutation(population[of == number])
    return permuted


def split(data: Data, seed: int = 0, shares: Sequence[float] = SHARES) -> tuple[Part, Part, Part]:
    """Train, validation and test parts of any data, stratified by population and seeded.

    >>> import numpy as np
    >>> whole = Arrays(np.random.default_rng(0).normal(size=(200, 3)), ["a"] * 160 + ["b"] * 40)
    >>> train, validation, test = split(whole)
    >>> len(train), len(validation), len(test), np.bincount(test.population).tolist()
    (140, 30, 30, [24, 6])
    """
    first, second, third = (Part(data, name, seed, shares) for name in ("train", "validation", "test"))
    return first, second, third


def joined_units(parts: Sequence[Data]) -> Int[np.ndarray, " n"] | None:
    """Units of data behind each other, those of each its own; None where no part has any.

    Where a part has none, each of its observations is one.
    """
    if all(part.unit is None for part in parts):
        return None
    units, first = [], 0
    for part in parts:
        own = np.arange(len(part)) if part.unit is None else np.unique(part.unit, return_inverse=True)[1].reshape(-1)
        units.append(own + first)
        first += int(own.max(initial=-1)) + 1
    return np.concatenate(units)


def inherit(new: Data, data: Data) -> None:
    """What does not depend on which observations are chosen."""
    new.shape, new.classes, new.feature_names = data.shape, data.classes, data.feature_names
    new.bounds, new.missing = data.bounds, data.missing


def widest(bounds: Sequence[tuple[float, float] | None]) -> tuple[float, float] | None:
    """Bounds that hold all of the data, None where those of some are not known."""
    known = [pair for pair in bounds if pair is not None]
    if len(known) < len(bounds):
        return None
    return min(low for low, _ in known), max(high for _, high in known)
