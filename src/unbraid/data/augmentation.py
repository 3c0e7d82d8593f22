"""Changes that leave an observation what it is, made anew in every update."""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unbraid.configuration import Configured

Border = Literal["edge", "reflect", "zero"]


class Augmentation(Configured, ABC):
    """A random change of whole batches, on the device that they are on."""

    @abstractmethod
    def __call__(self, x: Float[Tensor, "batch *shape"], generator: torch.Generator) -> Float[Tensor, "batch *shape"]:
        """Changed observations; what changes them depends on the generator alone.

        Raises:
            ValueError: it cannot be applied to observations of this shape.
        """


class Translate(Augmentation):
    """Every image moved by a random number of whole pixels, up to a fraction of its side, in each direction.

    Shifts are uniform over the integers from -m to m with m = floor(fraction * side), in height and width apart. A
    moved pixel keeps its exact value; nothing is interpolated. What comes in at the border is given by `border`.
    Source: cross-population VAE, section 4 (10% in its classification experiments).

    fraction: of the side, at least 0 and below 1.
    border: edge repeats the outermost pixel, reflect mirrors the image about it, zero brings in zeros.

    Raises:
        ValueError: a fraction below 0 or not below 1, or an unknown border.
    """

    def __init__(self, fraction: float = 0.1, border: Border = "edge"):
        if not 0 <= fraction < 1:
            raise ValueError(f"expected a fraction of at least 0 and below 1, got {fraction}; 0.1 is a tenth of a side")
        if border not in ("edge", "reflect", "zero"):
            raise ValueError(f"expected border to be edge, reflect or zero, got '{border}'")
        self.fraction: float = fraction
        self.border: Border = border

    def __call__(self, x: Float[Tensor, "batch *shape"], generator: torch.Generator) -> Float[Tensor, "batch *shape"]:
        """Images `[batch, channel, height, width]`, each moved on its own."""
        if x.ndim != 4:
            raise ValueError(f"expected images [batch, channel, height, width] to move, got shape {tuple(x.shape)}")
        rows, in_rows = self._source(len(x), x.shape[2], x.device, generator)
        columns, in_columns = self._source(len(x), x.shape[3], x.device, generator)
        place = (rows[:, :, None] * x.shape[3] + columns[:, None, :]).flatten(1)
        moved = x.flatten(2).gather(2, place[:, None].expand(-1, x.shape[1], -1)).view_as(x)
        if self.border == "zero":
            moved = moved * (in_rows[:, :, None] & in_columns[:, None, :])[:, None]
        return moved

    def _source(
        self, count: int, side: int, device: torch.device, generator: torch.Generator
    ) -> tuple[Int[Tensor, "batch side"], Tensor]:
        """Which row each new row is taken from, and whether it lies in the image."""
        most = int(self.fraction * side + 1e-9)  # 0.29 * 100 is a little less than 29
        shift = torch.randint(-most, most + 1, (count, 1), generator=generator, device=device)
        source = torch.arange(side, device=device) - shift
        inside = (source >= 0) & (source < side)
        if self.border == "reflect":
            source = source.abs()
            source = torch.where(source < side, source, 2 * (side - 1) - source)
        return source.clamp(0, side - 1), inside
