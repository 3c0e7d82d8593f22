"""What models ask of a network."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unbraid.configuration import Configured
from unbraid.settings import WAYS, Computation

PLAIN = Computation()


def check_positive(**counts: int | Sequence[int]) -> None:
    """Refuse sizes that no layer can have.

    Raises:
        ValueError: a count is below 1.
    """
    for name, count in counts.items():
        if min([count] if isinstance(count, int) else count, default=1) < 1:
            raise ValueError(f"expected {name} of at least 1, got {count}; a layer needs at least one unit")


def check_image(shape: Sequence[int]) -> None:
    """Refuse the shape of what is no image.

    Raises:
        ValueError: it is not three numbers of at least 1.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"expected a shape of (channels, height, width), got {tuple(shape)}; vectors take an MLP")


class Network(Configured, nn.Module, ABC):
    """A network that may know faster ways to compute the same function.

    computation: how it computes now; set by `compute_as`, no part of its configuration or weights.
    """

    computation: Computation = PLAIN

    def knows(self, computation: Computation, device: torch.device) -> bool:
        """Whether the network has such kernels, at such a precision, on `device`; every network has plain ones."""
        return computation.kernels == "plain"

    def __call__(self, *given: Tensor, **named: Tensor) -> Tensor:
        """What the network makes of an array, in float32 whatever the precision inside."""
        if self.computation.precision == "float32":
            return super().__call__(*given, **named)
        (like,) = (*given, *named.values())
        with torch.autocast(like.device.type, torch.bfloat16):
            return super().__call__(*given, **named).to(like.dtype)


def compute_as(module: nn.Module, computation: Computation = PLAIN, device: torch.device | None = None) -> None:
    """Have every network in `module` compute in the given way, or in the next plainer one that it knows on `device`."""
    ways = WAYS[WAYS.index(computation.kernels) :]
    device = device or torch.device("cpu")
    for part in module.modules():
        if isinstance(part, Network):
            known = (replace(computation, kernels=way) for way in ways)
            part.computation = next(each for each in known if part.knows(each, device))


class Trunk(Network):
    """Observations of `shape` to `features` numbers each."""

    shape: tuple[int, ...]
    features: int

    @abstractmethod
    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch feature"]:
        """Features of each observation, `[batch, features]`."""


class Decoder(Network):
    """`latents` numbers to an array of `shape` each, with no non-linearity at the end."""

    shape: tuple[int, ...]
    latents: int

    @abstractmethod
    def forward(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch *shape"]:
        """What the likelihood reads, `[batch, *shape]`."""
