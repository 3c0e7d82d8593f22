"""The divergence split into what the code tells, how its dimensions depend on each other, and how each is spread."""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.configuration import Configured
from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.objectives.blocks import at_least_two, check_one_block, one_block
from unbraid.objectives.contract import Objective
from unbraid.types import LOG_2PI, Batch, Forward, Normal, Progress, Terms


class MinibatchSampling(Configured, ABC):
    """Weights w with which a batch estimates q(z_i) = 1/N sum_n q(z_i | x_n) as sum_j w[i, j] q(z_i | x_j)."""

    @abstractmethod
    def weights(self, batch: int, observations: int) -> tuple[float, float]:
        """The weight of x_i itself, from which z_i was drawn, and of each other observation of the batch."""


class Weighted(MinibatchSampling):
    """Minibatch-weighted sampling: every observation of the batch weighs 1 / (N B).

    The estimate of q(z_i) is too small: its expectation is `(q(z_i | x_i) + (B - 1) q(z_i)) / (N B)` where the others
    are drawn independently. That is a factor of about N where the code says little of x, and of B where only x_i could
    have given z_i. So, in nats, the index-code information is too large by log B to log N, the total correlation of d
    latents by up to d log N, and the dimension-wise KL too small by up to d log N.
    Source: Chen et al. 2018, eq. 3 and appendix C.1, whose experiments use it.
    """

    def weights(self, batch: int, observations: int) -> tuple[float, float]:
        """1 / (N B) and the same."""
        return 1 / (observations * batch), 1 / (observations * batch)


class Stratified(MinibatchSampling):
    """Minibatch-stratified sampling: x_i weighs 1 / N, each of the B - 1 others (N - 1) / (N (B - 1)).

    Of the N terms of q(z_i) that of x_i is known to be in the batch, and the other N - 1 are represented by B - 1 drawn
    from them without replacement. The estimate of q(z_i) is then unbiased for every z_i, and exact if the batch is the
    whole data. Its logarithm is too small on average (Jensen), more so for the joint than for the marginals, so that
    the total correlation comes out too small, often negative.
    Source: Chen et al. 2018, appendix C.2, which gives one of the M = B - 1 others (N - M) / (N M) and the rest 1 / M:
    the same sum, hence the same expectation, but a larger variance, and no exactness at B = N.
    """

    def weights(self, batch: int, observations: int) -> tuple[float, float]:
        """1 / N and (N - 1) / (N (B - 1))."""
        return 1 / observations, (observations - 1) / (observations * (batch - 1))


class BetaTC(Objective):
    """Reconstruction plus alpha * index-code information + beta * total correlation + gamma * dimension-wise KL.

    With q(z) the mean of q(z | x_n) over all N observations, and q(z_k) its marginals, the three are the means over the
    batch of `log q(z | x) - log q(z)`, `log q(z) - sum_k log q(z_k)` and `sum_k log q(z_k) - log p(z)`. They sum to a
    one-sample estimate of the KL, so that three weights of 1 give the ELBO on average, with either sampling.

    Takes batches drawn uniformly from the data: with populations of different sizes, `Training(balanced=False)`. Time
    and memory grow with B * B * d. With several latent blocks it is refused.
    Source: Chen et al. 2018 (Isolating sources of disentanglement), eq. 2 and 4; alpha = gamma = 1, and beta 6 for
    dSprites as in the authors' code.

    Args:
        observations: N, the size of the training data.
        alpha, beta, gamma: weights of the three.
        sampling: how a batch stands for the data; default `Stratified()`.

    Raises:
        ValueError: fewer than two observations, or a negative weight.
    """

    def __init__(
        self,
        observations: int,
        alpha: float = 1.0,
        beta: float = 6.0,
        gamma: float = 1.0,
        sampling: MinibatchSampling | None = None,
    ):
        if observations < 2:
            raise ValueError(
                f"expected at least 2 observations, got {observations}; give len(data) of the training data"
            )
        if not min(alpha, beta, gamma) >= 0 or any(map(math.isnan, (alpha, beta, gamma))):
            raise ValueError(f"expected alpha, beta and gamma of at least 0, got {alpha}, {beta}, {gamma}; all 1: ELBO")
        self.observations, self.sampling = observations, sampling or Stratified()
        self.alpha, self.beta, self.gamma = alpha, beta, gamma

    def check(self, model: Model, data: Data) -> None:
        """Refuse a model with several blocks, and data of another size.

        Raises:
            ValueError: the model has populations, or `observations` is not `len(data)`.
        """
        check_one_block(model)
        if len(data) != self.observations:
            raise ValueError(
                f"expected observations={len(data)}, the size of the training data, got {self.observations}: the "
                f"weights would be those of other data; use BetaTC({len(data)})"
            )

    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        """Loss, `reconstruction`, the three `kl/...` that are minimised, and `kl/<block>` (closed form, reported only).

        Raises:
            ValueError: several latent blocks, a batch of one, or one larger than the data.
        """
        name, normal, z = one_block(forward)
        at_least_two(z, "from which q(z) is estimated")
        if len(z) > self.observations:
            raise ValueError(f"expected a batch of at most observations={self.observations}, got {len(z)}")
        information, correlation, spread = decompose(normal, z, self.sampling.weights(len(z), self.observations))
        reconstruction = -forward.log_likelihood.mean()
        loss = reconstruction + self.alpha * information + self.beta * correlation + self.gamma * spread
        parts = {
            "reconstruction": reconstruction,
            "kl/index_code": information,
            "kl/total_correlation": correlation,
            "kl/dimension_wise": spread,
            f"kl/{name}": normal.kl().sum(-1).mean().detach(),
        }
        return Terms(loss, parts)


def decompose(
    normal: Normal, z: Float[Tensor, "batch latent"], weights: tuple[float, float]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
    """Index-code information, total correlation and dimension-wise KL of a batch, in nats.

    weights: of an observation itself and of each other one, in the estimates of q(z) and its marginals.
    """
    each = log_densities(normal, z)
    log_q, log_marginals = log_aggregates(each, weights)
    log_product, log_prior = log_marginals.sum(-1), -0.5 * (z.square() + LOG_2PI).sum(-1)
    information = (each.sum(-1).diagonal() - log_q).mean()
    return information, (log_q - log_product).mean(), (log_product - log_prior).mean()


def log_densities(normal: Normal, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch batch latent"]:
    """log q(z[i, k] | x_j) at [i, j, k]."""
    # divided before it is squared: the inverse of a tiny variance overflows, and its gradient would be NaN
    scaled = (z[:, None] - normal.mean) * torch.exp(-0.5 * normal.log_variance)
    return -0.5 * (scaled.square() + (normal.log_variance + LOG_2PI))


def log_aggregates(
    each: Float[Tensor, "batch batch latent"], weights: tuple[float, float]
) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch latent"]]:
    """Estimates of log q(z_i) and of log q(z_ik) from the densities under the observations of the batch."""
    log_weights = torch.full(each.shape[:2], math.log(weights[1]), dtype=each.dtype, device=each.device)
    log_weights.fill_diagonal_(math.log(weights[0]))
    return torch.logsumexp(each.sum(-1) + log_weights, 1), torch.logsumexp(each + log_weights[..., None], 1)
