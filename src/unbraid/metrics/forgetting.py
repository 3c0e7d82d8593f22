"""What a model has lost of what it once knew."""

import numpy as np
from jaxtyping import Real

from unbraid.metrics.checks import finite, image_pair, mean_interval, same_length
from unbraid.metrics.result import Result


def forgetting(learned: Real[np.ndarray, " n"], now: Real[np.ndarray, " n"], error: str) -> Result:
    """How much larger the error of a task's observations is now than when the task was learned.

    The mean of `now - learned`, in the unit of the error; negative where later tasks made it smaller. `interval` is
    normal over observations, of their differences. `detail` holds both means.
    Source: after Chaudhry et al. 2018 (Riemannian Walk), but of an error in place of an accuracy, and against the phase
    in which the task was learned in place of the best one.

    Args:
        learned: `[n]` error of each observation after the phase in which its task was learned.
        now: `[n]` that of the same observations after a later phase.
        error: what error; it becomes the protocol.

    Raises:
        ValueError: these are not two vectors of one length, at least 2, of finite values.

    >>> import numpy as np
    >>> result = forgetting(np.array([1.0, 2.0]), np.array([2.0, 4.0]), "squared_error")
    >>> result.value, result.detail["learned"], result.detail["now"]
    (1.5, 1.5, 3.0)
    """
    before, after = finite(learned, "learned"), finite(now, "now")
    if before.ndim != 1 or len(before) < 2:
        raise ValueError(f"expected errors as [n] with n at least 2, got shape {before.shape}; one an observation")
    same_length("errors now", len(after), "errors when the task was learned", len(before))
    lost = after - before
    return Result(
        "forgetting",
        float(lost.mean()),
        error,
        {"observations": len(lost)},
        interval=mean_interval(lost),
        detail={"learned": float(before.mean()), "now": float(after.mean())},
    )


def output_drift(learned: Real[np.ndarray, "n *shape"], now: Real[np.ndarray, "n *shape"]) -> Result:
    """How far a model's outputs for the same observations have moved: mean absolute difference over all their values.

    `ceiling` is 0: nothing has moved. `detail["largest"]` is the largest difference of all, 0 if outputs are the same
    bit for bit. `interval` is normal over observations.

    Args:
        learned: `[n, *shape]` outputs after the phase in which the task was learned.
        now: those for the same observations after a later phase.

    Raises:
        ValueError: shapes differ, there are fewer than two observations, or a value is NaN or infinite.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).random((5, 1, 4, 4))
    >>> output_drift(x, x).value, output_drift(x, x).detail["largest"]
    (0.0, 0.0)
    >>> round(output_drift(x, x + 0.25).value, 6)
    0.25
    """
    after, before = image_pair(now, learned)
    moved = np.abs(after - before).reshape(len(after), -1)
    each = moved.mean(1)
    return Result(
        "output_drift",
        float(each.mean()),
        "mean absolute difference",
        {"observations": len(each)},
        ceiling=0.0,
        interval=mean_interval(each),
        detail={"largest": float(moved.max())},
    )
