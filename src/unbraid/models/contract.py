"""What every model offers, so that training and evaluation need to know no model by name."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unbraid.configuration import Configured
from unbraid.likelihoods import Likelihood
from unbraid.nets.contract import Decoder, Trunk
from unbraid.types import Batch, Forward


class Drawn:
    """Standard normal noise that was drawn beforehand, given out in the order in which it is asked for.

    Stands in for a generator where one call serves several models, each with noise of its own (`torch.func.vmap`).

    tensors: what a generator would have given, one a draw.
    """

    def __init__(self, tensors: Sequence[Tensor]):
        self.tensors, self.given = tensors, 0

    def take(self, shape: tuple[int, ...], like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The next tensor, which must have this shape."""
        self.given += 1
        found = self.tensors[self.given - 1]
        assert tuple(found.shape) == tuple(shape), f"drawn for {tuple(found.shape)}, asked for {shape}"
        return found


class Asked(Drawn):
    """Zeros, and a note of what they were asked for.

    draws: shape and precision of each.
    """

    def __init__(self) -> None:
        super().__init__(())
        self.draws: list[tuple[tuple[int, ...], torch.dtype]] = []

    def take(self, shape: tuple[int, ...], like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Zeros of this shape."""
        self.draws.append((shape, like.dtype))
        return like.new_zeros(shape)


Noise = torch.Generator | Drawn


class Model(Configured, nn.Module, ABC):
    """A joint distribution of data and latents, and an amortised posterior.

    shape: of one observation.
    populations: names the model knows, empty if it does not look at populations.
    likelihood: p(x | decoder output); of what `target` says, where that is not x.
    defines_density: whether log p(x) exists; if not, reconstruction + KL bounds nothing.
    """

    shape: tuple[int, ...]
    populations: tuple[str, ...] = ()
    likelihood: Likelihood
    defines_density: bool = True

    @abstractmethod
    def forward(self, batch: Batch, generator: Noise | None = None) -> Forward:
        """Infer, sample and decode; posterior means instead of samples where `generator` is None."""

    @abstractmethod
    def encode(self, x: Float[Tensor, "batch *shape"]) -> dict[str, Float[Tensor, "batch *code"]]:
        """Posterior means by latent block, `[batch, latent]`; private: every head, `[batch, population, latent]`."""

    def target(self, batch: Batch) -> Float[Tensor, "batch *target"]:
        """What the likelihood is of: the observations, unless the model predicts something else from them."""
        return batch.x

    def samples(self, batch: Batch, generator: Noise | None = None) -> dict[str, Float[Tensor, "batch code"]]:
        """The latents that `forward` would draw, by block, `[batch, latent]`, without what only its output needs."""
        return self(batch, generator).samples


def draw(generator: Noise | None, shape: tuple[int, ...], like: Float[Tensor, "..."]) -> Float[Tensor, "..."] | None:
    """Standard normal noise of `shape` with the device and precision of `like`; None without a generator."""
    if generator is None:
        return None
    if isinstance(generator, Drawn):
        return generator.take(shape, like)
    return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)


def check_shapes(trunk: Trunk, *decoders: Decoder) -> None:
    """Refuse networks that do not fit together.

    Raises:
        ValueError: a network's `shape` differs from the trunk's, or a decoder takes no latents.
    """
    for decoder in decoders:
        if decoder.latents < 1:
            raise ValueError(f"expected at least 1 latent, got {decoder.latents} in {decoder}")
        if decoder.shape != trunk.shape:
            raise ValueError(
                f"expected an encoder and decoders of one shape, got {trunk.shape} for {trunk} and "
                f"{decoder.shape} for {decoder}"
            )
