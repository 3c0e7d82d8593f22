"""Which features does one part of a model explain?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float, Int, Real
from scipy import stats

from unbraid.metrics.checks import NORMAL_95, integers, matrix
from unbraid.metrics.result import Result

FLIPS, LISTED = 200, 20
ENUMERATED = 10  # rows up to which all signs are tried, 1,024 at most


@dataclass(frozen=True)
class FeatureTable:
    """What a part explains of every feature.

    nats: `[feature]` mean over observations of log p(x_i | with the part) - log p(x_i | without it).
    low, high: `[feature]` ends of the 95% interval of that mean over observations (normal) or units (Student's t).
    by_chance: `[feature]` what that mean must exceed for one of so many features to be beyond chance.
    """

    nats: Float[np.ndarray, " feature"]
    low: Float[np.ndarray, " feature"]
    high: Float[np.ndarray, " feature"]
    by_chance: Float[np.ndarray, " feature"]

    def order(self) -> Int[np.ndarray, " feature"]:
        """Features from the most explained to the least."""
        return np.argsort(-self.nats, kind="stable")


def feature_table(
    with_part: Real[np.ndarray, "n feature"],
    without: Real[np.ndarray, "n feature"],
    seed: int = 0,
    unit: Int[np.ndarray, " n"] | None = None,
) -> FeatureTable:
    """How much better each feature is explained with a part of the model than without it.

    Also for other paired differences, such as the logarithms of expected counts: `nats` then has their unit.

    by_chance is that of a table whose part helps as often as it harms: each observation's (or unit's) differences
    change sign together (so that features stay correlated), at random, 200 times (of ten rows or fewer in every way
    there is); the largest mean over standard error
    of any feature stays below some number in 95 of 100 such tables; by_chance is that number of standard errors. Of
    four units or fewer nothing is beyond chance: all of them agree in sign too often.

    Args:
        with_part: `[n, feature]` log-likelihood of each coordinate given all parts, in nats.
        without: the same with the part left out, or replaced by another population's.
        seed: of the signs.
        unit: number of the unit that each observation was taken from, such as a patient, where several are of one.

    Raises:
        ValueError: they are not finite matrices of one shape with at least two rows, or of at least two units.
    """
    with_part, without = matrix(with_part, "with_part"), matrix(without, "without")
    if with_part.shape != without.shape:
        raise ValueError(
            f"expected with_part and without of one shape, got {with_part.shape} and {without.shape}; "
            "pass the same observations and features in both"
        )
    gain = by_unit(with_part - without, unit)
    mean, error, limit = chance_limit(gain, seed)
    half = quantile_95(len(gain), unit) * error
    return FeatureTable(mean, mean - half, mean + half, limit * error)


def by_unit(
    values: Float[np.ndarray, "n feature"], unit: Int[np.ndarray, " n"] | None
) -> Float[np.ndarray, "unit feature"]:
    """Sums over the observations of each unit, scaled so that their mean is that of the observations.

    Raises:
        ValueError: not one number an observation, or fewer than two units.
    """
    if unit is None:
        return values
    of = integers(unit, "units", len(values))
    sums = np.zeros((of.max() + 1, values.shape[1]))
    np.add.at(sums, of, values)
    return sums * (len(sums) / len(values))


def quantile_95(count: int, unit: Int[np.ndarray, " n"] | None) -> float:
    """Half the width of a 95% interval in standard errors: units are few, so that Student's t is needed."""
    return NORMAL_95 if unit is None else float(stats.t.ppf(0.975, count - 1))


def chance_limit(
    gain: Float[np.ndarray, "n feature"], seed: int
) -> tuple[Float[np.ndarray, " feature"], Float[np.ndarray, " feature"], float]:
    """Mean and its standard error for every feature, and how many of these a mean must exceed to be beyond chance."""
    largest = _largest_by_chance(gain, np.random.default_rng(seed))
    limit = float(np.quantile(largest, 0.95, method="higher"))
    limit += 1e-9 * abs(limit)  # of few rows it is what was observed, up to rounding
    return gain.mean(0), gain.std(0, ddof=1) / np.sqrt(len(gain)), limit


