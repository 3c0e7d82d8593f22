"""Pieces of text as one column, so strictly that nothing odd becomes a category in silence."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from unbraid.data._tabular.columns import Column, Wanted, check_finite

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "?"})  # in any case
# a figure that is no plain number: with thousands separators, a decimal comma, a percent sign, a detection limit
NUMBER_LIKE = re.compile(r"[<>≤≥≈~$€£]*\s*[+\-−]?\d[\d.,'’\u00a0\u202f ]*(e[+-]?\d+)?\s*%?", re.IGNORECASE)


class Builder:
    """Makes one column out of pieces of text.

    Raises:
        ValueError: (from `add` and `finish`) an infinite number, numbers and words in one column, or figures that are
            no plain numbers.
    """

    def __init__(self, name: str, wanted: Wanted, unit: str):
        self.name, self.unit, self.decimal = name, unit, wanted.decimal
        self.words = name in wanted.words
        self.pieces: list[np.ndarray | int] = []  # numbers, codes, or how many rows are missing
        self.levels: dict[str, int] = {}
        self.level_places: list[object] = []
        self.numbers = 0
        self.first_number: tuple[str, object] = ("", "")

    def add(self, values: Sequence[str], places: Sequence[object]) -> None:
        """Further rows."""
        numbers = None if self.words or self.levels else _quick(values, self.decimal)
        if numbers is None:
            texts = [plain(value) for value in values]
            numbers = None if self.words else self._numbers(texts, places)
            if numbers is None:
                self.pieces.append(np.array([self._code(*pair) for pair in zip(texts, places, strict=True)], np.int32))
                self._refuse_mixture()
                return
        check_finite(numbers, self.name, places, self.unit)
        there = ~np.isnan(numbers)
        if there.any() and not self.numbers:
            first = int(there.argmax())
            self.first_number = values[first], places[first]
        self.numbers += int(there.sum())
        self.pieces.append(numbers if there.any() else len(numbers))
        self._refuse_mixture()

    def finish(self) -> Column:
        """The whole column."""
        if not self.levels and not self.words:
            pieces = [np.full(piece, np.nan) if isinstance(piece, int) else piece for piece in self.pieces]
            return Column(np.concatenate(pieces))
        for level, place in zip([] if self.words else self.levels, self.level_places, strict=False):
            if NUMBER_LIKE.fullmatch(level):
                raise ValueError(
                    f"expected numbers such as 1234{self.decimal}5 in column '{self.name}', got '{level}' on "
                    f"{self.unit} {place}; {self._hint(level)}"
                )
        codes = np.concatenate([np.full(p, -1, np.int32) if isinstance(p, int) else p for p in self.pieces])
        levels = sorted(self.levels)
        rank = {level: index for index, level in enumerate(levels)}
        ranks = np.array([*(rank[level] for level in self.levels), -1], np.int32)  # -1 stays -1
        return Column(None, ranks[codes], tuple(levels))

    def _numbers(self, texts: list[str], places: Sequence[object]) -> Float[np.ndarray, " n"] | None:
        """The texts as numbers; None if some are words."""
        parsed = [_number(text, self.decimal) for text in texts]
        if None not in parsed:
            return np.array(parsed, dtype=np.float64)
        for text, number, place in zip(texts, parsed, places, strict=True):
            if text and number is not None:
                self.first_number = self.first_number if self.numbers else (text, place)
                self.numbers += 1
        return None

    def _code(self, text: str, place: object) -> int:
        if not text:
            return -1
        if text not in self.levels:
            self.level_places.append(place)
        return self.levels.setdefault(text, len(self.levels))

    def _refuse_mixture(self) -> None:
        if self.words or not (self.numbers and self.levels):
            return
        found = zip(self.levels, self.level_places, strict=True)
        text, place = next(pair for pair in found if _number(pair[0], self.decimal) is None)
        hint = self._hint(text) if NUMBER_LIKE.fullmatch(text) else "correct it (empty means missing)"
        raise ValueError(
            f"expected numbers only or words only in column '{self.name}', got '{text}' on {self.unit} {place} and "
            f"'{self.first_number[0]}' on {self.unit} {self.first_number[1]}; {hint}, or leave the column out "
            f"(leave_out), or name it in categories"
        )

    def _hint(self, text: str) -> str:
        if "," in text and self.decimal == ".":
            return "write it with a decimal point and no other marks, or pass decimal=',' if commas are decimal marks"
        return "write plain numbers without other marks"


def plain(text: str) -> str:
    """Without space around it, empty where it stands for a missing value."""
    text = text.strip()
    return "" if text.lower() in MISSING else text


def _quick(values: Sequence[str], decimal: str) -> Float[np.ndarray, " n"] | None:
    """The values as numbers if all of them are."""
    if decimal != "." or "_" in "".join(values):  # Python reads 1_000 as a number
        return None
    try:
        return np.array([float(value or "nan") for value in values], dtype=np.float64)
    except ValueError:
        return None


def _number(text: str, decimal: str) -> float | None:
    if not text:
        return np.nan
    if "_" in text or (decimal != "." and "." in text):
        return None
    try:
        return float(text.replace(decimal, "."))
    except ValueError:
        return None
