"""log p(x) from importance weights, and how far it can be trusted."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.special import softmax

from unbraid.metrics.checks import finite


@dataclass(frozen=True)
class LogEvidence:
    """Estimates of log p(x) for every observation under every population, `[n, population]` each.

    value: log of the mean weight, in nats; below log p(x) on average, by about `error ** 2 / 2` where that is small.
    error: its Monte Carlo standard error by the delta method; 0 for a single sample, which cannot tell.
    effective: effective number of draws, (sum of weights)^2 / sum of squared weights, from 1 to the number drawn; with
        pairs, of the block that has fewer, from the mean weights of its draws.
    """

    value: Float[np.ndarray, "n population"]
    error: Float[np.ndarray, "n population"]
    effective: Float[np.ndarray, "n population"]


@dataclass(frozen=True)
class PairedWeights:
    """What log p(x) and its error need to know of the weights w_ij of all pairs of shared and private draws.

    Pairs with a draw in common depend on each other, so the mean of m x n weights is a generalised U-statistic with
    variance s_row / m + s_column / n + s_rest / (m n), the s being variances of the effect of the shared draw, of the
    private one, and of what neither explains (Hoeffding's decomposition: two-way analysis of variance with random
    effects and one value a cell). Without bias it is S_row / m + S_column / n - S_rest / (m n) with the sample
    variances S of the row means and of the column means, and the mean square S_rest of what neither explains.

    value: log mean weight, nats.
    shared, private: mean weight of each draw over those of the other block, relative to the mean of all.
    rest: mean square, relative to the squared mean of all, of what the draws of neither block explain, on
        (m - 1)(n - 1) degrees of freedom.
    """

    value: Float[np.ndarray, "n population"]
    shared: Float[np.ndarray, "n population shared"]
    private: Float[np.ndarray, "n population private"]
    rest: Float[np.ndarray, "n population"]

    @classmethod
    def of(cls, log_weights: Real[np.ndarray, "n population shared private"]) -> "PairedWeights":
        """That of log weights in nats, as `unbraid.models.paired_log_weights` gives them.

        Raises:
            ValueError: they are not finite numbers in four dimensions, of at least two draws of each block.
        """
        weights = finite(log_weights, "log weights")
        if weights.ndim != 4 or 0 in weights.shape or min(weights.shape[2:]) < 2:
            raise ValueError(
                "expected log weights [n, population, shared, private] of at least 2 draws of each block, got shape "
                f"{weights.shape}"
            )
        rows, columns = weights.shape[2:]
        value = np.logaddexp.reduce(weights, axis=(2, 3)) - math.log(rows * columns)
        relative = np.exp(weights - value[..., None, None])
        shared, private = relative.mean(axis=3), relative.mean(axis=2)
        left = relative - shared[..., None] - private[:, :, None] + 1
        return cls(value, shared, private, (left**2).sum(axis=(2, 3)) / ((rows - 1) * (columns - 1)))

    @classmethod
    def joined(cls, parts: "Sequence[PairedWeights]") -> "PairedWeights":
        """Those of several groups of observations, one after the other."""
        return cls(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)))

    def __len__(self) -> int:
        return len(self.value)

    @property
    def populations(self) -> int:
        """How many the weights are of."""
        return self.value.shape[1]

    @property
    def draws(self) -> tuple[int, int]:
        """Of the shared block, and of each private one."""
        return self.shared.shape[2], self.private.shape[2]

    def under(self, population: Int[np.ndarray, " n"]) -> "PairedWeights":
        """Those of one population for each observation."""
        rows = np.arange(len(self))
        return PairedWeights(*(getattr(self, each.name)[rows, population][:, None] for each in fields(self)))

    def evidence(self) -> LogEvidence:
        """The estimates; the variance is at least that of either block's draws alone."""
        (rows, columns), ddof = self.draws, 1
        parts = self.shared.var(axis=2, ddof=ddof) / rows, self.private.var(axis=2, ddof=ddof) / columns
        variance = np.maximum(parts[0] + parts[1] - self.rest / (rows * columns), np.maximum(*parts))
        effective = [draws / (each**2).mean(axis=2) for draws, each in zip(self.draws, self._blocks, strict=True)]
        return LogEvidence(self.value, np.sqrt(variance), np.minimum(*effective))

    def errors_of_differences(self, best: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n population"]:
        """Standard errors of log p(x | best) - log p(x | each), whose populations share their draws of z."""
        (rows, columns), index = self.draws, np.arange(len(self))
        shared = (self.shared[index, best][:, None] - self.shared).var(axis=2, ddof=1) / rows
        own = self.private.var(axis=2, ddof=1) / columns - self.rest / (rows * columns)
        found = np.sqrt(shared + np.maximum(own, 0) + np.maximum(own[index, best], 0)[:, None])
        found[index, best] = 0
        return found

    @property
    def _blocks(self) -> tuple[Float[np.ndarray, "n population shared"], Float[np.ndarray, "n population private"]]:
        return self.shared, self.private


def log_evidence(log_weights: Real[np.ndarray, "n population sample"] | PairedWeights) -> LogEvidence:
    """log p(x) by importance sampling: the logarithm of the mean weight (cross-population VAE, eq. 7 and 8).

    The standard error is the relative one of the mean weight: sqrt((M / ESS - 1) / (M - 1)) for M samples, and for
    pairs as `PairedWeights` says. Both it and the effective sample size (Kong 1992) come from the weights that were
    drawn: a region of the posterior that no draw reached cannot be seen in them, so a large ESS proves nothing, while a
    small one says that the estimate is poor.

    Args:
        log_weights: `[n, population, sample]` nats, as `unbraid.models.log_weights` gives them, or of pairs.

    Raises:
        ValueError: they are not finite numbers in three dimensions.
    """
    if isinstance(log_weights, PairedWeights):
        return log_weights.evidence()
    weights = checked(log_weights, least=1)
    samples = weights.shape[2]
    top = weights.max(axis=2, keepdims=True)
    relative = np.exp(weights - top)
    mean = relative.mean(axis=2)
    effective = np.minimum(relative.sum(axis=2) ** 2 / (relative**2).sum(axis=2), samples)
    error = relative.std(axis=2, ddof=min(samples - 1, 1)) / mean / math.sqrt(samples)
    return LogEvidence(np.log(mean) + top[..., 0], error, effective)


def errors_of_differences(
    weights: Float[np.ndarray, "n population sample"], best: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "n population"]:
    """Standard errors of log p(x | best) - log p(x | each), by the delta method; 0 for a single sample."""
    samples = weights.shape[2]
    relative = samples * softmax(weights, axis=2)
    differences = relative[np.arange(len(weights)), best][:, None] - relative
    return differences.std(axis=2, ddof=min(samples - 1, 1)) / math.sqrt(samples)


def checked(log_weights: Real[np.ndarray, "..."], least: int) -> Float[np.ndarray, "n population sample"]:
    """The same as floating point.

    Raises:
        ValueError: they are not finite numbers in three dimensions, of at least so many observations.
    """
    weights = finite(log_weights, "log weights")
    if weights.ndim != 3 or len(weights) < least or 0 in weights.shape:
        raise ValueError(
            f"expected log weights [n, population, sample] with n at least {least}, got shape {weights.shape}; "
            "one population or one sample is an axis of length 1"
        )
    return weights
