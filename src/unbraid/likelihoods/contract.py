"""What every likelihood offers."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from unbraid.configuration import Configured


class Likelihood(Configured, nn.Module, ABC):
    """A distribution of the data given the decoder's output, independent over coordinates.

    bounds: the values an observation may have, or None for any.
    missing: whether NaN coordinates are left out of the density; else they are refused before training.
    """

    bounds: tuple[float, float] | None = None
    missing: bool = False

    @abstractmethod
    def log_prob_each(
        self,
        x: Float[Tensor, "batch *shape"],
        output: Float[Tensor, "batch *shape"],
        library: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch *shape"]:
        """log p(x_i | output) in nats of every coordinate; `library`: total counts, for likelihoods of counts."""

    @abstractmethod
    def mean(
        self, output: Float[Tensor, "*many"], library: Float[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "*many"]:
        """Expected observation, in the units of the data; `library`: total counts, for likelihoods of counts."""

    def log_prob(
        self,
        x: Float[Tensor, "batch *shape"],
        output: Float[Tensor, "batch *shape"],
        library: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, " batch"]:
        """log p(x | output) in nats, summed over coordinates."""
        return self.log_prob_each(x, output, library).flatten(1).sum(1)

    def reported(self) -> dict[str, Tensor]:
        """Learned quantities worth logging, as scalars."""
        return {}
