"""People's own cells: counts of genes, from an AnnData."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from unbraid.configuration import Plain
from unbraid.data._split import SHARES, Split, split_number, stratified
from unbraid.data._tabular.columns import meant, shortened
from unbraid.data._tabular.h5ad import Counts, Source, opened
from unbraid.data._tabular.pinned import pinned_source
from unbraid.data.contract import Data
from unbraid.types import Batch

if TYPE_CHECKING:
    import anndata

OVERDISPERSION = 0.01  # of the counts that `most_variable` expects, as in Lause et al.


class Cells(Data):
    """Raw counts of genes in cells, from an .h5ad file or an AnnData in memory, with the total of every cell.

    A batch holds counts and, as `library`, each cell's total over the genes used, for `NegativeBinomial`. Counts are
    held as a compressed sparse matrix in the smallest integers that do, so that memory grows with what is not 0.

    A file is remembered by path and checksum. An AnnData is in memory: a run records its checksum, not its values.

    Args:
        source: path of an .h5ad file, or an AnnData. Needs the extra `unbraid[anndata]`.
        population: column of obs that says which population a cell belongs to; None for one population.
        populations: names in the order to use; cells of others are left out. Default: all, sorted.
        label: column of obs with classes for judging.
        layer: layer with the raw counts; None takes X.
        library: column of obs with totals (or size factors) to use instead, scaled by one factor so that over the
            training cells they sum to the counts of the genes used.
        genes: names of the genes to use, in this order; None takes all.
        most_variable: use only so many of them (all, if there are fewer), in the same order: those whose Pearson
            residuals vary most over the training cells, whatever the split (Lause et al. 2021, *Analytic Pearson
            residuals for normalization of single-cell RNA-seq UMI data*): (x - m) / sqrt(m + 0.01 m^2), clipped at
            sqrt(number of cells), with m what a cell's total and the gene's share of all counts let expect.
        split: which part of the cells; "all" takes them all.
        seed: of the split, which keeps the proportions of populations.
        shares: of train, validation and test.
        sha256: checksum that the file must have; None takes it as it is.

    rows: `[n]`, where each cell stands in the source, from 0, so that codes can be put beside obs.

    Raises:
        ValueError: the file, a column, a layer, a gene or a population is not as it must be, a count is no whole number
            from 0, or a cell has no counts; the message says which.
    """

    def __init__(
        self,
        source: "Path | str | anndata.AnnData",
        population: str | None = None,
        populations: Sequence[str] | None = None,
        label: str | None = None,
        layer: str | None = None,
        library: str | None = None,
        genes: Sequence[str] | None = None,
        most_variable: int | None = None,
        split: Split | Literal["all"] = "train",
        seed: int = 0,
        shares: Sequence[float] = SHARES,
        sha256: str | None = None,
    ):
        part = None if split == "all" else split_number(split)
        self.source = str(Path(source).absolute()) if isinstance(source, Path | str) else source
        self.given_population, self.label, self.layer, self.given_library = population, label, layer, library
        self.genes, self.most_variable = None if genes is None else tuple(map(str, genes)), most_variable
        self.split: Split | Literal["all"] = split
        self.seed, self.shares, self.sha256 = seed, tuple(shares), pinned_source(self.source, sha256)
        with opened(self.source, layer) as found:
            of = np.zeros(len(found.obs), dtype=np.int64)
            if population is not None:
                self.populations, of = _populations(found, population, populations)
            elif populations:
                raise ValueError(
                    f"expected the column of obs with the populations {list(populations)}, got none; "
                    "pass population=..."
                )
            labels = None if label is None else found.column(label, "classes", of >= 0).astype(str)
            given = None if library is None else _given_library(found, library, of >= 0)
            counts = found.counts(layer)
            names = _unique(found.genes, found.name)
            _require_counts(counts, of, found.name)
        self.rows = np.flatnonzero(of >= 0)
        parts = [self.rows[one] for one in stratified(of[self.rows], seed, shares)]
        chosen = self.rows if part is None else np.sort(parts[part])
        if not len(parts[0]) and (most_variable is not None or library is not None):
            raise ValueError(
                f"expected training cells, which most_variable and library look at, got none with shares {self.shares} "
                f"of {len(self.rows)} cells; give training a larger share"
            )
        used = _used(counts, names, self.genes, most_variable, np.sort(parts[0]))
        counts = counts if used is None else counts.take(np.arange(len(of)), used)
        self.feature_names = tuple(names if used is None else (names[gene] for gene in used))
        total = counts.totals()
        self._factor = 1.0 if given is None else float(total[parts[0]].sum() / given[parts[0]].sum())
        self.library = ((total if given is None else self._factor * given)[chosen]).astype(np.float32)
        self._keep(counts.take(chosen), chosen, of, labels)
        _require_members(self)

    def _keep(self, counts: Counts, chosen, of, labels) -> None:
        self.values, self.columns, self.starts = counts.values, counts.columns, counts.starts
        self.rows, self.shape = chosen, counts.shape[1:]
        self.bounds = (0.0, float(counts.values.max(initial=0)))
        if self.given_population is not None:
            self.population = of[chosen]
        if labels is not None:
            self.classes = tuple(sorted(set(labels[of >= 0].tolist())))
            self.labels = np.searchsorted(np.array(self.classes), labels[chosen])

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The counts of the cells at `index`, `[batch, gene]`, with their populations and totals."""
        index = self.checked(index)
        x = np.zeros((len(index), *self.shape), dtype=np.float32)
        lengths = self.starts[index + 1] - self.starts[index]
        begins = np.cumsum(lengths) - lengths
        places = np.arange(lengths.sum()) + np.repeat(self.starts[index] - begins, lengths)
        x[np.repeat(np.arange(len(index)), lengths), self.columns[places]] = self.values[places]
        population = None if self.population is None else torch.from_numpy(self.population[index])
        return Batch(torch.from_numpy(x), population, torch.from_numpy(self.library[index]))

    def facts(self) -> dict[str, Plain]:
        """Checksum of the file, cells and genes used, share of counts that are 0, and the factor of a given library."""
        files = {Path(self.source).name: self.sha256} if isinstance(self.source, str) else {}
        empty = 1 - len(self.values) / (len(self) * self.shape[0])
        sizes: dict[str, Plain] = {"cells": len(self), "genes": self.shape[0], "zeros": round(empty, 4)}
        return {"files": files, **sizes, "library_factor": self._factor}

    def fingerprint(self) -> dict[str, Plain] | None:
        """Shape and checksum of what was in memory; None for a file, which is described by its arguments."""
        if isinstance(self.source, str):
            return None
        digest = hashlib.sha256(repr((self.populations, self.classes, self.feature_names)).encode())
        for part in (self.values, self.columns, self.starts, self.library, self.population, self.labels):
            digest.update(b"" if part is None else np.ascontiguousarray(part).tobytes())
        return {"in_memory": "Cells", "shape": [len(self), *self.shape], "sha256": digest.hexdigest()}

    def __repr__(self) -> str:
        if isinstance(self.source, str):
            return super().__repr__()
        return f"Cells({len(self)} cells x {self.shape[0]} genes in memory, populations={self.populations})"


