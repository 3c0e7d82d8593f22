"""One number from the same measurement under several training seeds, with the interval that so few values allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan, sqrt
from typing import Literal

import numpy as np
from jaxtyping import Float, Real
from scipy import stats

from unbraid.metrics.checks import finite

Method = Literal["bootstrap", "t"]
# with fewer values kept, resamples repeat themselves too much: docs/metrics/aggregation.md has the coverage
FEWEST_FOR_BOOTSTRAP = 10


@dataclass(frozen=True)
class Summary:
    """What several seeds say together.

    mean: of `kept`.
    low, high: interval for the mean over all seeds that could have been drawn; NaN where there is one value only.
    values: all that were given; kept: those that `mean` is taken of; both in the order given.
    confidence: how often such an interval should hold the true mean.
    which: "all", "best 2 of 3", "worst 10 of 30" or, of a paired difference, "3 pairs".
    method: how the interval was made, "none" for one value.
    wins: of a paired difference, in how many pairs the first is strictly better; else None.
    """

    mean: float
    low: float
    high: float
    values: tuple[float, ...]
    kept: tuple[float, ...]
    confidence: float
    which: str
    method: Literal["bootstrap", "t", "none"]
    wins: int | None = None


def summarise(
    values: Sequence[float] | Real[np.ndarray, " n"],
    best: int | None = None,
    worst: int | None = None,
    larger_is_better: bool = True,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    method: Method | None = None,
) -> Summary:
    """Mean of the values of several seeds, or of the `best` or the `worst` few of them, with its interval.

    best, worst: how many to keep, at most one of the two. What is best is chosen anew in every resample: an interval of
    the chosen values alone would take the choice for granted and be too narrow.
    method: "bootstrap": percentiles of the mean over `resamples` draws with replacement, at levels widened for small n
    (Hesterberg 2015, the expanded percentile interval). "t": Student's, n - 1 degrees of freedom; where a few are kept
    its standard error is the bootstrap's. None: "bootstrap" where 10 values or more are kept, "t" below.
    One value has no interval: `low` and `high` are NaN. The same `seed` gives the same interval.

    Raises:
        ValueError: no values, or NaN or infinite ones; `best` and `worst` together, or not in 1 to n; `confidence` not
            within 0 and 1; no resamples.

    >>> three = summarise([0.81, 0.86, 0.84])
    >>> f"{three.mean:.3f} ({three.low:.3f} to {three.high:.3f}), {three.method}, {three.which}"
    '0.837 (0.774 to 0.899), t, all'
    >>> summarise([0.81, 0.86, 0.84], best=2).kept
    (0.86, 0.84)
    >>> summarise([0.81]).low
    nan
    """
    numbers = finite(np.asarray(values), "values")
    _check(numbers, best, worst, confidence, resamples)
    count = best or worst or len(numbers)
    sign = 1.0 if (worst is None) == larger_is_better else -1.0  # those to keep are the largest of sign * values
    kept = np.sort(np.argsort(-sign * numbers, kind="stable")[:count])
    method = method or ("bootstrap" if count >= FEWEST_FOR_BOOTSTRAP else "t")
    mean, low, high = float(numbers[kept].mean()), nan, nan
    if len(numbers) > 1:
        means = sign * _resampled(sign * numbers, count, resamples, seed)
        low, high = _percentiles(means, len(numbers), confidence)
        if method == "t":
            half = _student(len(numbers), confidence) * _standard_error(numbers, means, count)
            low, high = mean - half, mean + half
    which = next((f"{name} {k} of {len(numbers)}" for name, k in (("best", best), ("worst", worst)) if k), "all")
    shown = "none" if len(numbers) == 1 else method
    return Summary(mean, low, high, tuple(numbers.tolist()), tuple(numbers[kept].tolist()), confidence, which, shown)


def paired_difference(
    first: Mapping[int, float],
    second: Mapping[int, float],
    larger_is_better: bool = True,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
    method: Method | None = None,
) -> Summary:
    """Mean of first - second over the seeds that both have, its interval, and how many seeds `first` wins.

    first, second: value by training seed. What a seed makes easy or hard for both cancels; `values` are the
    differences by ascending seed. The other arguments and the interval are those of `summarise`.

    Raises:
        ValueError: no seed in common, or as `summarise`.

    >>> both = paired_difference({0: 0.8, 1: 0.9, 2: 0.7}, {1: 0.7, 2: 0.8, 5: 0.1})
    >>> [round(value, 3) for value in both.values], both.which, both.wins
    ([0.2, -0.1], '2 pairs', 1)
    """
    shared = sorted(first.keys() & second.keys())
    if not shared:
        raise ValueError(
            f"expected seeds that both have, got {sorted(first)} and {sorted(second)}; run both with the same seeds"
        )
    differences = [first[one] - second[one] for one in shared]
    found = summarise(differences, confidence=confidence, resamples=resamples, seed=seed, method=method)
    wins = sum(difference > 0 if larger_is_better else difference < 0 for difference in differences)
    return replace(found, which=f"{len(shared)} pair{'s' * (len(shared) > 1)}", wins=int(wins))


def _check(
    numbers: Float[np.ndarray, "..."], best: int | None, worst: int | None, confidence: float, resamples: int
) -> None:
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError(f"expected values as a list of at least one number, got shape {numbers.shape}; one a seed")
    if best is not None and worst is not None:
        raise ValueError(f"expected best or worst, got best={best} and worst={worst}; summarise them one after another")
    for name, count in (("best", best), ("worst", worst)):
        if count is not None and not 1 <= count <= len(numbers):
            raise ValueError(
                f"expected {name} in 1 to {len(numbers)}, the number of values, got {count}; lower it or add seeds"
            )
    if not 0 < confidence < 1:
        raise ValueError(f"expected confidence between 0 and 1, got {confidence}; 0.95 is usual")
    if resamples < 1:
        raise ValueError(f"expected at least 1 resample, got {resamples}; 10,000 give stable percentiles")


def _resampled(numbers: Float[np.ndarray, " n"], count: int, resamples: int, seed: int) -> Float[np.ndarray, " mean"]:
    """Means of the `count` largest of every resample."""
    n = len(numbers)
    drawn = numbers[np.random.default_rng(seed).integers(0, n, (resamples, n))]
    if count < n:
        drawn = np.partition(drawn, n - count, axis=1)[:, n - count :]
    return drawn.mean(axis=1)


def _student(n: int, confidence: float) -> float:
    return float(stats.t.ppf(0.5 + confidence / 2, n - 1))


def _percentiles(means: Float[np.ndarray, " mean"], n: int, confidence: float) -> tuple[float, float]:
    level = float(stats.norm.cdf(-sqrt(n / (n - 1)) * _student(n, confidence)))
    low, high = np.quantile(means, [level, 1 - level]).tolist()
    return low, high


def _standard_error(numbers: Float[np.ndarray, " n"], means: Float[np.ndarray, " mean"], count: int) -> float:
    n = len(numbers)
    if count == n:
        return float(numbers.std(ddof=1)) / sqrt(n)
    return float(means.std()) * sqrt(n / (n - 1))  # resamples have the variance that divides by n
