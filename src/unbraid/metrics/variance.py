"""How much of the variance of every feature does a part of a model explain?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real

from unbraid.configuration import Plain
from unbraid.metrics.checks import matrix
from unbraid.metrics.features import LISTED, by_unit, chance_limit, quantile_95
from unbraid.metrics.result import Result


@dataclass(frozen=True)
class VarianceTable:
    """The share of every feature's variance (or deviance) that a reconstruction explains.

    share: `[feature]` 1 - left / total, sums over observations; 0 where there is nothing to explain. Below 0 where the
        reconstruction is worse than a constant.
    low, high: `[feature]` ends of its 95% interval over observations or units.
    by_chance: `[feature]` what it must exceed for one of so many features to be beyond chance.
    """

    share: Float[np.ndarray, " feature"]
    low: Float[np.ndarray, " feature"]
    high: Float[np.ndarray, " feature"]
    by_chance: Float[np.ndarray, " feature"]


def moved(
    expected: Real[np.ndarray, "n feature"], observed: Real[np.ndarray, "n feature"]
) -> Float[np.ndarray, "n feature"]:
    """What was expected, moved so that each feature's mean is that of what was observed (not NaN)."""
    difference = np.asarray(observed, dtype=np.float64) - expected
    known = np.maximum((~np.isnan(difference)).sum(0), 1)
    return expected + np.nan_to_num(difference).sum(0) / known


def rescaled(
    expected: Real[np.ndarray, "n feature"], counts: Real[np.ndarray, "n feature"]
) -> Float[np.ndarray, "n feature"]:
    """Expected counts times one factor a feature, so that each feature's sum is that of its counts."""
    expected = np.asarray(expected, dtype=np.float64)
    return expected * (np.asarray(counts, dtype=np.float64).sum(0) / expected.sum(0))


def squared_deviations(
    observed: Real[np.ndarray, "n feature"], expected: Real[np.ndarray, "n feature"]
) -> Float[np.ndarray, "n feature"]:
    """(observed - expected)^2; 0 where nothing was observed (NaN), so that sums are those of what was observed."""
    return np.nan_to_num((np.asarray(observed, dtype=np.float64) - expected) ** 2)


def deviances(
    counts: Real[np.ndarray, "n feature"],
    expected: Real[np.ndarray, "n feature"],
    dispersion: Real[np.ndarray, " feature"],
) -> Float[np.ndarray, "n feature"]:
    """Negative binomial deviance of every count: twice its log-likelihood at its own value less that at the expected.

    What a squared deviation is for a Gaussian, up to the variance. Source: Cameron & Windmeijer 1996, table 1.

    expected: above 0 where the count is; 0 for a feature without counts.
    dispersion: variance = mean + dispersion * mean^2, above 0.
    """
    x, m = np.asarray(counts, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    ratio = np.log(np.where(x > 0, x, 1)) - np.log(np.where(x > 0, m, 1))
    rest = (x + 1 / dispersion) * (np.log1p(dispersion * x) - np.log1p(dispersion * m))
    return np.maximum(2 * (x * ratio - rest), 0)  # rounding alone makes it negative


def variance_table(
    left: Real[np.ndarray, "n feature"],
    total: Real[np.ndarray, "n feature"],
    seed: int = 0,
    unit: Int[np.ndarray, " n"] | None = None,
) -> VarianceTable:
    """R^2 of every feature, or its generalisation to counts: 1 - (what a reconstruction leaves) / (what there is).

    The interval is that of a ratio of sums, to first order. by_chance is for a reconstruction that is as often better
    than a constant as worse, by the signs of `feature_table`.

    Args:
        left: `[n, feature]` squared deviation or deviance from the reconstruction.
        total: the same from a constant: the mean over these observations.
        seed: of the signs.
        unit: number of the unit that each observation was taken from, where several are of one.

    Raises:
        ValueError: they are not finite matrices of one shape from 0, with at least two rows and units.
    """
    left, total = matrix(left, "left"), matrix(total, "total")
    if left.shape != total.shape:
        raise ValueError(
            f"expected left and total of one shape, got {left.shape} and {total.shape}; "
            "pass the same observations and features in both"
        )
    if left.min() < 0 or total.min() < 0:
        raise ValueError("expected squared deviations or deviances from 0, got negative ones; square the deviations")
    whole = total.mean(0)
    there = whole > 0
    share = 1 - np.divide(left.mean(0), whole, out=np.ones_like(whole), where=there)
    spread = by_unit((1 - share) * total - left, unit)  # of mean 0: what each adds to the error of the ratio
    _, error, limit = chance_limit(by_unit(total - left, unit), seed)
    ends = quantile_95(len(spread), unit) * spread.std(0, ddof=1) / np.sqrt(len(spread))
    half, by_chance = (np.divide(each, whole, out=np.zeros_like(whole), where=there) for each in (ends, limit * error))
    return VarianceTable(share, share - half, share + half, by_chance)


def variance_explained(
    left: Real[np.ndarray, "n feature"],
    total: Real[np.ndarray, "n feature"],
    names: Sequence[str] = (),
    what: str = "variance",
    seed: int = 0,
    unit: Int[np.ndarray, " n"] | None = None,
) -> Result:
    """Share of the variance (or deviance) of all features together that a reconstruction explains.

    The value is 1 - (sum of left) / (sum of total); `chance` is 0, what a constant explains. `detail` says how many
    features are `beyond_chance` and lists the 20 of which most is explained: their `features` (names) and `share` with
    `low`, `high` and `by_chance` as in `variance_table`. A model that reads a feature to reconstruct it explains
    some of it whatever it means: compare with a model of shuffled populations.

    Args:
        left, total, seed, unit: as for `variance_table`.
        names: of the features; default: their numbers from 0.
        what: what left and total are, for the protocol.

    Raises:
        ValueError: what `variance_table` refuses, or names that are not one a feature.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(400, 3))
    >>> total = squared_deviations(x, moved(0 * x, x))
    >>> found = variance_explained(squared_deviations(x, x * [1, 0.5, 0.1]), total, ["a", "b", "c"])
    >>> found.detail["features"], np.round(found.detail["share"], 2).tolist()  # 1 - .5^2, 1 - .9^2
    (['a', 'b', 'c'], [1.0, 0.75, 0.19])
    >>> variance_explained(total[:, ::-1], total[:, ::-1]).value  # bad: a constant
    0.0
    """
    table = variance_table(left, total, seed, unit)
    if names and len(names) != len(table.share):
        raise ValueError(f"expected a name for each of {len(table.share)} features, got {len(names)}")
    names = list(names) or [str(one) for one in range(len(table.share))]
    of_all, of_left = (np.asarray(each, dtype=np.float64).sum(1, keepdims=True) for each in (total, left))
    whole = variance_table(of_left, of_all, seed, unit)
    first = np.argsort(-table.share, kind="stable")[:LISTED]
    counted: dict[str, Plain] = {"features": len(names), "samples": len(total)}
    return Result(
        "variance_explained",
        float(whole.share[0]),
        f"share of the {what}, sum over features",
        counted if unit is None else {**counted, "units": len(np.unique(unit))},
        chance=0.0,
        interval=(float(whole.low[0]), float(whole.high[0])),
        seed=seed,
        detail={
            "beyond_chance": int((table.share > table.by_chance).sum()),
            "features": [names[one] for one in first],
            "share": table.share[first].tolist(),
            "low": table.low[first].tolist(),
            "high": table.high[first].tolist(),
            "by_chance": table.by_chance[first].tolist(),
        },
    )
