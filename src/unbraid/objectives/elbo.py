"""The evidence lower bound, and the same with a weight on the divergence."""

from unbraid.objectives.contract import Objective
from unbraid.types import Batch, Forward, Progress, Terms


class BetaELBO(Objective):
    """Reconstruction plus beta times the KL of every latent block to its prior.

    Both are summed over dimensions and averaged over the batch, the ELBO's own ratio at beta = 1.
    Source: beta-VAE, Higgins et al. 2017, eq. 4; applied to the sequential pass it is SR-beta-VAE.

    Args:
        beta: weight of the KL; 4 is the paper's choice on 2D Shape.

    Raises:
        ValueError: beta is negative.
    """

    def __init__(self, beta: float = 4.0):
        if not beta >= 0:
            raise ValueError(f"expected beta of at least 0, got {beta}; 1 is the ELBO")
        self.beta = beta

    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        """Loss, `reconstruction` (minus log-likelihood) and one `kl/<block>` a latent block."""
        return weighted_bound(forward, self.beta)


class ELBO(Objective):
    """Minus the evidence lower bound.

    Source: Kingma & Welling 2013, eq. 3; cross-population VAE, eq. 3 ("no MI").
    """

    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        """Loss, `reconstruction` (minus log-likelihood) and one `kl/<block>` a latent block."""
        return weighted_bound(forward, 1.0)


def weighted_bound(forward: Forward, beta: float) -> Terms:
    """Reconstruction + beta * KL, averaged over the batch."""
    reconstruction = -forward.log_likelihood.mean()
    kls = {f"kl/{name}": normal.kl().sum(-1).mean() for name, normal in forward.posteriors.items()}
    loss = reconstruction
    for kl in kls.values():
        loss = loss + beta * kl
    return Terms(loss, {"reconstruction": reconstruction, **kls})
