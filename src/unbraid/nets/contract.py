"""What models ask of a network."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from unbraid.configuration import Configured


def check_positive(**counts: int | Sequence[int]) -> None:
    """Refuse sizes that no layer can have.

    Raises:
        ValueError: a count is below 1.
    """
    for name, count in counts.items():
        if min([count] if isinstance(count, int) else count, default=1) < 1:
            raise ValueError(f"expected {name} of at least 1, got {count}; a layer needs at least one unit")


class Trunk(Configured, nn.Module, ABC):
    """Observations of `shape` to `features` numbers each."""

    shape: tuple[int, ...]
    features: int

    @abstractmethod
    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch feature"]:
        """Features of each observation, `[batch, features]`."""


class Decoder(Configured, nn.Module, ABC):
    """`latents` numbers to an array of `shape` each, with no non-linearity at the end."""

    shape: tuple[int, ...]
    latents: int

    @abstractmethod
    def forward(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch *shape"]:
        """What the likelihood reads, `[batch, *shape]`."""
