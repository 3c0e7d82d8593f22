"""Which rows of a table are used, which population each belongs to, and which split it is in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from unbraid.data._tabular.columns import Columns, meant, shortened


@dataclass(frozen=True)
class Members:
    """The rows that are used.

    rows: where they stand in the table.
    population: of each row, an index into `names`; 0 without populations.
    names: of the populations.
    left_out: how many rows of each other population there are.
    """

    rows: Int[np.ndarray, " n"]
    population: Int[np.ndarray, " n"]
    names: tuple[str, ...]
    left_out: dict[str, int]


def members(columns: Columns, column: str | None, names: Sequence[str] | None) -> Members:
    """The rows of the named populations (default: of all, sorted) in a column.

    Raises:
        ValueError: names without a column, fewer than two, one twice, one without rows, or rows without a population.
    """
    if column is None:
        if names:
            raise ValueError(f"expected the column of the populations {list(names)}, got none; pass population=...")
        return Members(np.arange(len(columns)), np.zeros(len(columns), dtype=np.int64), (), {})
    found, codes = classes(columns, column, required=names is None)
    used = found if names is None else tuple(map(str, names))
    unknown = [name for name in used if name not in found]
    if unknown:
        raise ValueError(
            f"expected populations among {shortened(found)} of column '{column}', got '{unknown[0]}'"
            f"{meant(unknown[0], found)}"
        )
    if len(set(used)) < max(2, len(used)):
        raise ValueError(f"expected at least two distinct populations of column '{column}', got {list(used)}")
    place = {name: k for k, name in enumerate(used)}
    population = np.array([*(place.get(name, -1) for name in found), -1])[codes]
    rows = np.flatnonzero(population >= 0)
    others = {name: int((codes == code).sum()) for code, name in [*enumerate(found), (-1, "")] if name not in place}
    return Members(rows, population[rows], used, {name: count for name, count in others.items() if count})


def classes(columns: Columns, name: str, required: bool = True) -> tuple[tuple[str, ...], Int[np.ndarray, " n"]]:
    """The sorted words that occur in a column, and the index of each row's among them, -1 where missing.

    Raises:
        ValueError: it is `required` and missing in some row, or nearly every row has its own.
    """
    column = columns.named[name]
    assert column.codes is not None
    missing = column.missing
    if missing.any() and required:
        raise ValueError(
            f"expected a value of column '{name}' in every row, got none on {columns.where(missing)}; remove these rows"
        )
    present = [column.levels[code] for code in np.unique(column.codes[~missing])]
    if len(present) > max(2, len(columns) // 2):
        raise ValueError(
            f"expected classes in column '{name}', got {len(present)} different ones in {len(columns)} rows, such as "
            f"'{present[0]}'"
        )
    place = {word: index for index, word in enumerate(sorted(present))}
    return tuple(place), np.array([*(place.get(level, -1) for level in column.levels), -1])[column.codes]


def groups(columns: Columns, name: str, pattern: str | None) -> Int[np.ndarray, " n"]:
    """Number of each row's group: the value of a column, or what a regular expression finds in it.

    Raises:
        ValueError: a value is missing, the expression is none, or it does not match a value.
    """
    column = columns.named[name]
    assert column.codes is not None
    if column.missing.any():
        raise ValueError(
            f"expected a group in column '{name}' for every row, got none on {columns.where(column.missing)}"
        )
    occurring = np.unique(column.codes).tolist()  # levels of rows that are left out need no group
    try:
        found = {code: re.match(pattern or "(?s).*", column.levels[code]) for code in occurring}
    except re.error as error:
        raise ValueError(f"expected a regular expression as group_pattern, got '{pattern}': {error}") from error
    unmatched = [code for code, match in found.items() if match is None]
    if unmatched:
        raise ValueError(
            f"expected values of column '{name}' that begin as group_pattern '{pattern}' says, "
            f"got '{column.levels[unmatched[0]]}' on {columns.where(column.codes == unmatched[0])}"
        )
    keys = [match.group(match.re.groups and 1) for match in found.values() if match is not None]
    number = {key: index for index, key in enumerate(dict.fromkeys(keys))}
    return np.array([number[key] for key in keys])[np.searchsorted(occurring, column.codes)]


def check_part(split: str, population: Int[np.ndarray, " part"], names: tuple[str, ...], grouped: bool) -> None:
    """Refuse a part of the rows that cannot be used.

    Raises:
        ValueError: it has no rows, or none of some population.
    """
    counts = np.bincount(population, minlength=max(1, len(names)))
    if counts.all():
        return
    lacking = [name for name, count in zip(names, counts, strict=False) if not count]
    raise ValueError(
        f"expected rows{' of every population' * bool(names)} in the {split} split, got none"
        f"{f' of {lacking}' if lacking else ''}; {'there are few groups; ' * grouped}use other shares or another seed"
    )
