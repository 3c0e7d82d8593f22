"""What a value would be if the labels meant nothing."""

import numpy as np
from jaxtyping import Float, Real

from unbraid.metrics.checks import finite


def permutation_null(value: float, shuffled: Real[np.ndarray, " shuffle"]) -> dict[str, float]:
    """A value beside the same one measured with permuted labels.

    value: the one with the labels as they are.
    shuffled: `[shuffle]` those with labels permuted at random, everything that depends on them done again.

    Returns plain values: `mean`, `low` and `high` (95% range) of the shuffled ones, their number `shuffles`, and `p`,
    the one-sided p-value (1 + number of shuffled values not below) / (1 + shuffles), at least 1 / (1 + shuffles)
    (Phipson & Smyth 2010). With no shuffles at all: only their number, 0.

    Raises:
        ValueError: a shuffled value is not finite.

    >>> import numpy as np
    >>> null = permutation_null(0.9, np.linspace(0, 0.2, 99))
    >>> round(null["mean"], 3), null["p"]
    (0.1, 0.01)
    >>> permutation_null(0.0, np.linspace(0, 0.2, 99))["p"]
    1.0
    """
    shuffled = finite(shuffled, "shuffled values")
    if not len(shuffled):
        return {"shuffles": 0}
    low, high = np.quantile(shuffled, [0.025, 0.975]).tolist()
    p = (1 + int((shuffled >= value - 1e-12).sum())) / (1 + len(shuffled))  # rounding must not make a tie a win
    return {"mean": float(shuffled.mean()), "low": low, "high": high, "p": p, "shuffles": len(shuffled)}


def agreements(
    tables: Real[np.ndarray, "table class cluster"], expected_information: float
) -> dict[str, Float[np.ndarray, " table"]]:
    """ARI, AMI and NMI of many contingency tables at once, two classes or more in each.

    expected_information: the expected mutual information of tables with these margins, in nats (Vinh et al. 2010).
    """
    tables = tables.astype(np.float64)
    rows, columns, total = tables.sum(axis=2), tables.sum(axis=1), tables.sum(axis=(1, 2))
    pairs = [(part * (part - 1)).sum(axis=axis) / 2 for part, axis in ((tables, (1, 2)), (rows, 1), (columns, 1))]
    together, in_rows, in_columns = pairs
    by_chance = in_rows * in_columns / (total * (total - 1) / 2)
    entropy = _plogp(rows / total[:, None]).sum(axis=1) + _plogp(columns / total[:, None]).sum(axis=1)
    information = np.maximum(entropy - _plogp(tables / total[:, None, None]).sum(axis=(1, 2)), 0)
    ari = _ratio(together - by_chance, (in_rows + in_columns) / 2 - by_chance)
    ami = _ratio(information - expected_information, entropy / 2 - expected_information)
    return {"ari": ari, "ami": ami, "nmi": _ratio(information, entropy / 2)}


def _ratio(above: Float[np.ndarray, " table"], below: Float[np.ndarray, " table"]) -> Float[np.ndarray, " table"]:
    """1 for 0 / 0: one class in one cluster agree."""
    return np.divide(above, below, out=np.ones_like(above), where=np.abs(below) > 1e-15)


def _plogp(shares: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return -shares * np.log(np.where(shares > 0, shares, 1))