def _largest_by_chance(gain: Float[np.ndarray, "n feature"], rng: np.random.Generator) -> Float[np.ndarray, " flip"]:
    """Largest mean over standard error of any feature, for random signs of the observations, or all if they are few."""
    few = len(gain) <= ENUMERATED
    every = product((-1.0, 1.0), repeat=len(gain))
    signs = np.array(list(every)) if few else rng.choice([-1.0, 1.0], (FLIPS, len(gain)))
    means, squares = signs @ gain / len(gain), (gain**2).mean(0)  # signs leave squares as they are
    errors = np.sqrt(np.maximum(squares - means**2, 0) / (len(gain) - 1))
    return np.divide(means, errors, out=np.zeros_like(means), where=errors > 0).max(1)


def explained_features(
    with_part: Real[np.ndarray, "n feature"],
    without: Real[np.ndarray, "n feature"],
    names: Sequence[str] = (),
    seed: int = 0,
    unit: Int[np.ndarray, " n"] | None = None,
) -> Result:
    """Nats by which a part of the model explains an observation, and the features it does so for.

    The value is the sum over features, mean over observations; `interval` is over observations or units, `chance` is 0,
    what a part without effect explains. `detail` says how many features are `beyond_chance` and lists the 20 of largest
    gain: their `features` (names) and `nats` with `low`, `high` and `by_chance` as in `feature_table`. A feature may
    rank high because it differs between populations, or because it varies within one: look at its shift as well.

    Args:
        with_part, without, seed, unit: as for `feature_table`.
        names: of the features; default: their numbers from 0.

    Raises:
        ValueError: what `feature_table` refuses, or names that are not one a feature.

    >>> import numpy as np
    >>> without = np.full((50, 4), -3.0)
    >>> gain = np.random.default_rng(0).normal(size=(50, 4)) * 0.1 + [0, 2, 0, 1]
    >>> found = explained_features(without + gain, without, ["a", "b", "c", "d"])
    >>> found.detail["features"][:2], round(found.value, 1)  # b and d are explained
    (['b', 'd'], 3.0)
    >>> order = [3, 2, 1, 0]
    >>> permuted = explained_features((without + gain)[:, order], without, ["d", "c", "b", "a"])
    >>> permuted.detail["features"] == found.detail["features"]
    True
    >>> explained_features(without, without).value  # bad: the part has no effect
    0.0
    """
    table = feature_table(with_part, without, seed, unit)
    if names and len(names) != len(table.nats):
        raise ValueError(f"expected a name for each of {len(table.nats)} features, got {len(names)}")
    names = list(names) or [str(one) for one in range(len(table.nats))]
    total = by_unit((np.asarray(with_part, dtype=np.float64) - without).sum(1, keepdims=True), unit)[:, 0]
    half = quantile_95(len(total), unit) * float(total.std(ddof=1)) / np.sqrt(len(total))
    samples = {"samples": len(with_part)} | ({} if unit is None else {"units": len(total)})
    first = table.order()[:LISTED]
    return Result(
        "explained_features",
        float(total.mean()),
        "gain in log-likelihood, sum over features, mean over observations",
        {"unit": "nat", "features": len(table.nats), **samples},
        chance=0.0,
        interval=(float(total.mean() - half), float(total.mean() + half)),
        seed=seed,
        detail={
            "beyond_chance": int((table.nats > table.by_chance).sum()),
            "features": [names[one] for one in first],
            "nats": table.nats[first].tolist(),
            "low": table.low[first].tolist(),
            "high": table.high[first].tolist(),
            "by_chance": table.by_chance[first].tolist(),
        },
    )
