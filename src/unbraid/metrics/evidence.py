"""log p(x) from importance weights, how far it can be trusted, and classes by it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.special import softmax

from unbraid.metrics.checks import NORMAL_95, finite, mean_interval, proportion_interval, same_length
from unbraid.metrics.result import Result

_FEW = 0.05  # share of observations that may have too few effective draws without a note


@dataclass(frozen=True)
class LogEvidence:
    """Estimates of log p(x) for every observation under every population, `[n, population]` each.

    value: log of the mean weight, in nats; below log p(x) on average, by about `error ** 2 / 2` where that is small.
    error: its Monte Carlo standard error by the delta method; 0 for a single sample, which cannot tell.
    effective: effective number of draws, (sum of weights)^2 / sum of squared weights, from 1 to the number drawn.
    """

    value: Float[np.ndarray, "n population"]
    error: Float[np.ndarray, "n population"]
    effective: Float[np.ndarray, "n population"]


def log_evidence(log_weights: Real[np.ndarray, "n population sample"]) -> LogEvidence:
    """log p(x) by importance sampling: the logarithm of the mean weight (cross-population VAE, eq. 7 and 8).

    The standard error is the relative one of the mean weight: sqrt((M / ESS - 1) / (M - 1)) for
    M samples. Both it and
    the effective sample size (Kong 1992) come from the weights that were drawn: a region of the posterior that no draw
    reached cannot be seen in them, so a large ESS proves nothing, while a small one says that the estimate is poor.

    Args:
        log_weights: `[n, population, sample]` nats, as `unbraid.models.log_weights` gives them.

    Raises:
        ValueError: they are not finite numbers in three dimensions.
    """
    weights = _checked(log_weights, least=1)
    samples = weights.shape[2]
    top = weights.max(axis=2, keepdims=True)
    relative = np.exp(weights - top)
    mean = relative.mean(axis=2)
    effective = np.minimum(relative.sum(axis=2) ** 2 / (relative**2).sum(axis=2), samples)
    error = relative.std(axis=2, ddof=min(samples - 1, 1)) / mean / math.sqrt(samples)
    return LogEvidence(np.log(mean) + top[..., 0], error, effective)


def evidence(
    log_weights: Real[np.ndarray, "n population sample"],
    population: Int[np.ndarray, " n"] | None = None,
    least_effective: float = 10.0,
) -> Result:
    """Mean log p(x) in nats over observations, each under its own population, by importance sampling.

    For one observation the logarithm of the mean weight is below log p(x) on average and rises towards it with the
    number of samples (Burda et al. 2016, theorem 1), so the value is a lower bound in expectation, and values of
    different numbers of samples are not comparable. `interval` is normal over observations and holds the Monte Carlo
    error of each as well.

    Args:
        log_weights: `[n, population, sample]` nats, as `unbraid.models.log_weights` gives them.
        population: `[n]` index of each observation's own population; None where there is only one.
        least_effective: effective draws below which an observation's estimate counts as poor.

    Returns:
        `detail`: `errors`, Monte Carlo standard error of every observation (delta method), and `error`, that of the
        mean; `bias`, of the mean, estimated by minus half the squared errors; `effective_mean`, `effective_least` and
        `effective_low`, the share of observations with fewer than `least_effective`. Where that share is above 5% a
        `note` says that errors and bias are then underestimated.

    Raises:
        ValueError: the weights are not finite numbers in three dimensions, of at least two observations; or not one
            population for each, from 0 to one less than the weights have.

    >>> import numpy as np
    >>> exact = np.zeros((4, 2, 50)) - 3  # proposals that are the posterior give every draw the same weight
    >>> result = evidence(exact, np.array([0, 1, 0, 1]))
    >>> result.value, result.detail["error"], result.detail["effective_least"]
    (-3.0, 0.0, 50.0)
    >>> evidence(exact[::-1].copy(), np.array([1, 0, 1, 0])).value  # permuted: the same
    -3.0
    >>> poor = evidence(exact + 6 * np.random.default_rng(0).normal(size=exact.shape), np.array([0, 1, 0, 1]))
    >>> poor.detail["effective_mean"] < 5, "untrustworthy" in poor.detail["note"]  # bad: a poor proposal
    (True, True)
    """
    weights = _checked(log_weights, least=2)
    if not least_effective >= 1:
        raise ValueError(f"expected least_effective of at least 1 draw, got {least_effective}")
    own = _own(weights, population)
    found = log_evidence(own)
    value, error, effective = found.value[:, 0], found.error[:, 0], found.effective[:, 0]
    low = float((effective < min(least_effective, weights.shape[2])).mean())
    detail = {
        "error": float(np.sqrt((error**2).sum()) / len(error)),
        "bias": float(-(error**2).mean() / 2),
        "effective_mean": float(effective.mean()),
        "effective_least": float(effective.min()),
        "effective_low": low,
        "errors": error.tolist(),
    }
    note = f"untrustworthy: {low:.0%} of the observations have fewer than {least_effective:g} effective draws"
    return Result(
        "evidence",
        float(value.mean()),
        "importance sampling",
        {"unit": "nat", "samples": weights.shape[2], "observations": len(value), "least_effective": least_effective},
        interval=mean_interval(value),
        detail={"note": f"{note}, so errors and bias are underestimated", **detail} if low > _FEW else detail,
    )


def evidence_classification(
    log_weights: Real[np.ndarray, "n population sample"],
    labels: Int[np.ndarray, " n"],
    prior: Sequence[float] | None = None,
) -> Result:
    """Accuracy of naming the population under which an observation is most probable, by Bayes' rule.

    The population with the largest log p(x | k) + log prior(k) is named (cross-population VAE, eq. 7 and 8, where the
    prior is uniform). A decision is uncertain if it is within two standard errors of the best other population; the
    error is that of the difference, since the populations share their draws of z.

    Args:
        log_weights: `[n, population, sample]` nats; known log p(x) `[n, population]` are passed as `[..., None]`.
        labels: `[n]` index of each observation's true population.
        prior: probability of each population; None makes it uniform.

    Returns:
        Value in [0, 1]; `chance`: the share of the largest class. `interval`: Wilson's, over observations. `detail`:
        `recalls` of every population (None for one without observations), `confusion` (true population, then named),
        `uncertain`, the number of uncertain decisions, and `confidence`, the mean posterior probability of what was
        named: the accuracy itself, if the model is right.

    Raises:
        ValueError: the weights are not finite numbers in three dimensions, for two observations and populations at
            least; labels are not n indices of populations; or the prior is no distribution over them.

    >>> import numpy as np
    >>> labels = np.array([0, 1, 2, 0, 1, 2])
    >>> right = 5.0 * np.eye(3)[labels][..., None]
    >>> evidence_classification(right, labels).value  # perfect
    1.0
    >>> evidence_classification(right[:, ::-1].copy(), 2 - labels).value  # permuted populations: as good
    1.0
    >>> evidence_classification(0 * right, labels).value  # bad: all the same
    0.3333333333333333
    """
    weights = _checked(log_weights, least=2)
    count, populations, samples = weights.shape
    if populations < 2:
        raise ValueError(f"expected weights of at least two populations, got shape {weights.shape}")
    labels = _indices(labels, "labels", count, populations)
    log_prior = _log_prior(prior, populations)
    joint = log_evidence(weights).value + log_prior
    named = joint.argmax(axis=1)
    confusion = np.zeros((populations, populations), dtype=np.int64)
    np.add.at(confusion, (labels, named), 1)
    each, hits = confusion.sum(axis=1), int(np.trace(confusion))
    recalls = [right / total if total else None for right, total in zip(confusion.diagonal(), each, strict=True)]
    confidence = softmax(joint, axis=1).max(axis=1)
    return Result(
        "evidence_classification",
        hits / count,
        "importance sampling",
        {
            "samples": samples,
            "observations": count,
            "populations": populations,
            "prior": "uniform" if prior is None else [float(share) for share in prior],
        },
        float(each.max() / count),
        1.0,
        proportion_interval(hits, count),
        detail={
            "recalls": recalls,
            "uncertain": _uncertain(weights, joint),
            "confidence": float(confidence.mean()),
            "confusion": confusion.tolist(),
        },
    )


def _uncertain(weights: Float[np.ndarray, "n population sample"], joint: Float[np.ndarray, "n population"]) -> int:
    """Decisions within 1.96 standard errors of another one, by the delta method on the difference of logarithms."""
    samples = weights.shape[2]
    if samples < 2:
        return 0
    rows, best = np.arange(len(joint)), joint.argmax(axis=1)
    relative = samples * softmax(weights, axis=2)
    error = (relative[rows, best][:, None] - relative).std(axis=2, ddof=1) / math.sqrt(samples)
    margin = joint[rows, best][:, None] - joint
    margin[rows, best] = np.inf
    return int((margin < NORMAL_95 * error).any(axis=1).sum())


def _checked(log_weights: Real[np.ndarray, "..."], least: int) -> Float[np.ndarray, "n population sample"]:
    weights = finite(log_weights, "log weights")
    if weights.ndim != 3 or len(weights) < least or 0 in weights.shape:
        raise ValueError(
            f"expected log weights [n, population, sample] with n at least {least}, got shape {weights.shape}; "
            "one population or one sample is an axis of length 1"
        )
    return weights


def _own(
    weights: Float[np.ndarray, "n population sample"], population: Int[np.ndarray, " n"] | None
) -> Float[np.ndarray, "n one sample"]:
    count, populations = weights.shape[:2]
    if population is None:
        if populations > 1:
            raise ValueError(f"expected the population of each observation, since the weights are of {populations}")
        return weights
    return weights[np.arange(count), _indices(population, "population", count, populations)][:, None]


def _indices(values: Int[np.ndarray, " n"], name: str, count: int, populations: int) -> Int[np.ndarray, " n"]:
    values = np.asarray(values)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ValueError(f"expected {name} as integers [n], got {values.dtype} of shape {values.shape}")
    same_length(name, len(values), "observations", count)
    if values.min() < 0 or values.max() >= populations:
        raise ValueError(
            f"expected {name} from 0 to {populations - 1}, the populations of the weights, "
            f"got {values.min()} to {values.max()}"
        )
    return values


def _log_prior(prior: Sequence[float] | None, populations: int) -> Float[np.ndarray, " population"]:
    if prior is None:
        return np.full(populations, -math.log(populations))
    shares = np.asarray(prior, dtype=np.float64)
    if shares.shape != (populations,) or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(f"expected {populations} probabilities above 0 that add up to 1 as prior, got {list(prior)}")
    return np.log(shares)
