"""Columns as coordinates of comparable size, by statistics of the training rows alone."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from unbraid.data._tabular.columns import Column, Columns, shortened

LEVELS = 50  # more of them in a column that nobody named as categories look like names of rows


@dataclass(frozen=True)
class Coordinates:
    """What one column becomes: (value - mean) / deviation of a number, or of 1 and 0 for each of several levels.

    levels: of a column of words, those of the training rows; empty for numbers.
    means: `[feature]`, of the training rows that have a value.
    deviation: likewise. Levels have one in common, which gives them a variance of 1 together: a category weighs as
        much as a number, and a rare level is not blown up.
    """

    column: str
    levels: tuple[str, ...]
    means: Float[np.ndarray, " feature"]
    deviation: float

    @classmethod
    def fitted(cls, name: str, column: Column) -> "Coordinates":
        """To the training rows; the deviation is 0 where all of them are equal."""
        there = column.take(~column.missing)
        if there.numbers is not None:
            mean, deviation = _moments(there.numbers)
            return cls(name, (), np.array([mean]), deviation)
        assert there.codes is not None
        counts = np.bincount(there.codes, minlength=len(there.levels))
        levels = tuple(level for level, count in zip(there.levels, counts, strict=True) if count)
        shares = counts[counts > 0] / len(there.codes)
        return cls(name, levels, shares, float(np.sqrt((shares * (1 - shares)).sum())) if len(levels) > 1 else 0.0)

    @property
    def names(self) -> list[str]:
        """Of the coordinates: the column's, or `column=level`."""
        return [f"{self.column}={level}" for level in self.levels] or [self.column]

    def known(self, column: Column) -> Int[np.ndarray, " n"]:
        """Codes into `levels`; -1 where missing, -2 where no training row has the level."""
        assert column.codes is not None
        code = {level: index for index, level in enumerate(self.levels)}
        return np.array([*(code.get(level, -2) for level in column.levels), -1])[column.codes]

    def __call__(self, column: Column) -> Float[np.ndarray, "n feature"]:
        """The coordinates, NaN where the column has no value or an unknown level."""
        if column.numbers is not None:
            values = column.numbers[:, None]
        else:
            codes = self.known(column)[:, None]
            values = np.where(codes < 0, np.nan, codes == np.arange(len(self.levels)))
        return (values - self.means) / self.deviation


@dataclass(frozen=True)
class Encoding:
    """How columns become coordinates, column after column.

    constant: columns that became none, since all training rows have one value.
    """

    columns: tuple[Coordinates, ...]
    constant: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the coordinates."""
        return tuple(name for one in self.columns for name in one.names)

    @property
    def means(self) -> Float[np.ndarray, " feature"]:
        """Of the training rows."""
        return np.concatenate([one.means for one in self.columns])

    @property
    def deviations(self) -> Float[np.ndarray, " feature"]:
        """What each coordinate is divided by."""
        return np.concatenate([np.full(len(one.means), one.deviation) for one in self.columns])

    def encode(self, columns: Columns) -> Float[np.ndarray, "n feature"]:
        """The rows as float32, NaN where missing.

        Raises:
            ValueError: words where training had numbers, a row without a value, or one too far off for float32.
        """
        x = np.empty((len(columns), len(self.names)), dtype=np.float32)
        start = 0
        for one in self.columns:
            column = columns.named[one.column]
            if (column.numbers is None) != bool(one.levels):
                raise ValueError(f"expected numbers in column '{one.column}', as in training, got words")
            part = x[:, start : start + len(one.means)]
            start += len(one.means)
            with np.errstate(over="ignore"):  # looked for below
                part[:] = one(column)
            far = np.any(np.isinf(part), axis=1)
            if far.any():
                raise ValueError(
                    f"expected values of column '{one.column}' near those of the training rows (mean "
                    f"{one.means[0]:.4g}, deviation {one.deviation:.4g}), got far larger ones on {columns.where(far)}"
                )
        empty = np.all(np.isnan(x), axis=1)
        if empty.any():
            raise ValueError(
                f"expected at least one value in every row, got none on {columns.where(empty)}; remove these rows"
            )
        return x

    def unseen(self, columns: Columns) -> dict[str, int]:
        """How many rows of each column have a level that no training row has."""
        worded = [one for one in self.columns if one.levels]
        counts = {one.column: int((one.known(columns.named[one.column]) == -2).sum()) for one in worded}
        return {name: count for name, count in counts.items() if count}


def fit(training: Columns, used: Collection[str]) -> Encoding:
    """The encoding of the used columns that the training rows give.

    Raises:
        ValueError: no column, one without a value, all constant, or two coordinates of one name.
    """
    if not used:
        raise ValueError("expected at least one column of measurements, got none; leave out fewer")
    empty = [name for name in used if training.named[name].missing.all()]
    if empty:
        raise ValueError(
            f"expected values in the training rows of every column, got none in {shortened(empty)}; "
            f"leave them out (leave_out={empty[:20]})"
        )
    fitted = [Coordinates.fitted(name, training.named[name]) for name in used]
    varied = tuple(one for one in fitted if one.deviation > 0)
    constant = tuple(one.column for one in fitted if not one.deviation > 0)
    encoding = Encoding(varied, constant)
    if not varied:
        raise ValueError(f"expected a column that varies, got one value in all of {shortened(constant)}")
    if len(set(encoding.names)) < len(encoding.names):
        twice = sorted({name for name in encoding.names if encoding.names.count(name) > 1})
        raise ValueError(f"expected a name of its own for every feature, got {twice} twice; rename a column")
    return encoding


def check_levels(columns: Columns, named: Collection[str]) -> None:
    """Refuse columns of words that look like names of rows rather than categories, unless `named` as categories.

    Raises:
        ValueError: a column has more than 50 levels, or more than half as many as it has values.
    """
    for name, column in columns.named.items():
        if column.codes is None or name in named:
            continue
        levels, values = len(np.unique(column.codes[column.codes >= 0])), int((column.codes >= 0).sum())
        if levels > max(2, min(LEVELS, values // 2)):
            raise ValueError(
                f"expected a category or numbers in column '{name}', got {levels} different words in {values} rows; "
                f"if it names rows, leave_out=['{name}'], else name it in categories"
            )


def telling(columns: Columns, population: Int[np.ndarray, " n"]) -> list[str]:
    """Columns of few values, each of which occurs in one population alone: they give the population away."""
    return [name for name, column in columns.named.items() if _tells(column, population)]


def _tells(column: Column, population: Int[np.ndarray, " n"]) -> bool:
    there = ~column.missing
    values, of = (column.codes if column.numbers is None else column.numbers), population[there]
    assert values is not None
    found, codes = np.unique(values[there], return_inverse=True)
    if not 2 <= len(found) <= min(LEVELS, len(of) // 2):
        return False
    pairs = np.unique(np.stack([codes, of]), axis=1)
    return pairs.shape[1] == len(found) and len(np.unique(of)) > 1


def _moments(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Mean and deviation; 0 for numbers that differ by rounding alone."""
    size = np.abs(values).max()
    if not size > 0:
        return 0.0, 0.0
    scaled = values / size  # else squares of large numbers overflow
    mean, deviation = float(scaled.mean()), float(scaled.std())
    return mean * size, deviation * size if deviation > 1e-12 else 0.0
