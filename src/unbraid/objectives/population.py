"""The mutual-information objective of the cross-population VAE."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.objectives.contract import Objective, check_all_present
from unbraid.objectives.schedules import Constant, Schedule
from unbraid.types import Batch, Forward, Progress, Terms


class CrossPopulation(Objective):
    """Minus the cross-population objective: a private code pays for *other* populations' data, not for its own.

    Sum over populations k of
    `log p(x_k | z, t_k) - KL(q(z | x_k) || p) - alpha / (K - 1) * sum_{j != k} n_k / n_j * KL(q_k(t | x_j) || p)`,
    each summed over that population's samples, with n the counts in the batch, divided by the batch size. Balanced
    batches, the default, therefore weigh populations equally (algorithm 1); proportional ones weigh samples equally.

    The KL of a private code on its own population is free, so this can exceed log p(x): it is no lower bound.
    Source: cross-population VAE, eq. 6; alpha from section 2.3.

    Args:
        alpha: weight of the cross term; `Exponential()` is the paper's annealing.
    """

    def __init__(self, alpha: Schedule | None = None):
        self.alpha = alpha or Constant(1.0)

    def check(self, model: Model, data: Data) -> None:
        """Refuse data of one population alone.

        Raises:
            ValueError: observations of some populations are absent on purpose.
        """
        check_all_present(data)

    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        """Loss, `reconstruction`, `kl/shared`, `kl/other` (minimised), `kl/private` and `alpha` (reported only).

        Raises:
            ValueError: the model has no private heads, fewer than two populations, or the batch names none.
        """
        if forward.heads is None or batch.population is None or forward.heads.mean.shape[1] < 2:
            raise ValueError(
                "expected a model with private heads for at least two populations and a batch that names them, got "
                "a model or data without; use CPVAE with populations, or the ELBO objective"
            )
        reconstruction = -forward.log_likelihood.mean()
        alpha = self.alpha.like(reconstruction, progress)
        shared = forward.posteriors["shared"].kl().sum(-1).mean()
        other = cross_divergence(forward.heads.kl().sum(-1), batch.population)
        parts = {
            "reconstruction": reconstruction,
            "kl/shared": shared,
            "kl/other": other,
            "kl/private": forward.posteriors["private"].kl().sum(-1).mean().detach(),
            "alpha": alpha,
        }
        return Terms(reconstruction + shared + alpha * other, parts)


def cross_divergence(kl: Float[Tensor, "batch population"], population: Int[Tensor, " batch"]) -> Float[Tensor, ""]:
    """1 / (K - 1) * sum_k sum_{j != k} n_k / n_j * sum_{i in j} kl[i, k], divided by the batch size.

    kl: of every head on every sample. A population that the batch lacks adds nothing.
    """
    members = torch.nn.functional.one_hot(population, kl.shape[1]).to(kl.dtype)
    counts = members.sum(0)
    means = members.T @ kl / counts.clamp(min=1)[:, None]  # [j, k]: mean over population j of head k
    means = means - torch.diag(means.diagonal())
    return (means * counts).sum() / (kl.shape[1] - 1) / len(kl)
