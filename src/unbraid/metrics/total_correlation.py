"""Total correlation of codes, were they Gaussian: how far are the dimensions from independent?"""

import numpy as np
from jaxtyping import Float, Real

from unbraid.configuration import Plain
from unbraid.metrics.checks import matrix
from unbraid.metrics.mutual_information import varying
from unbraid.metrics.result import Result

_SHUFFLES = 10
_SMALLEST = 1e-14  # an eigenvalue of a correlation matrix below this is rounding error


def gaussian_total_correlation(codes: Real[np.ndarray, "n latent"], seed: int = 0) -> Result:
    """KL divergence in nats of a Gaussian with the codes' covariance from the product of its marginals.

    That is 0.5 (sum of log variances - log determinant of the covariance), as in disentanglement_lib (Locatello et al.
    2019); 0 for uncorrelated dimensions, and the lower the better. It is computed from the eigenvalues of the
    correlation matrix. Constant dimensions are left out (there: NaN). A dimension that is a linear function of others
    makes it infinite; then each such direction counts as an eigenvalue of 1e-14, the least that double precision can
    tell from 0, hence as 16.1 nats, `detail["dependent"]` says how many there are, and the value is only a lower bound.

    Args:
        codes: `[n, latent]`, finite.
        seed: of the permutations behind `chance`; the value has nothing random.

    Returns:
        Value of 0 or more, in nats. `chance`: the mean value with every dimension permuted on its own, hence what
        independent dimensions get from so few rows. `ceiling`: 0, what independent dimensions get from many.
        `detail`: the eigenvalues, which dimensions are active, and how many directions are linearly dependent.

    Raises:
        ValueError: codes are not a finite matrix.

    >>> import numpy as np
    >>> codes = np.stack(np.unravel_index(np.arange(120), (4, 5, 6)), axis=1).astype(float)
    >>> round(gaussian_total_correlation(codes).value, 9)  # perfect: independent
    0.0
    >>> round(gaussian_total_correlation(-3 * codes[:, ::-1] + 1).value, 9)  # permuted, flipped, scaled: as good
    0.0
    >>> mixed = codes @ np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])  # bad
    >>> round(gaussian_total_correlation(mixed).value, 3)
    0.374
    """
    codes = matrix(codes, "codes")
    active = varying(codes)
    kept = codes[:, active]
    eigenvalues = _eigenvalues(kept)
    rng = np.random.default_rng(seed)
    rows = np.ascontiguousarray(kept.T)
    shuffled = [_nats(_eigenvalues(rng.permuted(rows, axis=1).T)) for _ in range(_SHUFFLES)]
    dependent = int((eigenvalues < _SMALLEST).sum())
    detail: dict[str, Plain] = {
        "active": np.flatnonzero(active).tolist(),
        "eigenvalues": eigenvalues.tolist(),
        "dependent": dependent,
    }
    if dependent:
        detail["note"] = f"infinite: linearly dependent directions: {dependent}, each counted as 16.1 nats"
    return Result(
        "gaussian_total_correlation",
        _nats(eigenvalues),
        "dlib",
        {},
        float(np.mean(shuffled)),
        0.0,
        seed=seed,
        detail=detail,
    )


def _eigenvalues(codes: Float[np.ndarray, "n latent"]) -> Float[np.ndarray, " latent"]:
    """Of the correlation matrix, ascending."""
    if codes.shape[1] == 0:
        return np.zeros(0)
    scaled = codes - codes.mean(axis=0)
    scaled /= np.linalg.norm(scaled, axis=0)
    return np.linalg.eigvalsh(scaled.T @ scaled)


def _nats(eigenvalues: Float[np.ndarray, " latent"]) -> float:
    return max(0.0, float(-0.5 * np.log(np.maximum(eigenvalues, _SMALLEST)).sum()))
