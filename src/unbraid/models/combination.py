"""g(shared, private): how the outputs of a cross-population VAE's two decoders become one."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor

from unbraid.configuration import Configured


class Combination(Configured, ABC):
    """g(shared, private): how the two decoders' outputs become the likelihood's parameter.

    neutral: the output of a decoder that leaves the other's unchanged; stands in for a part that is left out.
    """

    neutral: float

    @abstractmethod
    def __call__(
        self, shared: Float[Tensor, "batch *shape"], private: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        """The combined output."""


class Add(Combination):
    """g(a, b) = a + b, the paper's choice."""

    neutral = 0.0

    def __call__(
        self, shared: Float[Tensor, "batch *shape"], private: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        """The sum."""
        return shared + private


class Multiply(Combination):
    """g(a, b) = a b: each part says by what factor the other is brighter, as light and what it falls on are."""

    neutral = 1.0

    def __call__(
        self, shared: Float[Tensor, "batch *shape"], private: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        """The product."""
        return shared * private


class Screen(Combination):
    """g(a, b) = a + b - a b: bright parts cover each other, and the sum of two in [0, 1] stays there.

    Source: the screen blend of image editors, 1 - (1 - a)(1 - b).
    """

    neutral = 0.0

    def __call__(
        self, shared: Float[Tensor, "batch *shape"], private: Float[Tensor, "batch *shape"]
    ) -> Float[Tensor, "batch *shape"]:
        """Both on top of each other."""
        return shared + private - shared * private
