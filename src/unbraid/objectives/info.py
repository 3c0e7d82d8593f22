"""The aggregate posterior as a whole compared with the prior, beside the divergence of each posterior."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.objectives.blocks import at_least_two, check_one_block, one_block
from unbraid.objectives.contract import Objective
from unbraid.types import Batch, Forward, Progress, Terms


class InfoVAE(Objective):
    """Reconstruction + (1 - alpha) * KL + (alpha + lambda - 1) * MMD^2(q(z), N(0, I)).

    MMD is the maximum mean discrepancy with Gaussian kernels `exp(-|a - b|^2 / (2 v))`, v = bandwidth^2 * d for d
    latents, averaged over the bandwidths. At bandwidth 1, 2 v is the mean squared distance of two draws of the prior.
    alpha = 1 is MMD-VAE, without a KL; lambda = 1 with alpha = 0 is the ELBO. With several latent blocks it is refused.
    Source: Zhao et al. 2017 (InfoVAE), eq. 6, with kernel and defaults of ours: the KL is left as it is, and lambda is
    as large as a small VAE of sprites bore; at 1000 the noise of the estimate outweighed what the code had to tell.

    Args:
        alpha: how much of the KL to leave out, at most 1.
        lambda_mmd: lambda, at least 1 - alpha.
        bandwidths: one kernel each.

    Raises:
        ValueError: a weight would be negative, or a bandwidth is not above 0.
    """

    def __init__(self, alpha: float = 0.0, lambda_mmd: float = 100.0, bandwidths: Sequence[float] = (1.0,)):
        if not (alpha <= 1 <= alpha + lambda_mmd):
            raise ValueError(
                f"expected alpha of at most 1 and lambda_mmd of at least 1 - alpha, got {alpha} and {lambda_mmd}; "
                "another choice would reward divergence"
            )
        if not bandwidths or not all(0 < bandwidth < math.inf for bandwidth in bandwidths):
            raise ValueError(
                f"expected bandwidths above 0, at least one, got {tuple(bandwidths)}; (1.0,) is the default"
            )
        self.alpha, self.lambda_mmd, self.bandwidths = alpha, lambda_mmd, tuple(bandwidths)

    def check(self, model: Model, data: Data) -> None:
        """Refuse a model with several blocks.

        Raises:
            ValueError: the model has populations.
        """
        check_one_block(model)

    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        """Loss, `reconstruction`, `kl/<block>` and `mmd` (squared, an unbiased estimate, so that it can be negative).

        Raises:
            ValueError: several latent blocks, or a batch of one.
        """
        name, normal, z = one_block(forward)
        at_least_two(z, "which are compared with each other")
        reconstruction, kl = -forward.log_likelihood.mean(), normal.kl().sum(-1).mean()
        distance = squared_mmd(z, self.bandwidths)
        loss = reconstruction + (1 - self.alpha) * kl + (self.alpha + self.lambda_mmd - 1) * distance
        return Terms(loss, {"reconstruction": reconstruction, f"kl/{name}": kl, "mmd": distance})


def squared_mmd(z: Float[Tensor, "batch latent"], bandwidths: Sequence[float]) -> Float[Tensor, ""]:
    """Unbiased estimate of MMD^2 between what z was drawn from and N(0, I), averaged over the bandwidths.

    The mean of the kernel over pairs of different rows (a U-statistic), and its expectations over the prior in closed
    form: with kernel variance v, `(v / (v + 1))^(d / 2) exp(-|z|^2 / (2 (v + 1)))` over one argument and
    `(v / (v + 2))^(d / 2)` over both.
    """
    count, latents = z.shape
    between, norms = (z[:, None] - z).square().sum(-1), z.square().sum(-1)
    total = z.new_zeros(())
    for bandwidth in bandwidths:
        v = bandwidth**2 * latents
        within = (torch.exp(between / (-2 * v)).sum() - count) / (count * (count - 1))  # without the diagonal of ones
        across = (v / (v + 1)) ** (latents / 2) * torch.exp(norms / (-2 * (v + 1))).mean()
        total = total + within - 2 * across + (v / (v + 2)) ** (latents / 2)
    return total / len(bandwidths)
