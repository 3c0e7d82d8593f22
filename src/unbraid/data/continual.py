"""Data for learning one population after the other: the new one alone, and all that are known by then."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int

from unbraid.configuration import Plain
from unbraid.data.contract import Data
from unbraid.data.populations import inherit, joined_units, widest
from unbraid.types import Batch


class OneOf(Data):
    """Observations of one population out of several that a model knows; the others are absent on purpose.

    data: of which observations are taken.
    name: of their population.
    populations: all names, in the model's order.
    members: which populations or classes (by name) of the data they are; None takes the one called `name`, or all where
        the data have neither populations nor named classes.

    Raises:
        ValueError: the name is not among the populations, names repeat, the data have no such members, or none of them
            is left.
    """

    def __init__(self, data: Data, name: str, populations: Sequence[str], members: Sequence[str] | None = None):
        self.data, self.name, self.populations = data, name, tuple(populations)
        self.members = None if members is None else tuple(members)
        if name not in self.populations or len(set(self.populations)) < len(self.populations):
            raise ValueError(f"expected distinct populations, one of them '{name}', got {self.populations}")
        self.absent = tuple(other for other in self.populations if other != name)
        self.chosen = np.flatnonzero(_are(data, self.members or (name,), self.members is not None))
        if not len(self.chosen):
            raise ValueError(f"expected observations of '{name}', got none of {len(data)}; choose other members")
        self.population = np.full(len(self.chosen), self.populations.index(name))
        self.labels = None if data.labels is None else data.labels[self.chosen]
        self.unit = None if data.unit is None else data.unit[self.chosen]
        inherit(self, data)

    def __len__(self) -> int:
        return len(self.chosen)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The observations at `index`, all of the one population."""
        index = self.checked(index)
        assert self.population is not None
        found = self.data.batch(self.chosen[index])
        return Batch(found.x, torch.from_numpy(self.population[index]), found.library)

    def facts(self) -> dict[str, Plain]:
        """Those of the data."""
        return self.data.facts()


class Extended(Data):
    """Data with populations, and the observations of one more behind them.

    data: with populations.
    added: the new one's observations; its `populations` are those of the data and its name. Its units are other
        units than those of the data.

    Raises:
        ValueError: the populations do not fit together, or shapes or features differ.
    """

    def __init__(self, data: Data, added: OneOf):
        self.data, self.added = data, added
        if data.population is None or added.populations != (*data.populations, added.name):
            raise ValueError(
                f"expected one population more than {data.populations}, '{added.name}' behind them, got "
                f"{added.populations}; name them in this order"
            )
        if tuple(data.shape) != tuple(added.shape) or data.feature_names != added.feature_names:
            raise ValueError(
                f"expected observations of one kind, got shape {tuple(data.shape)} and {tuple(added.shape)}, or other "
                "feature names"
            )
        assert added.population is not None
        self.populations, self.population = added.populations, np.concatenate([data.population, added.population])
        inherit(self, data)
        self.missing = data.missing or added.missing
        self.bounds = widest([data.bounds, added.bounds])
        self.classes = data.classes if data.classes == added.classes else ()
        if data.labels is not None and added.labels is not None and data.classes == added.classes:
            self.labels = np.concatenate([data.labels, added.labels])
        self.unit = joined_units([data, added])

    def __len__(self) -> int:
        return len(self.data) + len(self.added)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The observations at `index`, those of the new population behind the others."""
        index = self.checked(index)
        assert self.population is not None
        new = index >= len(self.data)
        back = torch.from_numpy(np.argsort(np.argsort(new, kind="stable"), kind="stable"))
        old, added = self.data.batch(index[~new]), self.added.batch(index[new] - len(self.data))
        both = None not in (old.library, added.library)
        library = torch.cat([old.library, added.library])[back] if both else None  # type: ignore[list-item]
        return Batch(torch.cat([old.x, added.x])[back], torch.from_numpy(self.population[index]), library)

    def facts(self) -> dict[str, Plain]:
        """Those of both."""
        return {"data": self.data.facts(), "added": self.added.facts()}


def _are(data: Data, members: Sequence[str], asked: bool) -> Int[np.ndarray, " n"]:
    """1 for the observations of populations or classes of these names, else 0."""
    known = ((data.populations, data.population), (data.classes, data.labels))
    for names, index in known:
        if index is not None and set(members) <= set(names):
            return np.isin(index, [names.index(member) for member in members]).astype(np.int64)
    if not asked and data.population is None and not data.classes:
        return np.ones(len(data), dtype=np.int64)
    raise ValueError(
        f"expected members among the populations {data.populations} or the classes {data.classes}, got {tuple(members)}"
    )