def _populations(
    found: Source, column: str, wanted: Sequence[str] | None
) -> tuple[tuple[str, ...], Int[np.ndarray, " cell"]]:
    """Names in order, and the number of every cell's population; -1 for those that are not wanted."""
    values = found.column(column, "populations").astype(str)
    present = sorted(set(values.tolist()))
    names = tuple(present) if wanted is None else tuple(map(str, wanted))
    for name in names:
        if name not in present:
            raise ValueError(
                f"expected populations among obs['{column}'] of {found.name}, which are {shortened(present)}, "
                f"got '{name}'{meant(name, present)}"
            )
    if len(set(names)) != len(names) or len(names) < 2:
        raise ValueError(f"expected at least two distinct populations in obs['{column}'], got {names}")
    order = {name: k for k, name in enumerate(names)}
    return names, np.array([order.get(value, -1) for value in values.tolist()], dtype=np.int64)


def _given_library(found: Source, column: str, used: Bool[np.ndarray, " cell"]) -> Float[np.ndarray, " cell"]:
    values = found.column(column, "totals", used)
    try:
        totals = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected numbers in obs['{column}'] as totals, got {values[0]!r}") from error
    wrong = used & ~(np.isfinite(totals) & (totals > 0))
    if wrong.any():
        raise ValueError(f"expected finite totals above 0 in obs['{column}'], got {totals[wrong].min():.4g}")
    return totals


