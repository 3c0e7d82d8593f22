"""Interventional robustness: does a code dimension stay put while all factors but its own change?"""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int, Real

from unbraid.configuration import Plain
from unbraid.metrics.labelled import labelled
from unbraid.metrics.mutual_information import binned, varying
from unbraid.metrics.result import Result

_SHUFFLES = 10


@dataclass(frozen=True)
class IRSProtocol:
    """What counts as the largest deviation, and how factors are grouped.

    quantile: of the deviations within a group; 1 is their maximum, as in the paper.
    factor_bins: equal-width bins of every factor; None takes the factor's values as they are.

    Raises:
        ValueError: the quantile is outside (0, 1], or there are fewer than two bins.
    """

    quantile: float = 0.99
    factor_bins: int | None = 20
    name: str = "custom"

    def __post_init__(self) -> None:
        if not 0 < self.quantile <= 1:
            raise ValueError(f"expected a quantile above 0 and at most 1, got {self.quantile}")
        if self.factor_bins is not None and self.factor_bins < 2:
            raise ValueError(f"expected at least 2 bins, got {self.factor_bins}")


IRS_DLIB = IRSProtocol(name="dlib")


@dataclass(frozen=True)
class _Groups:
    """Observations ordered by the value of one factor, and where each value but the first begins."""

    order: Int[np.ndarray, " n"]
    starts: Int[np.ndarray, " start"]


@dataclass(frozen=True)
class _Robustness:
    """Robustness `[latent, factor]` of varying dimensions, and how far each one ever is from its mean."""

    matrix: Float[np.ndarray, "latent factor"]
    deviations: Float[np.ndarray, " latent"]

    @property
    def score(self) -> float:
        return float(np.average(self.matrix.max(axis=1), weights=self.deviations))


def irs(
    codes: Real[np.ndarray, "n latent"],
    factors: Int[np.ndarray, "n factor"],
    protocol: IRSProtocol = IRS_DLIB,
    seed: int = 0,
) -> Result:
    """How little each dimension moves while its own factor is held (interventional robustness, Suter et al. 2019).

    Observations are grouped by one factor; a dimension's deviation is the quantile .99 of its distances from the
    group's mean, averaged over groups and divided by its largest distance from its overall mean. One minus that is its
    robustness under the factor, and the largest over factors its score. The value is the mean of the scores, weighted
    by those largest distances. Protocol `IRS_DLIB` is disentanglement_lib's: factors in 20 equal-width bins, constant
    dimensions left out.

    Args:
        codes: `[n, latent]`, finite.
        factors: `[n, factor]` integers; a factor with one value is left out.
        protocol: quantile and bins, and the name they are reported under.
        seed: of the permutations behind `chance`; the value has nothing random.

    Returns:
        Value of at most 1, a little below 0 at the least; 0 with a note where no dimension varies. `chance`: the mean
        score of ten permutations of the rows of the codes; it is far above 0 where groups are small or distributions
        heavy-tailed. `ceiling`: the score of the factors as the code; one in other units has other weights and may
        differ. `detail`: robustness `[active, factor]`, and of each active dimension score, best factor and weight.

    Raises:
        ValueError: codes are not a finite matrix, or factors not as many rows of integers of which a column varies.

    >>> import numpy as np
    >>> factors = np.stack(np.unravel_index(np.arange(120), (4, 5, 6)), axis=1)
    >>> irs(factors.astype(float), factors).value  # perfect
    1.0
    >>> irs(-3.0 * factors[:, ::-1] + 1, factors).value  # permuted, flipped, scaled, shifted: as good
    1.0
    >>> irs(np.random.default_rng(0).normal(size=(120, 3)), factors).value < 0.5  # bad
    True
    """
    given = labelled(codes, factors)
    active = varying(given.codes)
    parameters: dict[str, Plain] = {key: value for key, value in asdict(protocol).items() if key != "name"}
    about: dict[str, Plain] = {"active": np.flatnonzero(active).tolist(), "factors": list(given.columns)}
    perfect = given.values
    values = given.factors if protocol.factor_bins is None else binned(perfect, protocol.factor_bins)
    groups, kept = [_groups(value) for value in values.T], given.codes[:, active]
    ceiling = _robustness(perfect, groups, protocol.quantile).score
    if not active.any():
        note = "no dimension varies, so none can be robust"
        return Result("irs", 0.0, protocol.name, parameters, 0.0, ceiling, seed=seed, detail={"note": note, **about})
    found = _robustness(kept, groups, protocol.quantile)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(kept)) for _ in range(_SHUFFLES)]
    chance = float(np.mean([_robustness(kept[order], groups, protocol.quantile).score for order in orders]))
    detail: dict[str, Plain] = {
        **about,
        "robustness": found.matrix.tolist(),
        "scores": found.matrix.max(axis=1).tolist(),
        "best": found.matrix.argmax(axis=1).tolist(),
        "weights": (found.deviations / found.deviations.sum()).tolist(),
    }
    return Result("irs", found.score, protocol.name, parameters, chance, ceiling, seed=seed, detail=detail)


def _robustness(codes: Float[np.ndarray, "n latent"], groups: list[_Groups], quantile: float) -> _Robustness:
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0)
    rows = np.ascontiguousarray(codes.T)
    moved = [_deviation(rows, group, quantile) for group in groups]
    return _Robustness(1 - np.stack(moved, axis=1) / largest[:, None], largest)


def _groups(values: Int[np.ndarray, " n"]) -> _Groups:
    counts = np.bincount(values)
    return _Groups(np.argsort(values, kind="stable"), np.cumsum(counts[counts > 0])[:-1])


def _deviation(rows: Float[np.ndarray, "latent n"], groups: _Groups, quantile: float) -> Float[np.ndarray, " latent"]:
    """The quantile of distances from the mean of a group, averaged over the groups that occur."""
    parts = np.split(rows[:, groups.order], groups.starts, axis=1)
    return np.mean([_quantile(np.abs(part - part.mean(axis=1, keepdims=True)), quantile) for part in parts], axis=0)


def _quantile(values: Float[np.ndarray, "latent n"], quantile: float) -> Float[np.ndarray, " latent"]:
    """NumPy's quantile with linear interpolation along rows, without its overhead for many small arrays."""
    place = quantile * (values.shape[1] - 1)
    low = int(place)
    high = min(low + 1, values.shape[1] - 1)
    ordered = np.partition(values, (low, high), axis=1)
    return ordered[:, low] + (place - low) * (ordered[:, high] - ordered[:, low])
