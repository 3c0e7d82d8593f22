"""The vocabulary every part shares: a batch, a posterior, what a forward pass returns, what a loss is made of."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Batch:
    """Observations, and the population that each belongs to.

    x: `[batch, *shape]` float, images as `[batch, channel, height, width]`; NaN where a coordinate is missing.
    population: `[batch]` integer index into the data set's `populations`, or None for one population.
    library: `[batch]` total counts of each observation, for counts whose totals say nothing; None elsewhere.
    groups: observations of each population, where they stand population by population; None where nobody says. Known
        on the host, so that nothing has to wait for a device to count them.
    """

    x: Float[Tensor, "batch *shape"]
    population: Int[Tensor, " batch"] | None = None
    library: Float[Tensor, " batch"] | None = None
    groups: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return self.map(lambda part: part.to(device, non_blocking=True))

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The same batch with every tensor changed in a way that leaves the groups what they are."""
        others = [None if part is None else change(part) for part in (self.population, self.library)]
        return Batch(change(self.x), *others, groups=self.groups)


@dataclass(frozen=True)
class Normal:
    """A diagonal Gaussian, the form of every posterior here.

    mean, log_variance: `[*batch, latent]`, natural logarithm.
    """

    mean: Float[Tensor, "*batch latent"]
    log_variance: Float[Tensor, "*batch latent"]

    @property
    def deviation(self) -> Float[Tensor, "*batch latent"]:
        """Standard deviation, `[*batch, latent]`."""
        return torch.exp(0.5 * self.log_variance)

    def sample(self, noise: Float[Tensor, "*batch latent"] | None) -> Float[Tensor, "*batch latent"]:
        """Mean plus deviation times standard normal `noise`; the mean itself where noise is None."""
        return self.mean if noise is None else self.mean + self.deviation * noise

    def kl(self) -> Float[Tensor, "*batch latent"]:
        """KL divergence to N(0, 1) in nats, one value a coordinate (Kingma & Welling 2013, appendix B)."""
        return 0.5 * (self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)

    def log_prob(self, value: Float[Tensor, "*many latent"]) -> Float[Tensor, "*rest"]:
        """Log density in nats, summed over coordinates; leading dimensions broadcast."""
        scaled = (value - self.mean).square() * torch.exp(-self.log_variance)
        return -0.5 * (scaled + self.log_variance + LOG_2PI).sum(-1)


@dataclass(frozen=True)
class Steps:
    """What a sequential pass saw and said at each step, kept only on request.

    outputs: decoder outputs xhat_1..xhat_n, `[step, batch, *shape]`.
    residuals: encoder inputs g_1..g_n, `[step, batch, *shape]`.
    """

    outputs: Float[Tensor, "step batch *shape"]
    residuals: Float[Tensor, "step batch *shape"]


@dataclass(frozen=True)
class Forward:
    """What a model makes of a batch; an objective needs nothing else.

    output: what the likelihood reads (logits or means), `[batch, *shape]`.
    log_likelihood: log p(x | latents) in nats, summed over dimensions, `[batch]`.
    posteriors: one per latent block, `[batch, latent]`; for a private block, the head of the sample's own population.
    samples: the latents drawn from them, same keys and shapes.
    heads: private posteriors of *every* population's head for every sample, `[batch, population, latent]`.
    steps: the sequential pass step by step, if asked for.
    """

    output: Float[Tensor, "batch *shape"]
    log_likelihood: Float[Tensor, " batch"]
    posteriors: dict[str, Normal]
    samples: dict[str, Tensor]
    heads: Normal | None = None
    steps: Steps | None = None


@dataclass(frozen=True)
class Terms:
    """A loss and the named terms it is made of, all scalars in nats per observation.

    `parts` also carries values that are reported but not minimised (a schedule's value, a bound).
    """

    loss: Float[Tensor, ""]
    parts: dict[str, Float[Tensor, ""]] = field(default_factory=dict)

    def named(self) -> dict[str, Tensor]:
        """Every value under its name, the loss first."""
        return {"loss": self.loss, **self.parts}


@dataclass(frozen=True)
class Progress:
    """How far training is, for schedules: updates made, and whole passes over the data, both from 0.

    Plain numbers, or tensors on the model's device that are filled anew for every update: a captured graph keeps their
    places, where it would keep the values of numbers.
    """

    step: int | Float64[Tensor, ""] = 0
    epoch: int | Float64[Tensor, ""] = 0
