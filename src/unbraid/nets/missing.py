"""An encoder that knows which coordinates nobody measured."""

import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.nets.contract import Trunk


class MaskedTrunk(Trunk):
    """Another trunk, given zeros where values are missing (NaN), and beside them which coordinates are there.

    The inner trunk takes twice the inputs: n values, then n times 1 (there) or 0 (missing); for images twice the
    channels. Values should be centred, so that the zero says no more than the mask.

    trunk: takes the values and the mask.

    Raises:
        ValueError: the inner trunk's first side is odd, so that there is no room for the mask.
    """

    def __init__(self, trunk: Trunk):
        super().__init__()
        first, *rest = trunk.shape
        if first % 2:
            raise ValueError(
                f"expected a trunk for twice the coordinates (values, then the mask), got shape {trunk.shape}; "
                "n features take an inner trunk of 2 * n inputs, c channels one of 2 * c"
            )
        self.trunk, self.shape, self.features = trunk, (first // 2, *rest), trunk.features

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch feature"]:
        """Features of each observation, `[batch, features]`."""
        there = ~x.isnan()
        return self.trunk(torch.cat([torch.where(there, x, 0.0), there.to(x.dtype)], dim=1))
