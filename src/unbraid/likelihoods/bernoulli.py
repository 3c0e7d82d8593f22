"""Black and white, or grey between them."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from unbraid.likelihoods.contract import Likelihood


class Bernoulli(Likelihood):
    """Bernoulli with the output read as logits; x in [0, 1], grey values count as probabilities.

    Source: sequential residual VAE, table 2 ("Decoder type Bernoulli").
    """

    bounds = (0.0, 1.0)

    def log_prob_each(
        self,
        x: Float[Tensor, "batch *shape"],
        output: Float[Tensor, "batch *shape"],
        library: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch *shape"]:
        """Minus the binary cross-entropy in nats of every coordinate."""
        return -F.binary_cross_entropy_with_logits(output, x, reduction="none")

    def mean(
        self, output: Float[Tensor, "*many"], library: Float[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "*many"]:
        """Probability of one."""
        return torch.sigmoid(output)
