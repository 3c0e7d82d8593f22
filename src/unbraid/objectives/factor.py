"""FactorVAE: the ELBO plus a total correlation that a discriminator estimates."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.nets.contract import Network
from unbraid.objectives.blocks import check_one_block, one_block
from unbraid.objectives.contract import Adversarial
from unbraid.objectives.elbo import weighted_bound
from unbraid.randomness import seeded
from unbraid.types import Batch, Forward, Progress, Terms


class _Discriminator(Network):
    """Latents to two logits: fully connected layers of the given widths, each with a leaky ReLU, and the output.

    The output layer is computed in the precision of the latents, since its two outputs are subtracted from each other.
    """

    def __init__(self, latents: int, widths: Sequence[int], slope: float):
        super().__init__()
        self.latents, self.widths, self.slope = latents, tuple(widths), slope
        layers: list[nn.Module] = []
        for before, after in pairwise((latents, *widths)):
            layers += [nn.Linear(before, after), nn.LeakyReLU(slope)]
        self.layers = nn.Sequential(*layers, nn.Linear((latents, *widths)[-1], 2))

    def forward(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch 2"]:
        """Logits of the joint and of the product of the marginals."""
        hidden = self.layers[:-1](z).to(z.dtype)
        with torch.autocast(z.device.type, enabled=False):
            return self.layers[-1](hidden)


class FactorVAE(Adversarial):
    """Minus the ELBO, plus gamma times an estimate of the total correlation of the aggregate posterior q(z).

    A discriminator D learns to tell samples of q(z) from samples of the product of its marginals, which are made by
    permuting every dimension of a second batch's latents on its own. The total correlation, KL(q(z) || prod_j q(z_j)),
    is estimated as the mean of log D(z) / (1 - D(z)), the difference of its two outputs. The estimate lags behind the
    model and can be negative. The model's loss does not train D, and training D does not reach the model.
    Source: Kim & Mnih 2018, eq. 2 and 3, algorithm 2, whose optimiser is the default; KL in closed form where
    the algorithm has one sample of it. Six hidden layers and the output.

    Args:
        gamma: weight of the total correlation; 35 is the paper's choice on 2D Shapes.
        widths: of the discriminator's hidden layers, each with a leaky ReLU.
        slope: of the leaky ReLU below 0.
        learning_rate: of the discriminator's Adam.
        betas: of the discriminator's Adam.

    Raises:
        ValueError: gamma is negative, or the discriminator or its optimiser cannot be made.
    """

    def __init__(
        self,
        gamma: float = 35.0,
        widths: Sequence[int] = (1000,) * 6,
        slope: float = 0.2,
        learning_rate: float = 1e-4,
        betas: Sequence[float] = (0.5, 0.9),
    ):
        if not gamma >= 0:
            raise ValueError(f"expected gamma of at least 0, got {gamma}; 0 is the ELBO")
        if min(widths, default=1) < 1:
            raise ValueError(f"expected widths of at least 1, got {tuple(widths)}; a layer needs at least one unit")
        if not (learning_rate > 0 and len(betas) == 2 and all(0 <= beta < 1 for beta in betas)):
            raise ValueError(
                f"expected a learning_rate above 0 and two betas in [0, 1), got {learning_rate} and {tuple(betas)}; "
                "the paper's are 1e-4 and (0.5, 0.9)"
            )
        self.gamma, self.widths, self.slope = gamma, tuple(widths), slope
        self.learning_rate, self.betas = learning_rate, tuple(betas)
        self._network: _Discriminator | None = None

    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        """Loss, `reconstruction`, `kl/<block>` and `total_correlation` (an estimate).

        Raises:
            ValueError: several latent blocks, or `prepare` was not called.
        """
        _, _, z = one_block(forward)
        # the weights without gradient, so that only z's is computed
        weights = {name: weight.detach() for name, weight in self.network.named_parameters()}
        logits = torch.func.functional_call(self.network, weights, (z,))
        total_correlation = (logits[:, 0] - logits[:, 1]).mean()
        bound = weighted_bound(forward, 1.0)
        loss = bound.loss + self.gamma * total_correlation
        return Terms(loss, {**bound.parts, "total_correlation": total_correlation})

    @property
    def network(self) -> _Discriminator:
        """The discriminator, latents to two logits: of the joint, of the product of the marginals.

        Raises:
            ValueError: `prepare` was not called, so that there is none yet.
        """
        if self._network is None:
            raise ValueError("expected a discriminator, got none yet; call prepare(model, device, seed) first")
        return self._network

    def check(self, model: Model, data: Data) -> None:
        """Refuse a model with several blocks.

        Raises:
            ValueError: the model has populations.
        """
        check_one_block(model)

    def prepare(self, model: Model, device: torch.device, seed: int) -> None:
        """Make the discriminator, as precise as the model, and its optimiser."""
        with seeded(seed):
            network = _Discriminator(_latents(model), self.widths, self.slope)
        self._network = network.to(device, next(model.parameters()).dtype)
        betas = (self.betas[0], self.betas[1])
        self._optimizer = torch.optim.Adam(network.parameters(), self.learning_rate, betas=betas, fused=True)

    def follow(
        self, samples: dict[str, Tensor], others: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Train the discriminator: `adversary/loss` (cross entropy, nats) and `adversary/accuracy` before it."""
        (joint,), (other,) = samples.values(), others.values()
        product = permuted(other, generator)
        logits = self.network(torch.cat([joint, product]).detach())
        truth = torch.arange(2, device=logits.device).repeat_interleave(len(joint))
        loss = F.cross_entropy(logits, truth)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        right = logits.argmax(1) == truth
        return {"adversary/loss": loss.detach(), "adversary/accuracy": right.to(logits.dtype).mean()}

    def state_dict(self) -> dict[str, Any]:
        """The discriminator's weights and its optimiser's state."""
        return {"network": self.network.layers.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self.network.layers.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])


def permuted(z: Float[Tensor, "batch latent"], generator: torch.Generator) -> Float[Tensor, "batch latent"]:
    """Every column in a random order of its own: samples of the product of the marginals (Kim & Mnih, algorithm 1)."""
    keys = torch.rand(z.shape, generator=generator, device=z.device)
    return z.gather(0, keys.argsort(0))


@torch.no_grad()
def _latents(model: Model) -> int:
    """Size of the only block; `encode` is what every model says it by."""
    training, like = model.training, next(model.parameters())
    model.eval()
    (code,) = model.encode(torch.zeros(1, *model.shape, device=like.device, dtype=like.dtype)).values()
    model.train(training)
    return code.shape[-1]
