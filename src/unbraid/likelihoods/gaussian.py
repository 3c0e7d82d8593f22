"""Real values."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unbraid.likelihoods.contract import Likelihood
from unbraid.types import LOG_2PI


class Gaussian(Likelihood):
    """Gaussian with one variance for all coordinates, fixed or learned.

    variance: its (initial) value, in squared units of the data.
    learned: whether the variance is a parameter; it then stays above `floor`, so that the density stays finite.
    squash: read the output as a logit (the mean is its sigmoid), as a residual pass in logit space needs.

    Raises:
        ValueError: the variance is not above zero, or a learned one does not start above its floor.
    """

    def __init__(self, variance: float = 1.0, learned: bool = False, squash: bool = False, floor: float = 1e-4):
        super().__init__()
        if not variance > (floor if learned else 0):
            raise ValueError(
                f"expected a variance above {floor if learned else 0}, got {variance}; "
                "give a larger variance or a smaller floor"
            )
        self.variance, self.learned, self.squash, self.floor = variance, learned, squash, floor
        self.bounds = (0.0, 1.0) if squash else None
        start = torch.tensor(math.log(variance - floor) if learned else math.log(variance))
        if learned:
            self.log_excess = nn.Parameter(start)
        else:
            self.register_buffer("log_excess", start)

    def current_variance(self) -> Float[Tensor, ""]:
        """The variance now, in squared units of the data."""
        return self.log_excess.exp() + self.floor if self.learned else self.log_excess.exp()

    def log_prob_each(
        self,
        x: Float[Tensor, "batch *shape"],
        output: Float[Tensor, "batch *shape"],
        library: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch *shape"]:
        """Gaussian log density in nats of every coordinate."""
        variance = self.current_variance()
        return -0.5 * ((x - self.mean(output)).square() / variance + (LOG_2PI + variance.log()))

    def mean(
        self, output: Float[Tensor, "*many"], library: Float[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "*many"]:
        """The output, or its sigmoid if squashed."""
        return torch.sigmoid(output) if self.squash else output

    def reported(self) -> dict[str, Tensor]:
        """The learned variance, under the name `variance`."""
        return {"variance": self.current_variance().detach()} if self.learned else {}
