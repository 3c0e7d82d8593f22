"""A divergence that is held at a capacity, which grows during training."""

import torch

from unbraid.objectives.blocks import check_latents
from unbraid.objectives.contract import Objective
from unbraid.objectives.schedules import Linear, Schedule
from unbraid.types import Batch, Forward, Progress, Terms


class Capacity(Objective):
    """Reconstruction plus `gamma * |KL - C|`, with C the nats that the code may carry now.

    KL is summed over latents and blocks and averaged over the batch before the absolute value is taken. Several blocks
    share one capacity.
    Source: Burgess et al. 2018 (Understanding disentangling in beta-VAE), eq. 8; their C grows from 0 to 25 nats in
    100,000 steps and their gamma is 1000, which are the defaults.

    Args:
        capacity: C in nats; default `Linear()`.
        gamma: weight of the distance to it.

    Raises:
        ValueError: gamma is negative.
    """

    def __init__(self, capacity: Schedule | None = None, gamma: float = 1000.0):
        if not gamma >= 0:
            raise ValueError(f"expected gamma of at least 0, got {gamma}; the paper has 1000")
        self.capacity, self.gamma = capacity or Linear(), gamma

    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        """Loss, `reconstruction`, one `kl/<block>` a latent block and `capacity` (C, reported only).

        Raises:
            ValueError: the model has no latents.
        """
        check_latents(forward)
        reconstruction = -forward.log_likelihood.mean()
        kls = {f"kl/{name}": normal.kl().sum(-1).mean() for name, normal in forward.posteriors.items()}
        capacity = self.capacity.like(reconstruction, progress)
        distance = (torch.stack(list(kls.values())).sum() - capacity).abs()
        parts = {"reconstruction": reconstruction, **kls, "capacity": capacity}
        return Terms(reconstruction + self.gamma * distance, parts)
