"""How much more a population's private code knows about its own data than about other populations'."""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int, Real

from unbraid.metrics.checks import NORMAL_95, finite, integers
from unbraid.metrics.result import Result

_PAIRS = 2**20  # (draw, posterior) pairs at once: 8 MiB of densities


def private_information(
    means: Real[np.ndarray, "n population latent"],
    log_variances: Real[np.ndarray, "n population latent"],
    population: Int[np.ndarray, " n"],
    samples: int = 4,
    most: int = 500,
    seed: int = 0,
) -> Result:
    """I(x_k; t_k) - mean over j != k of I(x_j; t_k) in nats, mean over populations k.

    This is the difference that the cross-population objective is derived from (cross-population VAE, eq. 4), and not
    what it minimises (eq. 6): the two differ by the KL of the aggregate posteriors to the prior, which do not cancel.

    I(x_j; t_k) is estimated for head k on the data of population j from posteriors q_k(t | x):
    the mean of log q_k(t | x_i) - log of the mean over i' of q_k(t | x_i'), t drawn from q_k(t | x_i), the mean over
    all observations of population j that are used, i itself included. That is the information about which of these
    observations it is: at most log of their number, and below that of all data in expectation. Without i itself the
    same is above it in expectation (Poole et al. 2019), but unbounded where codes are sharp. A third figure is an upper
    bound whatever the number: the entropy of the Gaussian with the moments of the aggregate minus that of the
    posteriors. All populations are thinned to the same number of observations, so that all have the same ceiling.

    Args:
        means: `[n, population, latent]` posterior means of every head for every observation, none masked.
        log_variances: `[n, population, latent]`, natural logarithm.
        population: `[n]` index of each observation's own population, 0 to the number of heads - 1, each at least twice.
        samples: draws of t an observation.
        most: observations of a population that are used at most; cost grows with its square.
        seed: of draws and thinning.

    Returns:
        `chance` is 0: heads that tell own data no better apart than others'. `ceiling` is the logarithm of the number
        of observations of a population. `interval` is normal, with the variance that resampling observations within
        populations has, the aggregates held. `detail`: `information`, `without_self` and `gaussian`, the three
        estimates `[head k][data j]`; `own`, `other` and `difference` of every population, by the first; `least` and
        `largest`, the difference that the estimates from below and the Gaussian ones allow. A `note` says whose own
        information is within 1 nat of the ceiling: the truth is then anywhere up to `largest`.

    Raises:
        ValueError: means and log-variances are not finite and of one shape `[n, population, latent]` with at least two
            populations, or a population is missing or has one observation only.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> population = np.repeat([0, 1], 200)
    >>> own = np.eye(2)[population][:, :, None]  # head k varies with x only on the data of population k
    >>> means, sharp = 3 * own * rng.normal(size=(400, 2, 1)), np.zeros((400, 2, 1))
    >>> 1.0 < private_information(means, sharp, population).value < 1.3  # exact: log(10) / 2, 1.15
    True
    >>> 1.0 < private_information(means[:, ::-1].copy(), sharp, 1 - population).value < 1.3  # permuted
    True
    >>> abs(private_information(0 * means, sharp, population).value) < 1e-9  # bad: codes that know nothing
    True
    """
    means, log_variances = finite(means, "means"), finite(log_variances, "log_variances")
    population = _checked(means, log_variances, population)
    if samples < 1 or most < 2:
        raise ValueError(f"expected at least 1 draw and 2 observations, got samples={samples} and most={most}")
    rng = np.random.default_rng(seed)
    rows = _thinned(population, most, rng)
    heads, each = means.shape[1], rows.shape[1]
    terms = np.empty((3, heads, heads, each))  # of every observation: estimate, head, data
    for k in range(heads):
        for j in range(heads):
            terms[:, k, j] = _information(means[rows[j], k], log_variances[rows[j], k], samples, rng)
    table = terms.mean(axis=3)
    (own, other), (own_above, other_above) = _own_and_other(table[0]), _own_and_other(table[2])
    difference = own - other
    half = NORMAL_95 * _deviation(terms[0])
    value, near = float(difference.mean()), np.flatnonzero(own > math.log(each) - 1).tolist()
    note = (
        f"own information of populations {near} is near its ceiling, log {each}: the truth lies above, up to `largest`"
    )
    detail = {
        "information": table[0].tolist(),
        "without_self": table[1].tolist(),
        "gaussian": table[2].tolist(),
        "own": own.tolist(),
        "other": other.tolist(),
        "difference": difference.tolist(),
        "least": float((own - other_above).mean()),
        "largest": float((own_above - other).mean()),
    }
    return Result(
        "private_information",
        value,
        "own minus other, aggregate posterior over the observations",
        {"unit": "nat", "observations_each": each, "samples": samples, "latents": means.shape[2]},
        chance=0.0,
        ceiling=math.log(each),
        interval=(value - half, value + half),
        seed=seed,
        detail={"note": note, **detail} if near else detail,
    )


