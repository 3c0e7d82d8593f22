"""Tables of measurements: a row for each sample, a column for each thing measured."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Float, Int

from unbraid.configuration import Plain
from unbraid.data._split import SHARES, Split, split_number, stratified_units
from unbraid.data._tabular.columns import Columns, Wanted
from unbraid.data._tabular.encoding import check_levels, fit, telling
from unbraid.data._tabular.files import read_file, read_frame
from unbraid.data._tabular.pinned import pinned_source
from unbraid.data._tabular.rows import check_part, classes, groups, members
from unbraid.data.contract import Data
from unbraid.types import Batch

if TYPE_CHECKING:
    import pandas

LOGGER = logging.getLogger("unbraid")


class Table(Data):
    """A table in a file (CSV with any separator, Parquet) or a pandas data frame, as standardised vectors.

    Numbers are standardised; words and booleans become a coordinate for each level (`sex=female`), 1 and 0, centred
    and scaled so that the levels of a column have variance 1 together. Mean and deviation are those of the training
    rows, whatever the split, so that all splits and new rows (`transform`) are on one scale. Columns that do not vary
    in the training rows are left out (`facts` names them).

    Missing are empty fields and NA, N/A, #N/A, NaN, NULL and ? (in any case). They stay missing: NaN in `x`, never
    imputed; use `IgnoreMissing` and `MaskedTrunk`. A level that no training row has counts as missing.

    A file is remembered by path and checksum. A data frame is in memory: a run records its checksum, not its values.

    Args:
        source: path of the file, or a data frame.
        population: column that says which population a row belongs to; None for one population.
        populations: names in the order to use; rows of others are left out. Default: all, sorted.
        label: column of classes for judging, never a measurement.
        leave_out: columns that are no measurements: identifiers, dates, what gives the population away.
        categories: columns of codes to read as words, and columns of more than 50 levels that are meant.
        group: column that says which rows belong together (samples of one patient); no group is in two splits.
        group_pattern: regular expression that finds the group at the start of that column's values, by its first
            parenthesis if it has one; `[^_]+` takes what comes before the first `_`.
        split: which part of the rows; "all" takes them all.
        seed: of the split, which keeps the proportions of populations.
        shares: of train, validation and test.
        separator: of fields; None finds out by the first line.
        decimal: mark of decimals.
        sha256: checksum that the file must have; None takes it as it is.

    rows: `[n]`, where each observation stands in the source, from 0, so that codes can be put beside the table.

    Raises:
        ValueError: the file, a column, a value, a population or a split is not as it must be; the message says which.
    """

    def __init__(
        self,
        source: "Path | str | pandas.DataFrame",
        population: str | None = None,
        populations: Sequence[str] | None = None,
        label: str | None = None,
        leave_out: Sequence[str] = (),
        categories: Sequence[str] = (),
        group: str | None = None,
        group_pattern: str | None = None,
        split: Split | Literal["all"] = "train",
        seed: int = 0,
        shares: Sequence[float] = SHARES,
        separator: str | None = None,
        decimal: Literal[".", ","] = ".",
        sha256: str | None = None,
    ):
        part = None if split == "all" else split_number(split)
        self.source = str(Path(source).absolute()) if isinstance(source, Path | str) else source
        self.given_population, self.label, self.group, self.group_pattern = population, label, group, group_pattern
        self.leave_out, self.categories, self.shares = tuple(leave_out), tuple(categories), tuple(shares)
        self.split: Split | Literal["all"] = split
        self.seed, self.separator, self.decimal = seed, separator, decimal
        self.sha256 = pinned_source(self.source, sha256)
        special = {name for name in (population, label, group) if name is not None}
        columns = self._read(self.source, Wanted(special | {*categories}, {*leave_out} - special, None, decimal))
        used = members(columns, population, populations)
        columns, self.left_out_rows = columns.take(used.rows), used.left_out
        unit = None if group is None else groups(columns, group, group_pattern)
        parts = stratified_units(used.population, unit, seed, shares)
        chosen = np.arange(len(columns)) if part is None else parts[part]
        check_part(split, used.population[chosen], used.names, group is not None)
        if label is not None:
            self.classes, labels = classes(columns, label)
            self.labels = labels[chosen]
        self.rows, self.populations = used.rows[chosen], used.names
        self.population = None if population is None else used.population[chosen]
        self.unit = None if unit is None else unit[chosen]
        self._encode(columns.without(special), used.population, parts[0], chosen)

    def _encode(self, columns: Columns, population: np.ndarray, training: np.ndarray, chosen: np.ndarray) -> None:
        check_levels(columns, self.categories)
        self.telling = telling(columns, population)
        if self.telling:
            LOGGER.warning("these columns give the population away, leave_out takes them out: %s", self.telling)
        self._encoding = fit(columns.take(training), list(columns.named))
        whole = self._encoding.encode(columns)
        self.feature_names, self.missing = self._encoding.names, bool(np.isnan(whole).any())
        self.unseen = self._encoding.unseen(columns)
        self.x, self.shape = whole[chosen], whole.shape[1:]

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The rows at `index`, `[batch, feature]`, NaN where missing.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """
        index = self.checked(index)
        population = None if self.population is None else torch.from_numpy(self.population[index])
        return Batch(torch.from_numpy(self.x[index]), population)

    def transform(self, source: "Path | str | pandas.DataFrame") -> Float[np.ndarray, "n feature"]:
        """New rows on the scale of these, from a table that has the same columns; others in it are not looked at.

        Rows need no population: a model's `encode` gives their codes under every population's head.

        Raises:
            ValueError: a column is missing, a value is not as it must be, or a row has none.
        """
        used = {one.column for one in self._encoding.columns}
        words = {one.column for one in self._encoding.columns if one.levels}
        return self._encoding.encode(self._read(source, Wanted(words, set(), used, self.decimal)))

    def to_original(self, x: Float[np.ndarray, "n feature"]) -> Float[np.ndarray, "n feature"]:
        """Vectors (such as reconstructions) in the table's units; of a level, how present it is: 1 is there, 0 not."""
        return np.asarray(x, dtype=np.float64) * self._encoding.deviations + self._encoding.means

    def facts(self) -> dict[str, Plain]:
        """Checksum of the file, mean and deviation of each feature, and what was left out or counts as missing."""
        names, encoding = self.feature_names, self._encoding
        scales = zip(names, encoding.means.tolist(), encoding.deviations.tolist(), strict=True)
        gaps = np.isnan(self.x).sum(0).tolist()
        files: dict[str, Plain] = {Path(self.source).name: self.sha256} if isinstance(self.source, str) else {}
        return {
            "files": files,
            "columns": {name: {"mean": mean, "deviation": deviation} for name, mean, deviation in scales},
            "missing": {name: count for name, count in zip(names, gaps, strict=True) if count},
            "constant": list(encoding.constant),
            "unseen_levels": dict(self.unseen),
            "left_out_rows": dict(self.left_out_rows),
            "give_population_away": list(self.telling),
        }

    def fingerprint(self) -> dict[str, Plain] | None:
        """Shape and checksum of a data frame, which a run records in place of the values; None for a file."""
        if isinstance(self.source, str):
            return None
        digest = hashlib.sha256(self.x.tobytes())
        digest.update(repr((self.feature_names, self.populations, self.classes)).encode())
        for codes in (self.population, self.labels):
            digest.update(b"" if codes is None else codes.tobytes())
        return {"in_memory": "Table", "shape": list(self.x.shape), "sha256": digest.hexdigest()}

    def __repr__(self) -> str:
        if isinstance(self.source, str):
            return super().__repr__()
        return f"Table(data frame, {len(self)} rows of {self.shape[0]} features, populations={self.populations})"

    def _read(self, source: "str | Path | pandas.DataFrame", wanted: Wanted) -> Columns:
        if isinstance(source, str | Path):
            return read_file(Path(source), wanted, self.separator)
        return read_frame(source, wanted)
