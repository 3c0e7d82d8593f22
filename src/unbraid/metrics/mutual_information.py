"""Plug-in mutual information of binned codes with factors, the table under MIG and modularity."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

_SHUFFLES = 10
_ROUNDING = 1e-12  # a range below this share of the largest value is rounding error
_SMALLEST = 1e-150  # a range below this is nothing: its square would be 0


@dataclass(frozen=True)
class Information:
    """What codes tell of factors, all in nats.

    mutual: `[latent, factor]` mutual information, 0 for a constant code.
    of_codes: `[latent]` entropies.
    of_factors: `[factor]` entropies.
    """

    mutual: Float[np.ndarray, "latent factor"]
    of_codes: Float[np.ndarray, " latent"]
    of_factors: Float[np.ndarray, " factor"]


def varying(codes: Float[np.ndarray, "n latent"]) -> Bool[np.ndarray, " latent"]:
    """Which code dimensions vary by more than rounding error."""
    return np.ptp(codes, axis=0) > np.maximum(_ROUNDING * np.abs(codes).max(axis=0), _SMALLEST)


def binned(values: Float[np.ndarray, "n column"], bins: int) -> Int[np.ndarray, "n column"]:
    """The number of the equal-width bin that each value lies in, column by column, from 0.

    The edges are those of `numpy.histogram` between the smallest and the largest value; a value on an edge belongs to
    the bin above it. A column that does not vary is all in bin 0.

    Raises:
        ValueError: fewer than two bins.
    """
    if bins < 2:
        raise ValueError(f"expected at least 2 bins, got {bins}; with one, every code is constant")
    numbers = np.zeros(values.shape, dtype=np.int64)
    for column in np.flatnonzero(varying(values)):
        edges = np.histogram_bin_edges(values[:, column], bins)
        numbers[:, column] = np.searchsorted(edges[1:-1], values[:, column], side="right")
    return numbers


def information(codes: Int[np.ndarray, "n latent"], factors: Int[np.ndarray, "n factor"]) -> Information:
    """Entropies and mutual information of every code with every factor, from counts of their values.

    Both are integers from 0. The estimate is the plug-in one: biased upwards by about (a - 1)(b - 1) / 2n for a and b
    occupied values (Miller 1955), so that independent codes do not get 0.
    """
    sizes = factors.max(axis=0) + 1
    starts = np.concatenate([[0], np.cumsum(sizes)])
    placed, total = factors + starts[:-1], int(starts[-1])
    weight = _count_log_count(len(codes))
    of_factors = np.add.reduceat(weight[np.bincount(placed.ravel(), minlength=total)], starts[:-1])
    of_codes, joint = np.zeros(codes.shape[1]), np.zeros((codes.shape[1], factors.shape[1]))
    for latent, values in enumerate(codes.T):
        together = np.bincount((values[:, None] * total + placed).ravel(), minlength=(int(values.max()) + 1) * total)
        joint[latent] = np.add.reduceat(weight[together.reshape(-1, total)].sum(axis=0), starts[:-1])
        of_codes[latent] = weight[np.bincount(values)].sum()
    log_n, n = np.log(len(codes)), len(codes)
    mutual = log_n + (joint - of_codes[:, None] - of_factors) / n
    return Information(np.maximum(mutual, 0.0), log_n - of_codes / n, log_n - of_factors / n)


def information_levels(
    score: Callable[[Information], float],
    codes: Int[np.ndarray, "n latent"],
    factors: Int[np.ndarray, "n factor"],
    perfect: Int[np.ndarray, "n factor"],
    seed: int,
) -> tuple[float, float]:
    """Chance: the mean score with the rows of the binned codes permuted. Ceiling: that of the binned perfect code."""
    rng = np.random.default_rng(seed)
    shuffled = [score(information(codes[rng.permutation(len(codes))], factors)) for _ in range(_SHUFFLES)]
    return float(np.mean(shuffled)), score(information(perfect, factors))


def _count_log_count(n: int) -> Float[np.ndarray, " count"]:
    """c log c for every count c from 0 to n: far fewer logarithms than cells in the tables."""
    counts = np.arange(n + 1, dtype=np.float64)
    return counts * np.log(np.maximum(counts, 1))
