"""Where votes draw from: groups of codes that share the value of one factor, each observation encoded once."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real

from unbraid.configuration import Plain
from unbraid.metrics.checks import matrix, same_length
from unbraid.metrics.labelled import labelled

CodesOf = Callable[[Real[np.ndarray, "n factor"]], Real[np.ndarray, "n latent"]]
SampleFactors = Callable[[int, np.random.Generator], Real[np.ndarray, "count factor"]]

_ROWS = 32_000  # observations drawn at once: bounds the memory, and the batches that an encoder sees
_PROBE = 1_000  # draws that show which continuous factors vary


@dataclass(frozen=True)
class Drawn:
    """Codes beside the factors of their observations, `[*many, latent]` and `[*many, factor]`."""

    codes: Float[np.ndarray, "*many latent"]
    factors: Real[np.ndarray, "*many factor"]


class Source(ABC):
    """Observations for the metrics that vote; made by `grid_codes`, `row_codes`, `lazy_codes`, `continuous_codes`.

    width: number of factors.
    fixable: factors that a vote can fix: they vary, and two observations can share a value of them.
    parameters: plain values that a result should report.

    Raises:
        ValueError: fewer than two factors can be fixed.
    """

    def __init__(self, width: int, fixable: Int[np.ndarray, " fixable"], parameters: dict[str, Plain]):
        if len(fixable) < 2:
            raise ValueError(
                "expected at least two factors that vary and whose values are shared by observations, "
                f"got {len(fixable)} of {width} ({parameters}); votes tell factors apart"
            )
        self.width, self.fixable, self.parameters = width, fixable, parameters

    @abstractmethod
    def observations(self, count: int, rng: np.random.Generator) -> Drawn:
        """Independent observations, `[count, ...]`."""

    @abstractmethod
    def groups(self, fixed: Int[np.ndarray, " group"], size: int, rng: np.random.Generator) -> Drawn:
        """Groups of `size` observations, `[group, size, ...]`; group i shares a random value of factor `fixed[i]`."""


def grid_codes(codes: Real[np.ndarray, "n latent"], factor_sizes: Sequence[int]) -> Source:
    """Codes of a whole grid, each cell encoded once.

    Args:
        codes: `[n, latent]`, one row a cell of the grid, the last factor varying fastest.
        factor_sizes: number of values of each factor; their product is n.

    Raises:
        ValueError: there is not one code a cell, a code is not finite, or fewer than two factors vary.
    """
    sizes = _sizes(factor_sizes)
    table = matrix(codes, "codes")
    same_length("codes", len(table), "cells of the grid", int(np.prod(sizes)))
    return _Rows(table, np.stack(np.unravel_index(np.arange(len(table)), tuple(sizes)), axis=1))


def row_codes(codes: Real[np.ndarray, "n latent"], factors: Int[np.ndarray, "n factor"]) -> Source:
    """Codes beside the factors of the same observations, however those were chosen.

    A group takes its value from a random row and draws, with replacement, among all rows that share it. On the rows of
    a whole grid this is what `grid_codes` draws. A group of one row repeated would say nothing, so a value that only
    one row has is never fixed; how many rows that concerns is in `parameters["unshared_rows"]`, one number a factor.

    Args:
        codes: `[n, latent]`.
        factors: `[n, factor]` integers.

    Raises:
        ValueError: codes are not a finite matrix, factors not as many rows of integers, or fewer than two of them
            vary and have a value that two rows share.
    """
    given = labelled(codes, factors)
    numbered = np.zeros((len(given.codes), np.shape(factors)[1]), dtype=np.int64)
    numbered[:, given.columns] = given.factors
    return _Rows(given.codes, numbered)


def lazy_codes(codes_of: CodesOf, factor_sizes: Sequence[int]) -> Source:
    """Codes computed when they are drawn, for a grid too large to encode once.

    Args:
        codes_of: `[n, factor]` integer factor values to finite codes `[n, latent]`; it is called with up to 32,000
            rows or a single group of more, so an encoder must split them itself.
        factor_sizes: number of values of each factor.

    Raises:
        ValueError: fewer than two factors vary; when drawn from: anything but finite codes `[n, latent]`.
    """
    sizes = _sizes(factor_sizes)

    def sample(count: int, rng: np.random.Generator) -> Int[np.ndarray, "count factor"]:
        return rng.integers(sizes, size=(count, len(sizes)))

    return _Lazy(codes_of, sample, len(sizes), np.flatnonzero(sizes > 1), {"factor_sizes": sizes.tolist()})


def continuous_codes(codes_of: CodesOf, sample_factors: SampleFactors) -> Source:
    """Codes of observations with continuous factors, computed when they are drawn.

    A group draws factors for every observation and sets one of them to the value of the group's first, which is a draw
    given that value where factors are independent.

    Args:
        codes_of: `[n, factor]` factor values to finite codes `[n, latent]`, called as in `lazy_codes`.
        sample_factors: a count and a random generator to factor values `[count, factor]`.

    Raises:
        ValueError: fewer than two factors vary; when drawn from: anything but finite codes `[n, latent]`.
    """
    probe = matrix(sample_factors(_PROBE, np.random.default_rng(0)), "factors")
    varying = np.flatnonzero(np.ptp(probe, axis=0))
    return _Lazy(codes_of, sample_factors, probe.shape[1], varying, {"continuous_factors": probe.shape[1]})


def chunks(votes: int, rows_each: int) -> Iterator[slice]:
    """Slices of the votes, as many at once as memory should hold."""
    step = max(1, _ROWS // rows_each)
    return (slice(start, min(start + step, votes)) for start in range(0, votes, step))


class _Rows(Source):
    """A table of codes; the rows of every value of every factor lie together in `_order`."""

    def __init__(self, codes: Float[np.ndarray, "n latent"], factors: Int[np.ndarray, "n factor"]):
        sizes = factors.max(axis=0) + 1
        counts = [np.bincount(column) for column in factors.T]
        shared = [(count >= 2) & (size > 1) for count, size in zip(counts, sizes, strict=True)]
        parameters: dict[str, Plain] = {"rows": len(codes), "factor_sizes": sizes.tolist()}
        unshared = [int((count == 1).sum()) for count in counts]
        if any(unshared):
            parameters["unshared_rows"] = list(unshared)
        super().__init__(len(sizes), np.flatnonzero([some.any() for some in shared]), parameters)
        small = np.int16 if sizes.max() <= np.iinfo(np.int16).max else np.int64  # sorted in linear time
        self._codes, self._factors = codes, factors.astype(small)
        self._order = [np.argsort(column, kind="stable").astype(np.int32) for column in self._factors.T]
        self._counts, self._shared = counts, shared
        self._starts = [np.cumsum(count) - count for count in counts]

    def observations(self, count: int, rng: np.random.Generator) -> Drawn:
        return self._at(rng.integers(len(self._codes), size=count))

    def groups(self, fixed: Int[np.ndarray, " group"], size: int, rng: np.random.Generator) -> Drawn:
        rows = np.empty((len(fixed), size), dtype=np.int32)
        for factor in self.fixable.tolist():
            here = np.flatnonzero(fixed == factor)
            value = self._values(factor, len(here), rng)[:, None]
            start, count = self._starts[factor][value], self._counts[factor][value]
            rows[here] = self._order[factor][start + (rng.random((len(here), size)) * count).astype(np.int64)]
        return self._at(rows)

    def _values(self, factor: int, count: int, rng: np.random.Generator) -> Int[np.ndarray, " count"]:
        """Values of random rows, of those that share theirs with another."""
        below = np.cumsum(self._counts[factor] * self._shared[factor])
        return np.searchsorted(below, rng.integers(below[-1], size=count), side="right")

    def _at(self, rows: Int[np.ndarray, "*many"]) -> Drawn:
        return Drawn(self._codes.take(rows, axis=0), self._factors.take(rows, axis=0))


class _Lazy(Source):
    """Factor values drawn one by one, and codes computed from them."""

    def __init__(
        self,
        codes_of: CodesOf,
        sample: SampleFactors,
        width: int,
        fixable: Int[np.ndarray, " fixable"],
        parameters: dict[str, Plain],
    ):
        super().__init__(width, fixable, parameters)
        self._codes_of, self._sample = codes_of, sample

    def observations(self, count: int, rng: np.random.Generator) -> Drawn:
        return self._of(self._sample(count, rng))

    def groups(self, fixed: Int[np.ndarray, " group"], size: int, rng: np.random.Generator) -> Drawn:
        factors = self._sample(len(fixed) * size, rng).reshape(len(fixed), size, self.width)
        every = np.arange(len(fixed))
        factors[every, :, fixed] = factors[every, 0, fixed][:, None]
        return self._of(factors)

    def _of(self, factors: Real[np.ndarray, "*many factor"]) -> Drawn:
        flat = factors.reshape(-1, self.width)
        codes = matrix(np.asarray(self._codes_of(flat)), "codes", least=1)
        same_length("codes", len(codes), "rows of factors", len(flat))
        return Drawn(codes.reshape(*factors.shape[:-1], codes.shape[1]), factors)


def _sizes(factor_sizes: Sequence[int]) -> Int[np.ndarray, " factor"]:
    sizes = np.asarray(factor_sizes, dtype=np.int64)
    if sizes.ndim != 1 or (sizes < 1).any() or np.count_nonzero(sizes > 1) < 2:
        raise ValueError(f"expected the sizes of at least two factors that vary, got {list(factor_sizes)}")
    return sizes
