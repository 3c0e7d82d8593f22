"""What importance weights are drawn from: a model's own posteriors."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from unbraid.models.contrastive import ContrastiveVAE
from unbraid.models.population import CPVAE
from unbraid.models.sequential import SequentialVAE
from unbraid.types import Normal

Known = CPVAE | ContrastiveVAE | SequentialVAE  # whose parts can be called apart


@dataclass(frozen=True)
class Sampled:
    """Draws of one latent block, and their part of the log weights, log p - log q in nats."""

    latents: Float[Tensor, "batch sample latent"]
    log_weights: Float64[Tensor, "batch sample"]


@dataclass(frozen=True)
class Proposal:
    """q(z | x) `[batch, latent]` and, where there are private heads, every q_k(t | x) `[batch, population, latent]`."""

    shared: Normal
    heads: Normal | None

    def wider(self, factor: float) -> "Proposal":
        """With deviations `factor` times as large."""
        return self._map(lambda q: Normal(q.mean, q.log_variance + 2 * math.log(factor)))

    def of(self, part: slice) -> "Proposal":
        """That of some of the observations."""
        return self._map(lambda q: Normal(q.mean[part], q.log_variance[part]))

    def noise(self, *samples: int, generator: torch.Generator) -> list[Float[Tensor, "batch _ _"]]:
        """Standard normal numbers, one observation after the other.

        samples: draws of all blocks together, or of the shared block and of every private one.
        """
        own = 0 if self.heads is None else self.heads.mean[0].numel()
        widths = (self.shared.mean.shape[1] + own,) if len(samples) == 1 else (self.shared.mean.shape[1], own)
        like = {"generator": generator, "device": self.shared.mean.device, "dtype": self.shared.mean.dtype}
        shapes = list(zip(samples, widths, strict=True))
        drawn = [[torch.randn(shape, **like) for shape in shapes] for _ in self.shared.mean]
        return [torch.stack(each) for each in zip(*drawn, strict=True)]

    def draw(self, noise: list[Float[Tensor, "batch _ _"]]) -> list[Sampled]:
        """z and every t_k, from what `noise` gave."""
        shared, *private = (normal.mean.shape[1] for normal in self._each())
        widths = [[shared, *private]] if len(noise) == 1 else [[shared], private]
        numbers = [part for each, sizes in zip(noise, widths, strict=True) for part in each.split(sizes, dim=2)]
        return [_drawn(normal, part) for normal, part in zip(self._each(), numbers, strict=True)]

    def _map(self, change: Callable[[Normal], Normal]) -> "Proposal":
        return Proposal(change(self.shared), None if self.heads is None else change(self.heads))

    def _each(self) -> list[Normal]:
        heads = self.heads
        if heads is None:
            return [self.shared]
        return [self.shared, *map(Normal, heads.mean.unbind(1), heads.log_variance.unbind(1))]


def proposal_of(model: Known, x: Float[Tensor, "batch *shape"], widen: float) -> Proposal:
    """The posteriors of observations, with deviations `widen` times as large."""
    if isinstance(model, SequentialVAE):
        return Proposal(model.posterior(x), None).wider(widen)
    found = Proposal(*model.posteriors(x)).wider(widen)
    if isinstance(model, ContrastiveVAE) and found.heads is not None:
        # the background's is the exact posterior, the prior: any other would only make its weights uneven
        found.heads.log_variance[:, model.background_index] = 0
    return found


def _drawn(normal: Normal, numbers: Float[Tensor, "batch sample latent"]) -> Sampled:
    value = Normal(normal.mean[:, None], normal.log_variance[:, None]).sample(numbers)
    # numbers are (value - mean) / deviation, so that nothing cancels
    terms = numbers.double().square() + normal.log_variance[:, None].double() - value.double().square()
    return Sampled(value, 0.5 * terms.sum(2))