def _information(
    means: Float[np.ndarray, "n latent"],
    log_variances: Float[np.ndarray, "n latent"],
    samples: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, "three n"]:
    """Every observation's term of the estimate with and without itself, and of the Gaussian bound."""
    count = len(means)
    noise = rng.normal(size=(count, samples, means.shape[1]))
    draws = means[:, None] + np.exp(0.5 * log_variances)[:, None] * noise
    own = -0.5 * (noise**2 + log_variances[:, None]).sum(axis=2)  # log densities, all without the constant
    both = np.empty((2, count, samples))
    for part in _parts(count, samples):
        pairs = _log_densities(draws[part], means, log_variances)
        top = pairs.max(axis=2)
        total = np.log(np.exp(pairs - top[..., None]).sum(axis=2)) + top - math.log(count)
        index = np.arange(count)[part]
        pairs[np.arange(len(index)), :, index] = -np.inf
        top = pairs.max(axis=2)
        others = np.log(np.exp(pairs - top[..., None]).sum(axis=2)) + top - math.log(count - 1)
        both[:, part] = own[part] - total, own[part] - others
    gaussian = 0.5 * (_log_determinant(means, log_variances) - log_variances.sum(axis=1))
    return np.concatenate([both.mean(axis=2), gaussian[None]])


def _parts(count: int, samples: int) -> Iterator[slice]:
    step = max(1, _PAIRS // (count * samples))
    return (slice(first, min(first + step, count)) for first in range(0, count, step))


def _log_densities(
    draws: Float[np.ndarray, "part sample latent"],
    means: Float[np.ndarray, "n latent"],
    log_variances: Float[np.ndarray, "n latent"],
) -> Float[np.ndarray, "part sample n"]:
    """Of every draw under every posterior: one product of matrices, centred so that little cancels."""
    centre, precisions = means.mean(axis=0), np.exp(-log_variances)
    draws, means = draws - centre, means - centre
    squares = draws**2 @ precisions.T - 2 * draws @ (means * precisions).T + (means**2 * precisions).sum(axis=1)
    return -0.5 * (squares + log_variances.sum(axis=1))


def _log_determinant(means: Float[np.ndarray, "n latent"], log_variances: Float[np.ndarray, "n latent"]) -> float:
    """Of the covariance of the aggregate posterior."""
    covariance = np.atleast_2d(np.cov(means, rowvar=False, ddof=0)) + np.diag(np.exp(log_variances).mean(axis=0))
    return float(np.linalg.slogdet(covariance)[1])


def _own_and_other(
    table: Float[np.ndarray, "head data"],
) -> tuple[Float[np.ndarray, " head"], Float[np.ndarray, " head"]]:
    own = table.diagonal().copy()
    return own, (table.sum(axis=1) - own) / (len(table) - 1)


def _deviation(terms: Float[np.ndarray, "head data n"]) -> float:
    """Of the mean difference: an observation of population j enters the information of every head on j."""
    heads = len(terms)
    signs = np.full((heads, heads), -1 / (heads - 1)) + (1 + 1 / (heads - 1)) * np.eye(heads)
    entering = (signs[:, :, None] * terms).sum(axis=0) / heads  # [data, n]
    return math.sqrt(float(entering.var(axis=1, ddof=1).sum()) / terms.shape[2])


def _thinned(
    population: Int[np.ndarray, " n"], most: int, rng: np.random.Generator
) -> Int[np.ndarray, "population each"]:
    counts = np.bincount(population)
    size = min(most, int(counts.min()))
    return np.stack([rng.permutation(np.flatnonzero(population == k))[:size] for k in range(len(counts))])


def _checked(
    means: Float[np.ndarray, "..."], log_variances: Float[np.ndarray, "..."], population: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    if means.ndim != 3 or 0 in means.shape or means.shape[1] < 2 or means.shape != log_variances.shape:
        raise ValueError(
            "expected means and log_variances of one shape [n, population, latent] with at least two populations, "
            f"got shape {means.shape} and {log_variances.shape}; every head is needed for every observation"
        )
    given = np.asarray(population)
    renumbered = integers(given, "population", len(means))
    counts = np.bincount(renumbered)
    if len(counts) != means.shape[1] or (renumbered != given).any() or counts.min() < 2:
        raise ValueError(
            f"expected each population from 0 to {means.shape[1] - 1} at least twice, one a head, "
            f"got {dict(zip(*(part.tolist() for part in np.unique(given, return_counts=True)), strict=True))}"
        )
    return renumbered
