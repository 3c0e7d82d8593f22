"""Two metrics from importance weights: log p(x), and classes by it."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from jaxtyping import Float, Int, Real

from unbraid.metrics._decisions import Decisions
from unbraid.metrics.checks import NORMAL_95, indices, mean_interval
from unbraid.metrics.importance import PairedWeights, checked, errors_of_differences, log_evidence
from unbraid.metrics.result import Result

OF_WEIGHTS = "populations of the weights"
_FEW = 0.05  # share of observations that may have too few effective draws without a note


def evidence(
    log_weights: Real[np.ndarray, "n population sample"] | PairedWeights,
    population: Int[np.ndarray, " n"] | None = None,
    least_effective: float = 10.0,
) -> Result:
    """Mean log p(x) in nats over observations, each under its own population, by importance sampling.

    For one observation the logarithm of the mean weight is below log p(x) on average and rises towards it with the
    number of samples (Burda et al. 2016, theorem 1), so the value is a lower bound in expectation, and values of
    different numbers of samples are not comparable. `interval` is normal over observations and holds the Monte Carlo
    error of each as well.

    Args:
        log_weights: `[n, population, sample]` nats, as `unbraid.models.log_weights` gives them, or of pairs.
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
    if not least_effective >= 1:
        raise ValueError(f"expected least_effective of at least 1 draw, got {least_effective}")
    weights = _checked(log_weights)
    found = log_evidence(_own(weights, population))
    value, error, effective = found.value[:, 0], found.error[:, 0], found.effective[:, 0]
    protocol, draws = _protocol(weights)
    low = float((effective < min(least_effective, *draws.values())).mean())
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
        protocol,
        {"unit": "nat", **draws, "observations": len(value), "least_effective": least_effective},
        interval=mean_interval(value),
        detail={"note": f"{note}, so errors and bias are underestimated", **detail} if low > _FEW else detail,
    )


def evidence_classification(
    log_weights: Real[np.ndarray, "n population sample"] | PairedWeights,
    labels: Int[np.ndarray, " n"],
    prior: Sequence[float] | None = None,
) -> Result:
    """Accuracy of naming the population under which an observation is most probable, by Bayes' rule.

    The population with the largest log p(x | k) + log prior(k) is named (cross-population VAE, eq. 7 and 8, where the
    prior is uniform). A decision is uncertain if it is within two standard errors of the best other population; the
    error is that of the difference, since the populations share their draws of z.

    Args:
        log_weights: `[n, population, sample]` nats; known log p(x) `[n, population]` are passed as `[..., None]`; or
            weights of pairs.
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
    weights = _checked(log_weights)
    count, populations = len(weights), _populations(weights)
    if populations < 2:
        raise ValueError(f"expected weights of at least two populations, got {populations}")
    labels = indices(labels, "labels", count, populations, OF_WEIGHTS)
    log_prior = _log_prior(prior, populations)
    joint = log_evidence(weights).value + log_prior
    protocol, draws = _protocol(weights)
    decided = Decisions(joint, labels)
    said = "uniform" if prior is None else [float(share) for share in prior]
    parameters = {**draws, **decided.parameters, "prior": said}
    detail = {"uncertain": _uncertain(weights, joint)}
    return decided.result("evidence_classification", protocol, parameters, detail)


def _uncertain(
    weights: Float[np.ndarray, "n population sample"] | PairedWeights, joint: Float[np.ndarray, "n population"]
) -> int:
    """Decisions within 1.96 standard errors of another one, by the delta method on the difference of logarithms."""
    rows, best = np.arange(len(joint)), joint.argmax(axis=1)
    of = (
        weights.errors_of_differences if isinstance(weights, PairedWeights) else partial(errors_of_differences, weights)
    )
    margin = joint[rows, best][:, None] - joint
    margin[rows, best] = np.inf
    return int((margin < NORMAL_95 * of(best)).any(axis=1).sum())


def _checked(
    log_weights: Real[np.ndarray, "..."] | PairedWeights,
) -> Float[np.ndarray, "n population sample"] | PairedWeights:
    if not isinstance(log_weights, PairedWeights):
        return checked(log_weights, least=2)
    if len(log_weights) < 2:
        raise ValueError(f"expected weights of at least 2 observations, got {len(log_weights)}")
    return log_weights


def _populations(weights: Float[np.ndarray, "n population sample"] | PairedWeights) -> int:
    return weights.populations if isinstance(weights, PairedWeights) else weights.shape[1]


def _protocol(weights: Float[np.ndarray, "n population sample"] | PairedWeights) -> tuple[str, dict[str, int]]:
    """Its name, and how many draws there were."""
    if isinstance(weights, PairedWeights):
        shared, private = weights.draws
        return "importance sampling, all pairs", {"shared_samples": shared, "private_samples": private}
    return "importance sampling", {"samples": weights.shape[2]}


def _own(
    weights: Float[np.ndarray, "n population sample"] | PairedWeights, population: Int[np.ndarray, " n"] | None
) -> Float[np.ndarray, "n one sample"] | PairedWeights:
    count, populations = len(weights), _populations(weights)
    if population is None:
        if populations > 1:
            raise ValueError(f"expected the population of each observation, since the weights are of {populations}")
        return weights
    index = indices(population, "population", count, populations, OF_WEIGHTS)
    if isinstance(weights, PairedWeights):
        return weights.under(index)
    return weights[np.arange(count), index][:, None]


def _log_prior(prior: Sequence[float] | None, populations: int) -> Float[np.ndarray, " population"]:
    if prior is None:
        return np.full(populations, -math.log(populations))
    shares = np.asarray(prior, dtype=np.float64)
    if shares.shape != (populations,) or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(f"expected {populations} probabilities above 0 that add up to 1 as prior, got {list(prior)}")
    return np.log(shares)
