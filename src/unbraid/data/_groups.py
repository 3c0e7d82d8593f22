"""Populations as groups of classes."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int


def population_of_class(classes: tuple[str, ...], groups: Mapping[str, Sequence[str]]) -> Int[np.ndarray, " class"]:
    """Population of every class, -1 for classes that no group names.

    Raises:
        ValueError: a class is unknown, or in two groups.
    """
    of_class = np.full(len(classes), -1, dtype=np.int64)
    for k, (name, members) in enumerate(groups.items()):
        for member in members:
            if member not in classes:
                raise ValueError(f"expected classes among {classes}, got '{member}' in population '{name}'")
            place = classes.index(member)
            if of_class[place] >= 0:
                raise ValueError(f"expected every class in one population, got '{member}' in two")
            of_class[place] = k
    return of_class


def require_members(populations: tuple[str, ...], population: Int[np.ndarray, " n"]) -> None:
    """Refuse populations that cannot be told apart or learned from.

    Raises:
        ValueError: there are fewer than two, or one has no observation.
    """
    counts = np.bincount(population, minlength=len(populations))
    empty = [name for name, count in zip(populations, counts, strict=True) if not count]
    if empty or len(populations) < 2:
        raise ValueError(
            f"expected at least two populations, each with observations, "
            f"got {dict(zip(populations, counts.tolist(), strict=True))}"
        )
