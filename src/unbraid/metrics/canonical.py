"""Canonical correlations: is the space of the factors in the code, whatever its axes?"""

import numpy as np
from jaxtyping import Float, Real

from unbraid.metrics.checks import matrix, same_length
from unbraid.metrics.result import Result

_SHUFFLES = 20


def canonical_correlation(
    codes: Real[np.ndarray, "n latent"], factors: Real[np.ndarray, "n factor"], seed: int = 0
) -> Result:
    """Mean of the first f canonical correlations of codes and factors, f the rank of the factors (Hotelling 1936).

    1 means that every factor is a linear function of the code, blind to rotation: this scores what is known, not how
    it is laid out. Constant, repeated and otherwise dependent dimensions add nothing; missing correlations, where the
    code has a lower rank than the factors, count as 0.

    Closed form: singular values of the product of the two orthonormal bases (Bjorck & Golub 1973). `chance` is the mean
    value over 20 permutations of the samples; it is above 0 and grows with latents and factors over n.

    Args:
        codes: `[n, latent]`.
        factors: `[n, factor]` true factors, at least one of which varies; n must exceed latents plus factors.
        seed: of the permutations.

    Raises:
        ValueError: codes or factors are not finite matrices of the same length, n too small, or no factor varies.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.normal(size=(200, 2))
    >>> round(canonical_correlation(factors @ rng.normal(size=(2, 4)), factors).value, 6)  # perfect
    1.0
    >>> round(canonical_correlation(factors[:, ::-1].copy(), factors).value, 6)  # permuted: as good
    1.0
    >>> canonical_correlation(rng.normal(size=(200, 4)), factors).value < 0.25  # bad
    True
    """
    codes, factors = matrix(codes, "codes"), matrix(factors, "factors")
    same_length("factors", len(factors), "codes", len(codes))
    if len(codes) <= codes.shape[1] + factors.shape[1]:
        raise ValueError(
            f"expected more samples than latents plus factors, got {len(codes)} samples for {codes.shape[1]} and "
            f"{factors.shape[1]}; with fewer, correlations of 1 mean nothing"
        )
    of_codes, of_factors = _basis(codes), _basis(factors)
    rank = of_factors.shape[1]
    if rank == 0:
        raise ValueError("expected at least one factor that varies, got constant columns only")
    correlations = _correlations(of_codes, of_factors)
    rng = np.random.default_rng(seed)
    shuffled = [_correlations(of_codes, rng.permutation(of_factors)).mean() for _ in range(_SHUFFLES)]
    return Result(
        "canonical_correlation",
        float(correlations.mean()),
        "mean over the rank of the factors",
        {"latents": codes.shape[1], "factors": factors.shape[1], "samples": len(codes)},
        float(np.mean(shuffled)),
        1.0,
        seed=seed,
        detail={"correlations": correlations.tolist(), "rank_codes": of_codes.shape[1], "rank_factors": rank},
    )


def _basis(values: Float[np.ndarray, "n column"]) -> Float[np.ndarray, "n rank"]:
    """Orthonormal basis of the standardised columns' span; scaling first makes the rank independent of units."""
    spread = values.std(axis=0)
    constant = spread <= 1e-12 * np.abs(values).max(axis=0)
    scaled = (values - values.mean(axis=0))[:, ~constant] / spread[~constant]
    left, singular, _ = np.linalg.svd(scaled, full_matrices=False)
    return left[:, singular > 1e-9 * max(1.0, float(singular.max(initial=0)))]


def _correlations(left: Float[np.ndarray, "n a"], right: Float[np.ndarray, "n b"]) -> Float[np.ndarray, " b"]:
    """Correlations in falling order, one for each dimension of the right basis, 0 where the left has no more."""
    found = np.linalg.svd(left.T @ right, compute_uv=False) if left.shape[1] else np.zeros(0)
    return np.pad(np.clip(found, 0, 1), (0, right.shape[1] - len(found)))
