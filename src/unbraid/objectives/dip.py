"""A code whose covariance over the data is driven to the identity."""

import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.objectives.blocks import at_least_two, check_one_block, one_block
from unbraid.objectives.contract import Objective
from unbraid.types import Batch, Forward, Normal, Progress, Terms


class DIP1(Objective):
    """DIP-VAE-I: the ELBO plus a penalty on the covariance over the data of the posterior *means*.

    `lambda_od * sum_{i != j} C_ij^2 + lambda_d * sum_i (C_ii - 1)^2`, C being the covariance in the batch, with divisor
    B. With several latent blocks it is refused.
    Source: Kumar et al. 2018, eq. 6; lambda_d = 10 lambda_od as there. lambda_od 10 is ours, inside the 1 to 50 that
    disentanglement_lib tries.

    Args:
        lambda_od, lambda_d: weights off and on the diagonal.

    Raises:
        ValueError: a weight is negative.
    """

    def __init__(self, lambda_od: float = 10.0, lambda_d: float = 100.0):
        _check(lambda_od, lambda_d)
        self.lambda_od, self.lambda_d = lambda_od, lambda_d

    def check(self, model: Model, data: Data) -> None:
        """Refuse a model with several blocks.

        Raises:
            ValueError: the model has populations.
        """
        check_one_block(model)

    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        """Loss, `reconstruction`, `kl/<block>`, and the two sums of squares `dip/off_diagonal` and `dip/diagonal`.

        Raises:
            ValueError: several latent blocks, or a batch of one.
        """
        return _penalised(forward, self.lambda_od, self.lambda_d, with_variance=False)


class DIP2(Objective):
    """DIP-VAE-II: the ELBO plus a penalty on the covariance of q(z), the *samples* over the data.

    As `DIP1`, with C the covariance of the posterior means plus the mean of the posterior variances on the diagonal.
    Source: Kumar et al. 2018, eq. 7; lambda_d = lambda_od as there. lambda_od 10 is ours, as in `DIP1`.

    Args:
        lambda_od, lambda_d: weights off and on the diagonal.

    Raises:
        ValueError: a weight is negative.
    """

    def __init__(self, lambda_od: float = 10.0, lambda_d: float = 10.0):
        _check(lambda_od, lambda_d)
        self.lambda_od, self.lambda_d = lambda_od, lambda_d

    def check(self, model: Model, data: Data) -> None:
        """Refuse a model with several blocks.

        Raises:
            ValueError: the model has populations.
        """
        check_one_block(model)

    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        """Loss, `reconstruction`, `kl/<block>`, and the two sums of squares `dip/off_diagonal` and `dip/diagonal`.

        Raises:
            ValueError: several latent blocks, or a batch of one.
        """
        return _penalised(forward, self.lambda_od, self.lambda_d, with_variance=True)


def covariance(normal: Normal, with_variance: bool) -> Float[Tensor, "latent latent"]:
    """Covariance of the means in the batch (divisor B), or of the whole aggregate posterior."""
    centred = normal.mean - normal.mean.mean(0)
    between = centred.T @ centred / len(centred)
    return between + torch.diag(normal.log_variance.exp().mean(0)) if with_variance else between


def _penalised(forward: Forward, lambda_od: float, lambda_d: float, with_variance: bool) -> Terms:
    name, normal, z = one_block(forward)
    at_least_two(z, "which have a covariance")
    found = covariance(normal, with_variance)
    variances = found.diagonal()
    off = (found - torch.diag(variances)).square().sum()
    on = (variances - 1).square().sum()
    reconstruction, kl = -forward.log_likelihood.mean(), normal.kl().sum(-1).mean()
    parts = {"reconstruction": reconstruction, f"kl/{name}": kl, "dip/off_diagonal": off, "dip/diagonal": on}
    return Terms(reconstruction + kl + lambda_od * off + lambda_d * on, parts)


def _check(lambda_od: float, lambda_d: float) -> None:
    if not (lambda_od >= 0 and lambda_d >= 0):
        raise ValueError(f"expected lambda_od and lambda_d of at least 0, got {lambda_od} and {lambda_d}")
