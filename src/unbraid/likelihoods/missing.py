"""Observations with coordinates that nobody measured."""

import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.likelihoods.contract import Likelihood


class IgnoreMissing(Likelihood):
    """Another likelihood, over the observed coordinates alone: missing ones (NaN) have log density 0.

    That is the density of the observed part with the rest integrated out, since coordinates are independent given
    the output: right if values are missing at random, biased if whether a value is missing depends on the value.

    inner: the likelihood of the coordinates that are there.

    Raises:
        ValueError: the inner likelihood already leaves missing values out.
    """

    missing = True

    def __init__(self, inner: Likelihood):
        super().__init__()
        if inner.missing:
            raise ValueError(f"expected a likelihood that needs every coordinate, got {inner!r}; use it as it is")
        self.inner, self.bounds = inner, inner.bounds

    def log_prob_each(
        self,
        x: Float[Tensor, "batch *shape"],
        output: Float[Tensor, "batch *shape"],
        library: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch *shape"]:
        """The inner log density in nats, 0 where x is NaN."""
        observed = ~x.isnan()
        # numbers in place of NaN before the density, else gradients would be NaN; with a skip the output is NaN there
        # as well, while one that is a number stays: a softmax over coordinates needs it
        output = torch.where(observed | ~output.isnan(), output, 0.0)
        each = self.inner.log_prob_each(torch.where(observed, x, 0.0), output, library)
        return torch.where(observed, each, 0.0)

    def mean(
        self, output: Float[Tensor, "*many"], library: Float[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "*many"]:
        """Expected observation, of missing coordinates too, unless the output is NaN there: a skip adds x to it."""
        return self.inner.mean(output, library)

    def reported(self) -> dict[str, Tensor]:
        """What the inner likelihood reports."""
        return self.inner.reported()
