"""Do several runs put the same features first?"""

from itertools import combinations

import numpy as np
from jaxtyping import Float, Real
from scipy.stats import rankdata

from unbraid.configuration import Plain
from unbraid.metrics.checks import matrix
from unbraid.metrics.result import Result


def rank_stability(values: Real[np.ndarray, "run feature"], top: int = 20) -> dict[str, Result]:
    """How well runs agree on the order of the features, and on which come first: results under their metrics' names.

    Both are means over pairs of runs. Pairs share runs, so there is no interval; `detail` holds the least and the
    largest pair. Runs that share data (splits of one study overlap) agree more than studies would. Features
    that tie for the last of the first places have shares of them, so that a run that says the same of all features
    agrees with any other by chance alone.

    Args:
        values: `[run, feature]` what each run says of each feature, the largest first.
        top: how many features count as the first ones; at most all.

    Returns:
        "rank_agreement": Spearman's correlation, chance 0, ceiling 1; 0 for a run that says the same of all features.
        "top_agreement": share of the first `top` features that two runs have in common, chance top / features.

    Raises:
        ValueError: not a finite matrix of at least two runs, or a top that is not in 1 to the number of features.

    >>> import numpy as np
    >>> first = np.arange(40.0)
    >>> same = rank_stability(np.stack([first, first**3]), top=10)
    >>> round(same["rank_agreement"].value, 6), same["top_agreement"].value
    (1.0, 1.0)
    >>> against = rank_stability(np.stack([first, -first]), top=10)
    >>> round(against["rank_agreement"].value, 6), against["top_agreement"].value
    (-1.0, 0.0)
    """
    values = matrix(values, "values")
    count = values.shape[1]
    if not 1 <= top <= count:
        raise ValueError(f"expected top in 1 to {count}, the number of features, got {top}")
    ranks = rankdata(values, axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    sizes = np.sqrt((ranks**2).sum(1))
    first = [_among_the_first(row, top) for row in values]
    pairs = list(combinations(range(len(values)), 2))
    spearman = [float(ranks[i] @ ranks[j] / (sizes[i] * sizes[j] or 1.0)) for i, j in pairs]
    common = [float(first[i] @ first[j]) / top for i, j in pairs]
    of = {"runs": len(values), "features": count}
    agreement = _result("rank_agreement", "mean Spearman correlation of pairs of runs", of, spearman, 0.0)
    overlap = _result("top_agreement", "mean overlap of pairs of runs", {**of, "top": top}, common, top / count)
    return {each.metric: each for each in (agreement, overlap)}


def _among_the_first(row: Float[np.ndarray, " feature"], top: int) -> Float[np.ndarray, " feature"]:
    """1 for the largest `top` values, 0 for others; those that tie at the end share the places that are left."""
    last = np.sort(row)[-top]
    above, tied = row > last, row == last
    return above + tied * ((top - above.sum()) / tied.sum())


def _result(metric: str, protocol: str, of: dict[str, int], pairs: list[float], chance: float) -> Result:
    parameters: dict[str, Plain] = {**of}
    detail: dict[str, Plain] = {"least": min(pairs), "largest": max(pairs)}
    ceiling = None if chance == 1 else 1.0
    return Result(metric, float(np.mean(pairs)), protocol, parameters, chance=chance, ceiling=ceiling, detail=detail)
