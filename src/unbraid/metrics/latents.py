"""Which latents carry anything?"""

import numpy as np
from jaxtyping import Real

from unbraid.metrics.checks import matrix, mean_interval
from unbraid.metrics.result import Result


def active_units(means: Real[np.ndarray, "n latent"], threshold: float = 0.01) -> Result:
    """Number of latents whose posterior mean varies over the data (Burda et al. 2016).

    A latent counts if the variance (ddof 1) of its posterior mean is above `threshold`. `ceiling` is the number of
    latents. The count depends on the scale of the code: it means what it says only for latents with prior N(0, 1).

    Args:
        means: `[n, latent]` posterior means.
        threshold: smallest variance, in squared units of the latent, that does not count.

    Raises:
        ValueError: means are not a finite matrix of at least two rows, or the threshold is negative.

    >>> import numpy as np
    >>> codes = np.random.default_rng(0).normal(size=(100, 3))
    >>> active_units(codes).value  # perfect
    3.0
    >>> active_units(codes[:, ::-1].copy()).value  # permuted: as good
    3.0
    >>> active_units(codes * [1, 0, 0.01]).value  # bad: one dead, one nearly so
    1.0
    """
    means = matrix(means, "means")
    if not threshold >= 0:
        raise ValueError(f"expected a threshold of at least 0, got {threshold}")
    variances = means.var(axis=0, ddof=1)
    active = np.flatnonzero(variances > threshold)
    return Result(
        "active_units",
        float(len(active)),
        "variance of the posterior mean",
        {"threshold": threshold, "latents": len(variances), "samples": len(means)},
        ceiling=float(len(variances)),
        detail={"variances": variances.tolist(), "active": active.tolist()},
    )


def kl_per_latent(kl: Real[np.ndarray, "n latent"]) -> Result:
    """KL divergence of the posterior from the prior in nats, summed over latents, mean over samples.

    `detail["mean"]` has each latent's. `interval` is normal over samples. A latent near 0 has collapsed to the prior.
    The total bounds the information that the code has about x from above.

    Args:
        kl: `[n, latent]` nats, one value a sample and latent (as `Normal.kl` gives it).

    Raises:
        ValueError: kl is not a finite matrix of at least two rows, or negative beyond rounding.

    >>> import numpy as np
    >>> kl = np.tile([2.0, 1.0, 0.0], (10, 1))
    >>> kl_per_latent(kl).value, kl_per_latent(kl).detail["mean"]
    (3.0, [2.0, 1.0, 0.0])
    >>> kl_per_latent(kl[:, ::-1].copy()).detail["mean"]  # permuted
    [0.0, 1.0, 2.0]
    >>> kl_per_latent(0 * kl).value  # bad: collapsed
    0.0
    """
    kl = matrix(kl, "kl")
    if kl.min() < -1e-3:  # float32 rounding of large terms that cancel stays well below this
        raise ValueError(f"expected KL divergences in nats, which are not negative, got {kl.min():.4g}; check the sign")
    total = kl.sum(axis=1)
    return Result(
        "kl",
        float(total.mean()),
        "sum over latents, mean over samples",
        {"unit": "nat", "latents": kl.shape[1], "samples": len(kl)},
        interval=mean_interval(total),
        detail={"mean": kl.mean(axis=0).tolist(), "deviation": kl.std(axis=0, ddof=1).tolist()},
    )
