"""Moment matching for the contrastive VAE: what its two blocks should mean, asked for by kernels."""

import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.models.contrastive import ContrastiveVAE
from unbraid.objectives.contract import Objective, check_all_present
from unbraid.objectives.elbo import weighted_bound
from unbraid.types import Batch, Forward, Normal, Progress, Terms

PRECISIONS = tuple(10.0**power for power in range(-6, 7))


class ContrastiveMMD(Objective):
    """Minus the ELBO, plus the MMD between shared codes of background and targets, plus that of salient ones from 0.

    The second term compares samples of q(z | x) of the background with those of all targets together, the third samples
    of q(s | x) *of background observations*, which the ELBO does not look at, with 0. Both are the squared maximum mean
    discrepancy, see `squared_mmd`.

    Source: MM-cVAE, Weinberger, Beebe-Wang & Lee 2022; weights and kernels as in the authors' code (10,000 and 1,000
    beside a sum over batches of 128; here terms are averages, hence the division). There, reconstruction is the squared
    error (a Gaussian of variance 1/2): with another likelihood the same weights press more or less.

    Args:
        background: index of the background population, as the model's.
        shared: weight of the discrepancy of the shared codes.
        private: weight of the discrepancy of the background's salient codes.

    Raises:
        ValueError: a weight or the index is negative.
    """

    def __init__(self, background: int = 0, shared: float = 10_000 / 128, private: float = 1_000 / 128):
        if not (shared >= 0 and private >= 0 and background >= 0):
            raise ValueError(
                f"expected an index and weights of at least 0, got background {background}, shared {shared}, "
                f"private {private}; both weights 0 is the ELBO"
            )
        self.background, self.shared, self.private = background, shared, private

    def check(self, model: Model, data: Data) -> None:
        """Refuse a model without a background, or with another, and data of one population alone.

        Raises:
            ValueError: it is no ContrastiveVAE, its background is another population, or populations are absent.
        """
        check_all_present(data)
        if not isinstance(model, ContrastiveVAE) or model.background_index != self.background:
            known = repr(model.background) if isinstance(model, ContrastiveVAE) else f"none in a {type(model).__name__}"
            raise ValueError(
                f"expected a ContrastiveVAE whose background is population {self.background}, got {known}; "
                "pass background=model.background_index, or use the ELBO objective"
            )

    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        """Loss, `reconstruction`, `kl/shared`, `kl/private`, `mmd/shared` and `mmd/private`.

        A discrepancy is 0 in a batch that lacks the background or all targets.

        Raises:
            ValueError: the model has no private heads, no such background, or the batch names no populations.
        """
        if forward.heads is None or batch.population is None or not self.background < forward.heads.mean.shape[1] > 1:
            raise ValueError(
                f"expected a ContrastiveVAE whose background is population {self.background} and a batch that names "
                "populations, got a model or data without; use another background, or the ELBO objective"
            )
        bound = weighted_bound(forward, 1.0)
        own = batch.population == self.background
        z, s = forward.samples["shared"], salient(forward, self.background)[own]
        shared, private = squared_mmd(z[own], z[~own]), squared_mmd(s, torch.zeros_like(s))
        parts = {**bound.parts, "mmd/shared": shared, "mmd/private": private}
        return Terms(bound.loss + self.shared * shared + self.private * private, parts)


def salient(forward: Forward, background: int) -> Float[Tensor, "batch private"]:
    """Samples of q(s | x) of every observation, background or not, from the noise of the pass."""
    assert forward.heads is not None
    target = 1 if background == 0 else 0  # targets have one head between them
    own = forward.posteriors["private"]
    noise = (forward.samples["private"] - own.mean) / own.deviation
    return Normal(forward.heads.mean[:, target], forward.heads.log_variance[:, target]).sample(noise)


def squared_mmd(
    x: Float[Tensor, "n latent"], y: Float[Tensor, "m latent"], precisions: tuple[float, ...] = PRECISIONS
) -> Float[Tensor, ""]:
    """Squared maximum mean discrepancy for the sum of kernels exp(-g * |a - b|^2) over the precisions g; 0 if one is
    empty.

    The biased estimate of Gretton et al. 2012, mean k(x, x') + mean k(y, y') - 2 mean k(x, y) over all pairs, each with
    itself too: at least 0, and above 0 for samples of one distribution, by up to 1/n + 1/m a kernel.
    """
    if not len(x) or not len(y):
        return x.new_zeros(())
    points = torch.cat([x, y])
    weights = torch.cat([x.new_full((len(x),), 1 / len(x)), y.new_full((len(y),), -1 / len(y))])
    distances = (points[:, None] - points[None]).square().sum(-1)
    kernels = torch.exp(-x.new_tensor(precisions)[:, None, None] * distances).sum(0)
    return weights @ kernels @ weights
