"""Counts for networks that want numbers of one size."""

import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.nets.contract import Trunk


class CountTrunk(Trunk):
    """Counts to features: log(1 + scale * x / sum of x) before another trunk, so that deep and shallow ones look alike.

    trunk: what sees the transformed counts.
    scale: counts that every observation is brought to.

    Raises:
        ValueError: the scale is not above 0.
    """

    def __init__(self, trunk: Trunk, scale: float = 1e4):
        super().__init__()
        if not 0 < scale < float("inf"):
            raise ValueError(f"expected a finite scale above 0, got {scale}")
        self.trunk, self.scale = trunk, scale
        self.shape, self.features = trunk.shape, trunk.features

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch feature"]:
        """Features of each observation, `[batch, features]`; one without any counts looks like zeros."""
        total = x.flatten(1).sum(1).clamp(min=1).view(-1, *[1] * (x.ndim - 1))
        return self.trunk(torch.log1p(self.scale * x / total))
