"""One of several classes."""

import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.likelihoods.contract import Likelihood


class Categorical(Likelihood):
    """One of several classes, given as 1 in its coordinate and 0 in the others; the output has one logit a class.

    Minus log p is the cross-entropy. Coordinates are not independent, but log p is a sum over them all the same.
    Nothing is said of the observations that classes are predicted from, so that their `bounds` are any.
    """

    def log_prob_each(
        self,
        x: Float[Tensor, "batch *shape"],
        output: Float[Tensor, "batch *shape"],
        library: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch *shape"]:
        """What each class adds to log p, in nats: 0 for all but the one that it is."""
        return x * torch.log_softmax(output.flatten(1), dim=1).view_as(output)

    def mean(
        self, output: Float[Tensor, "*many"], library: Float[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "*many"]:
        """Probability of every class."""
        return torch.softmax(output.flatten(1), dim=1).view_as(output)
