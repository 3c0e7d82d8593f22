"""Tables as columns of numbers or of words."""

import os
from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped


@dataclass(frozen=True)
class Column:
    """One column: numbers, NaN where missing, or words as codes into `levels`, -1 where missing."""

    numbers: Float[np.ndarray, " n"] | None = None
    codes: Int[np.ndarray, " n"] | None = None
    levels: tuple[str, ...] = ()

    @property
    def missing(self) -> Bool[np.ndarray, " n"]:
        """Where nothing was measured."""
        if self.numbers is not None:
            return np.isnan(self.numbers)
        assert self.codes is not None
        return self.codes < 0

    def take(self, rows: Shaped[np.ndarray, " some"]) -> "Column":
        """Some of its rows."""
        if self.numbers is not None:
            return Column(self.numbers[rows])
        assert self.codes is not None
        return Column(None, self.codes[rows], self.levels)


@dataclass(frozen=True)
class Columns:
    """A table.

    named: its columns.
    places: where a person finds each row: the line of the file, or the label of the row.
    unit: what a place is called.
    """

    named: dict[str, Column]
    places: Shaped[np.ndarray, " n"]
    unit: str

    def __len__(self) -> int:
        return len(self.places)

    def take(self, rows: Shaped[np.ndarray, " some"]) -> "Columns":
        """Some of its rows."""
        return Columns({name: column.take(rows) for name, column in self.named.items()}, self.places[rows], self.unit)

    def without(self, names: Set[str]) -> "Columns":
        """Fewer of its columns."""
        return replace(self, named={name: column for name, column in self.named.items() if name not in names})

    def where(self, chosen: Bool[np.ndarray, " n"]) -> str:
        """Places of the chosen rows, the first few of them, as in a sentence."""
        places = [str(place) for place in self.places[chosen][:5]]
        more = int(chosen.sum()) - len(places)
        return f"{self.unit} {', '.join(places)}{f' and {more} more' if more else ''}"


@dataclass(frozen=True)
class Wanted:
    """How to read the columns.

    words: columns of names, even if they look like numbers.
    left_out: columns that are not read.
    only: the columns to read; None reads all.
    decimal: the decimal mark.
    """

    words: Set[str] = frozenset()
    left_out: Set[str] = frozenset()
    only: Set[str] | None = None
    decimal: str = "."

    def check(self, names: Sequence[str], what: str) -> list[bool]:
        """Which columns to read, after a look at their names.

        Raises:
            ValueError: names are missing or repeated, or there is no column of a name that was asked for.
        """
        asked = self.words | self.left_out if self.only is None else self.only
        for name in sorted(asked - set(names)):
            raise ValueError(f"expected a column '{name}' in {what}, got {shortened(names)}{meant(name, names)}")
        read = [name in self.only if self.only is not None else name not in self.left_out for name in names]
        used = [name for name, is_read in zip(names, read, strict=True) if is_read]
        if "" in used:
            raise ValueError(
                f"expected a name for every column of {what}, got none for column {names.index('') + 1} of "
                f"{len(names)}; name it, or leave_out=['']"
            )
        twice = sorted({name for name in used if used.count(name) > 1}) if len(set(used)) < len(used) else []
        if twice:
            raise ValueError(f"expected a name of its own for every column of {what}, got {twice} twice; rename one")
        return read


def check_finite(numbers: Float[np.ndarray, " n"], name: str, places: Sequence[object], unit: str) -> None:
    """Refuse infinity.

    Raises:
        ValueError: a number is infinite, or too large for one.
    """
    infinite = np.isinf(numbers)
    if infinite.any():
        raise ValueError(
            f"expected finite numbers in column '{name}', got infinity (or more than a float holds) on {unit} "
            f"{places[int(infinite.argmax())]}; leave it empty if it was not measured"
        )


def check_memory(rows: int, columns: int, what: str, available: int | None = None) -> None:
    """Refuse a table that cannot be held, before it is read; `available`: bytes, default all memory of the machine.

    Raises:
        ValueError: it would not fit.
    """
    if available is None:
        try:
            available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (AttributeError, ValueError, OSError):  # not on Windows
            return
    needed = 12 * rows * columns  # 8 bytes as read, 4 as kept
    if needed > available:
        raise ValueError(
            f"expected a table that fits into memory ({available / 1e9:.1f} GB), got {what} with about {rows:,} rows "
            f"of {columns:,} columns, which needs {needed / 1e9:.1f} GB; leave out columns or rows"
        )


def meant(name: str, names: Collection[str]) -> str:
    """A hint for a name that is not there."""
    close = get_close_matches(name, list(names), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def shortened(names: Sequence[str], limit: int = 20) -> str:
    """The names, or the first of them and how many there are."""
    return f"{list(names)}" if len(names) <= limit else f"{list(names[:limit])} and {len(names) - limit} more"
