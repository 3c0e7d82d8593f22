"""Whether an observation decoded as another population becomes one of it, and how much of it changes."""

import math

import numpy as np
from jaxtyping import Float, Int, Real

from unbraid.metrics.checks import NORMAL_95, finite, images, indices
from unbraid.metrics.result import Result


def transfer_accuracy(
    log_probabilities: Real[np.ndarray, "n decoded population"], population: Int[np.ndarray, " n"]
) -> Result:
    """How often an observation decoded as another population is taken for one of it, by a classifier.

    The mean over ordered pairs of populations, so that none counts by its size. `chance` is how often reconstructions,
    decoded as their own population, are taken for the other one, `ceiling` how often for their own: a transfer that
    changes nothing reaches the one, one that is as good as reconstruction the other.

    Args:
        log_probabilities: `[n, decoded as, population]` nats, or logits, that a classifier gives each observation
            decoded as each population.
        population: `[n]` index of the one that each observation is of.

    Returns:
        Value in [0, 1]; `interval`: over observations, smoothed as Agresti and Coull do, with the classifier held.
        `detail`: `named`, nested lists `[of][decoded as][population]` of the shares that were named so, and `counts` of
        each population.

    Raises:
        ValueError: the log-probabilities are not finite numbers `[n, K, K]` of at least two populations, or a
            population has no observation.

    >>> import numpy as np
    >>> of = np.array([0, 1, 0, 1])
    >>> always = np.broadcast_to(np.eye(2), (4, 2, 2))  # what is decoded as j is named j
    >>> transfer_accuracy(always, of).value
    1.0
    >>> never = np.eye(2)[of][:, None].repeat(2, axis=1)  # it stays what it was
    >>> result = transfer_accuracy(never, of)
    >>> result.value, result.chance, result.ceiling
    (0.0, 0.0, 1.0)
    """
    scores = finite(log_probabilities, "log-probabilities")
    if scores.ndim != 3 or scores.shape[1] != scores.shape[2] or scores.shape[1] < 2 or len(scores) < 2:
        raise ValueError(
            "expected log-probabilities [n, decoded as, population] of at least two observations and populations, "
            f"got shape {scores.shape}; classify every observation decoded as every population"
        )
    of, counts = _of(population, *scores.shape[:2])
    named = np.eye(scores.shape[2])[scores.argmax(axis=2)]  # [n, decoded as, population]
    shares = np.stack([named[of == k].mean(axis=0) for k in range(len(counts))])
    other = ~np.eye(len(counts), dtype=bool)
    own = np.einsum("kkp->kp", shares)  # what own reconstructions are named
    hits = _others(np.einsum("ndd->nd", named), of)
    value = _mean(hits)
    # two hits and two misses more, so that there is width where all or none hit
    half = _half([np.concatenate([each, [0, 0, 1, 1]]) for each in hits])
    return Result(
        "transfer_accuracy",
        value,
        "named by a classifier",
        {"observations": len(of), "populations": len(counts)},
        float(own[other].mean()),
        float(own.diagonal().mean()),
        (max(value - half, 0.0), min(value + half, 1.0)),
        detail={"named": shares.tolist(), "counts": counts.tolist()},
    )


def transfer_change(decoded: Real[np.ndarray, "n decoded *shape"], population: Int[np.ndarray, " n"]) -> Result:
    """How far an observation moves when it is decoded as another population.

    The squared distance to its own reconstruction, over the mean squared distance of two reconstructions of its
    population: 0 leaves everything as it was, 1 is as far as another observation is.

    Args:
        decoded: `[n, decoded as, *shape]` mean observations, each decoded as each population.
        population: `[n]` index of the one that each observation is of.

    Returns:
        The mean over ordered pairs of populations; `interval`: normal, over observations, with the distances of
        reconstructions held.

    Raises:
        ValueError: they are not finite arrays of one length and at least two populations, a population has fewer than
            two observations, or all of its reconstructions are the same.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> of, images = np.arange(200) % 2, rng.normal(size=(200, 1, 5))
    >>> transfer_change(np.concatenate([images, images], axis=1), of).value  # nothing changes
    0.0
    >>> anew = np.concatenate([images, rng.normal(size=(200, 1, 5))], axis=1)
    >>> 0.8 < transfer_change(anew, of).value < 1.2  # nothing stays
    True
    """
    if np.ndim(decoded) < 3 or min(np.shape(decoded)[:2]) < 2:
        raise ValueError(
            "expected decoded observations [n, decoded as, *shape], at least two as at least two populations, "
            f"got shape {np.shape(decoded)}"
        )
    of, counts = _of(population, *np.shape(decoded)[:2])
    if counts.min() < 2:
        raise ValueError(f"expected at least two observations of each population, got {counts.tolist()}; pass more")
    own = images(decoded[np.arange(len(of)), of], "decoded observations").reshape(len(of), -1)
    spread = np.array([2 * own[of == k].var(axis=0, ddof=1).sum() for k in range(len(counts))])
    if not spread.min() > 0:
        raise ValueError(
            f"expected reconstructions that differ, got the same for all of population {spread.argmin()}; "
            "is the model trained?"
        )
    columns = []
    for k in range(len(counts)):  # one after the other: all in double precision would be large
        as_k = images(decoded[:, k], "decoded observations").reshape(len(of), -1)
        columns.append(((as_k - own) ** 2).sum(axis=1) / spread[of])
    moved = _others(np.stack(columns, axis=1), of)
    value, half = _mean(moved), _half(moved)
    return Result(
        "transfer_change",
        value,
        "squared distance, in those of two reconstructions",
        {"observations": len(of), "populations": len(counts)},
        interval=(max(value - half, 0.0), value + half),
        detail={"counts": counts.tolist()},
    )


def _of(
    population: Int[np.ndarray, " n"], length: int, populations: int
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " population"]]:
    """Checked indices, and how many there are of each."""
    of = indices(population, "population", length, populations, "populations")
    counts = np.bincount(of, minlength=populations)
    if not counts.min():
        raise ValueError(f"expected observations of every population, got {counts.tolist()}; pass some of each")
    return of, counts


def _others(values: Float[np.ndarray, "n decoded"], of: Int[np.ndarray, " n"]) -> list[Float[np.ndarray, " _"]]:
    """Of every population, the mean of each observation over the other ones."""
    count = values.shape[1]
    each = (values.sum(axis=1) - values[np.arange(len(of)), of]) / (count - 1)
    return [each[of == k] for k in range(count)]


def _mean(parts: list[Float[np.ndarray, " _"]]) -> float:
    """The mean of populations, which count alike whatever their sizes."""
    return float(np.mean([part.mean() for part in parts]))


def _half(parts: list[Float[np.ndarray, " _"]]) -> float:
    """Half the 95% interval of that mean."""
    return NORMAL_95 * math.sqrt(sum(part.var() / len(part) for part in parts)) / len(parts)
