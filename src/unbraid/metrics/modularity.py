"""Modularity: does each code dimension know one factor only?"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real

from unbraid.configuration import Plain
from unbraid.metrics.labelled import labelled
from unbraid.metrics.mutual_information import Information, binned, information, information_levels, varying
from unbraid.metrics.result import Result

_NOTHING = 1e-12  # nats; less is rounding error of the sums


@dataclass(frozen=True)
class ModularityProtocol:
    """How codes are binned.

    bins: equal-width bins of every code dimension.

    Raises:
        ValueError: fewer than two bins.
    """

    bins: int = 20
    name: str = "custom"

    def __post_init__(self) -> None:
        if self.bins < 2:
            raise ValueError(f"expected at least 2 bins, got {self.bins}")


MODULARITY_DLIB = ModularityProtocol(name="dlib")


def modularity(
    codes: Real[np.ndarray, "n latent"],
    factors: Int[np.ndarray, "n factor"],
    protocol: ModularityProtocol = MODULARITY_DLIB,
    seed: int = 0,
) -> Result:
    """Mean over dimensions of one minus the information beside the best-known factor (Ridgeway & Mozer 2018, 3).

    For dimension i with mutual information m_ij and its largest, m_i, over F factors, the score is
    1 - sum over the other factors of m_ij^2 / (m_i^2 (F - 1)). Protocol `MODULARITY_DLIB` is disentanglement_lib's:
    plug-in information, codes in 20 bins. A dimension that varies but tells nothing scores 0, as there. Constant
    dimensions are left out here; that code counts each as a dimension that scores 0, and
    `detail["with_constant_as_zero"]` is that mean. With a single factor there is no other one: every dimension that
    knows it scores 1.

    Args:
        codes: `[n, latent]`, finite.
        factors: `[n, factor]` integers; a factor with one value is left out.
        protocol: the bins, and the name they are reported under.
        seed: of the permutations behind `chance`; the value has nothing random.

    Returns:
        Value in [0, 1]; 0 with a note where no dimension varies. `chance`: the mean score of ten permutations of the
        rows of the codes, far above 0 since noise has its best factor too. `ceiling`: the score of the factors as the
        code. `detail`: the score of each dimension (None for a constant one), its best factor, and the mutual
        information `[latent, factor]` in nats.

    Raises:
        ValueError: codes are not a finite matrix, or factors not as many rows of integers of which a column varies.

    >>> import numpy as np
    >>> factors = np.stack(np.unravel_index(np.arange(120), (4, 5, 6)), axis=1)
    >>> round(modularity(factors.astype(float), factors).value, 3)  # perfect
    1.0
    >>> round(modularity(-3.0 * factors[:, ::-1] + 1, factors).value, 3)  # permuted, flipped, scaled: as good
    1.0
    >>> mixed = factors @ np.array([[15.0, 15.0], [12.0, -12.0], [10.0, 10.0]])  # bad: each knows all three
    >>> modularity(mixed, factors).value < 0.5
    True
    """
    given = labelled(codes, factors)
    active = varying(given.codes)
    parameters: dict[str, Plain] = {"bins": protocol.bins}
    about: dict[str, Plain] = {"active": np.flatnonzero(active).tolist(), "factors": list(given.columns)}
    if not active.any():
        note = "no dimension varies, so none can be modular"
        return Result("modularity", 0.0, protocol.name, parameters, 0.0, 1.0, seed=seed, detail={"note": note, **about})
    numbers = binned(given.codes, protocol.bins)
    known = information(numbers, given.factors)
    scores = _scores(known)
    value = float(scores[active].mean())
    perfect = binned(given.factors.astype(np.float64), protocol.bins)
    chance, ceiling = information_levels(
        lambda table: float(_scores(table).mean()), numbers[:, active], given.factors, perfect, seed
    )
    detail: dict[str, Plain] = {
        **about,
        "scores": [float(score) if varies else None for score, varies in zip(scores, active, strict=True)],
        "best": known.mutual.argmax(axis=1).tolist(),
        "mutual_information": known.mutual.tolist(),
        "with_constant_as_zero": float(scores.mean()),
    }
    return Result("modularity", value, protocol.name, parameters, chance, ceiling, seed=seed, detail=detail)


def _scores(known: Information) -> Float[np.ndarray, " latent"]:
    """The score of every dimension; 0 for one that tells nothing."""
    squared = known.mutual**2
    best = squared.max(axis=1)
    knows = known.mutual.max(axis=1) > _NOTHING
    others = np.where(knows, squared.sum(axis=1) - best, 0.0)
    spread = others / (np.where(knows, best, 1.0) * max(squared.shape[1] - 1, 1))
    return np.where(knows, 1 - spread, 0.0)
