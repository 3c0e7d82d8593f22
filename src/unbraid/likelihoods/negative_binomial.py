"""Counts whose totals say nothing."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from unbraid.likelihoods.contract import Likelihood

FLOOR = 1e-6  # of the dispersion: Poisson, but for a variance larger by a millionth of the squared mean


class NegativeBinomial(Likelihood):
    """Negative binomial counts: mean = library * softmax(output) over features, variance = mean + dispersion * mean^2.

    Outputs are log proportions up to a constant that all features share. Parts that are added therefore multiply the
    expected counts: under `Add` a private decoder says by what factor each feature differs, and one that is left out
    (0) says "no change". The dispersion is learned.

    features: number of features, each with a dispersion of its own; 1 for one dispersion of all.
    dispersion: initial value; 0 would be Poisson (its inverse is often called theta or r).
    reference: the library at which `mean` reports, a count; 1e4 makes it counts per ten thousand.

    Raises:
        ValueError: fewer than one feature, or a dispersion or reference that is not above its smallest value.
    """

    bounds = (0.0, math.inf)

    def __init__(self, features: int, dispersion: float = 1.0, reference: float = 1e4):
        super().__init__()
        if features < 1:
            raise ValueError(f"expected features of at least 1, got {features}")
        if not FLOOR < dispersion < math.inf:
            raise ValueError(f"expected a finite dispersion above {FLOOR}, got {dispersion}")
        if not 0 < reference < math.inf:
            raise ValueError(f"expected a finite reference above 0, got {reference}")
        self.features, self.dispersion, self.reference = features, dispersion, reference
        self.log_excess = nn.Parameter(torch.full((features,), math.log(dispersion - FLOOR)))

    def current_dispersion(self) -> Float[Tensor, " feature"]:
        """The dispersion of every feature now."""
        return self.log_excess.exp() + FLOOR

    def log_prob_each(
        self,
        x: Float[Tensor, "batch *shape"],
        output: Float[Tensor, "batch *shape"],
        library: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch *shape"]:
        """Log probability in nats of every count; `library`: total counts, default the sum of x (none missing)."""
        counts = x.flatten(1)
        total = counts.sum(1) if library is None else library
        log_mean = F.log_softmax(output.flatten(1), 1) + total.clamp(min=1).log()[:, None]
        dispersion = self.current_dispersion().expand_as(counts)  # so that gradients add up in a fixed order
        none = -F.softplus(log_mean + dispersion.log()) / dispersion  # log probability of no count, which most are
        where = counts.nonzero(as_tuple=True)
        some = _log_probability(counts[where], log_mean[where], dispersion[where])
        return none.index_put(where, some).view_as(x)

    def mean(
        self, output: Float[Tensor, "*many"], library: Float[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "*many"]:
        """Expected counts of an observation with `library` counts in all, by default `reference`."""
        shares = torch.softmax(output, -1)
        return shares * (self.reference if library is None else library.view(-1, *[1] * (output.ndim - 1)))

    def reported(self) -> dict[str, Tensor]:
        """The median dispersion, under the name `dispersion`."""
        return {"dispersion": self.current_dispersion().median().detach()}


def _log_probability(
    x: Float[Tensor, " count"], log_mean: Float[Tensor, " count"], dispersion: Float[Tensor, " count"]
) -> Float[Tensor, " count"]:
    """x log m - (x + r) log(1 + m / r) + log Gamma(x + r) / (Gamma(r) r^x x!), with r the inverse dispersion.

    In double precision: where counts are large, or nearly Poisson (r large), almost everything cancels.
    """
    x, log_mean, r = x.double(), log_mean.double(), 1 / dispersion.double()
    rising = torch.lgamma(x + r) - torch.lgamma(r) - x * r.log() - torch.lgamma(x + 1)
    return (x * log_mean - (x + r) * F.softplus(log_mean - r.log()) + rising).to(dispersion.dtype)