def _unique(names: list[str], what: str) -> list[str]:
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = [name for name in names if name in seen or seen.add(name)]
        raise ValueError(
            f"expected every gene once in var_names of {what}, got {shortened(sorted(set(twice)), 5)} several times; "
            "adata.var_names_make_unique() tells them apart"
        )
    return names


def _require_counts(counts: Counts, of: Int[np.ndarray, " cell"], what: str) -> None:
    if not counts.shape[0] or not counts.shape[1]:
        raise ValueError(f"expected cells and genes in {what}, got {counts.shape[0]} x {counts.shape[1]}")
    empty = (counts.totals() == 0) & (of >= 0)
    if empty.any():
        raise ValueError(
            f"expected counts in every cell of {what}, got none in {int(empty.sum())} of {len(of)}, the first at index "
            f"{int(empty.argmax())}; leave them out (scanpy.pp.filter_cells(adata, min_counts=1))"
        )


def _used(
    counts: Counts, names: list[str], genes: Sequence[str] | None, most: int | None, cells: Int[np.ndarray, " cell"]
) -> Int[np.ndarray, " gene"] | None:
    """Columns of the genes to use; None for all as they are."""
    chosen = np.arange(len(names))
    if genes is not None:
        place = {name: k for k, name in enumerate(names)}
        unknown = [name for name in genes if name not in place]
        if unknown:
            hint = meant(unknown[0], names)
            raise ValueError(f"expected genes of the {len(names)} there are, got {shortened(unknown, 5)}{hint}")
        if len(set(genes)) < len(genes) or not genes:
            raise ValueError(f"expected at least one gene and each once, got {len(genes)}, {len(set(genes))} distinct")
        chosen = np.array([place[name] for name in genes])
    if most is not None and most < 1:
        raise ValueError(f"expected most_variable of at least 1, got {most}; None takes all genes")
    if most is None or most >= len(chosen):
        return None if genes is None else chosen
    spread = residual_variance(counts.take(cells, chosen))
    best = np.argsort(-spread, kind="stable")[:most]
    return chosen[np.sort(best)]


def residual_variance(counts: Counts) -> Float[np.ndarray, " gene"]:
    """Variance of the clipped Pearson residuals of every gene; 0 for one without counts."""
    total = counts.totals().astype(np.float64)
    share = np.bincount(counts.columns, counts.values, counts.shape[1]) / total.sum()
    limit, first, second = np.sqrt(len(total)), np.zeros(counts.shape[1]), np.zeros(counts.shape[1])
    for row in range(len(total)):
        here = slice(counts.starts[row], counts.starts[row + 1])
        mean = total[row] * share
        scale = np.sqrt(np.maximum(mean + OVERDISPERSION * mean**2, np.finfo(float).tiny))
        x = np.zeros(counts.shape[1])
        x[counts.columns[here]] = counts.values[here]
        residual = np.clip((x - mean) / scale, -limit, limit)
        first += residual
        second += residual**2
    return second / len(total) - (first / len(total)) ** 2


def _require_members(data: Cells) -> None:
    if not len(data):
        raise ValueError(f"expected cells in the {data.split} part, got none; give it a larger share")
    if data.population is not None:
        members = np.bincount(data.population, minlength=len(data.populations))
        if not members.all():
            named = dict(zip(data.populations, members.tolist(), strict=True))
            raise ValueError(f"expected cells of every population in the {data.split} part, got {named}")
