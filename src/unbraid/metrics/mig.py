"""Mutual information gap: is each factor known by one code dimension more than by any other?"""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int, Real

from unbraid.configuration import Plain
from unbraid.metrics.labelled import labelled
from unbraid.metrics.mutual_information import Information, binned, information, information_levels, varying
from unbraid.metrics.result import Result


@dataclass(frozen=True)
class MIGProtocol:
    """How codes are binned and what the gap is a share of.

    bins: equal-width bins of every code dimension.
    factor_bins: equal-width bins of every factor; None takes the factor's values as they are.
    share_of_code: information is divided by the entropy of the binned code, not by that of the factor.

    Raises:
        ValueError: fewer than two bins.
    """

    bins: int = 20
    factor_bins: int | None = None
    share_of_code: bool = False
    name: str = "custom"

    def __post_init__(self) -> None:
        for bins in (self.bins, self.factor_bins):
            if bins is not None and bins < 2:
                raise ValueError(f"expected at least 2 bins, got {bins}")


MIG_DLIB = MIGProtocol(name="dlib")
MIG_LAFORGE = MIGProtocol(bins=10, factor_bins=10, share_of_code=True, name="laforge")


def mig(
    codes: Real[np.ndarray, "n latent"],
    factors: Int[np.ndarray, "n factor"],
    protocol: MIGProtocol = MIG_DLIB,
    seed: int = 0,
) -> Result:
    """Mean over factors of the gap between the two largest shares of it that single dimensions know (Chen et al. 2018).

    The gap of factor k is (I(z_best; v_k) - I(z_second; v_k)) / H(v_k), equation 6 of the paper. There I is taken under
    q(z|x); here, as in all public code that scores arrays, it is the plug-in estimate from binned codes. Protocol
    `MIG_DLIB` is disentanglement_lib's: codes in 20 bins, factors as they are, so that a factor of more than 20 values
    cannot be known in full. `MIG_LAFORGE` is that of the review by Carbonneau et al. (2022) and its published code:
    both in 10 bins, and I divided by the entropy of the *code*. A constant dimension knows nothing; where no second
    dimension varies, the second share is 0.

    Args:
        codes: `[n, latent]`, finite.
        factors: `[n, factor]` integers; a factor with one value is left out.
        protocol: the bins, and the name they are reported under.
        seed: of the permutations behind `chance`; the value has nothing random.

    Returns:
        Value in [0, 1]. `chance`: the mean score of ten permutations of the rows of the codes. `ceiling`: the score of
        the factors as the code, below 1 where a factor has more values than bins. `detail`: the mutual information
        `[latent, factor]` and entropies in nats, and for each factor the gap, the best and the second latent.

    Raises:
        ValueError: codes are not a finite matrix, or factors not as many rows of integers of which a column varies.

    >>> import numpy as np
    >>> factors = np.stack(np.unravel_index(np.arange(120), (4, 5, 6)), axis=1)
    >>> round(mig(factors.astype(float), factors).value, 3)  # perfect
    1.0
    >>> round(mig(-3.0 * factors[:, ::-1] + 1, factors).value, 3)  # permuted, flipped, scaled, shifted: as good
    1.0
    >>> mig(np.random.default_rng(0).normal(size=(120, 3)), factors).value < 0.2  # bad
    True
    """
    given = labelled(codes, factors)
    values = given.factors.astype(np.float64) if protocol.factor_bins is None else given.values
    truth = given.factors if protocol.factor_bins is None else binned(values, protocol.factor_bins)
    numbers = binned(given.codes, protocol.bins)
    known = information(numbers, truth)
    gaps = _gaps(known, protocol)
    perfect = binned(values, protocol.bins)
    chance, ceiling = information_levels(
        lambda table: float(_gaps(table, protocol).mean()), numbers, truth, perfect, seed
    )
    parameters: dict[str, Plain] = {key: value for key, value in asdict(protocol).items() if key != "name"}
    ranked = np.argsort(-_shares(known, protocol), axis=0, kind="stable")
    detail: dict[str, Plain] = {
        "active": np.flatnonzero(varying(given.codes)).tolist(),
        "factors": list(given.columns),
        "mutual_information": known.mutual.tolist(),
        "factor_entropies": known.of_factors.tolist(),
        "gaps": gaps.tolist(),
        "best": ranked[0].tolist(),
        "second": ranked[1].tolist() if len(ranked) > 1 else None,
    }
    return Result("mig", float(gaps.mean()), protocol.name, parameters, chance, ceiling, seed=seed, detail=detail)


def _shares(known: Information, protocol: MIGProtocol) -> Float[np.ndarray, "latent factor"]:
    if not protocol.share_of_code:
        return known.mutual / known.of_factors
    occupied = np.where(known.of_codes > 0, known.of_codes, 1.0)
    return known.mutual / occupied[:, None]


def _gaps(known: Information, protocol: MIGProtocol) -> Float[np.ndarray, " factor"]:
    shares = np.sort(_shares(known, protocol), axis=0)
    return shares[-1] - shares[-2] if len(shares) > 1 else shares[-1]
