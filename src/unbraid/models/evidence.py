"""Importance weights, which log p(x) is estimated from, for every population at once."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from unbraid.models.contract import Model
from unbraid.models.contrastive import ContrastiveVAE
from unbraid.models.population import CPVAE
from unbraid.models.sequential import SequentialVAE
from unbraid.types import Batch, Normal

Known = CPVAE | ContrastiveVAE | SequentialVAE  # whose parts can be called apart
_ARRAYS = 4  # of the size of the decoder's output that are there at once: both parts, their combination, its density


@torch.no_grad()
def log_weights(
    model: Model,
    batch: Batch,
    samples: int,
    generator: torch.Generator,
    widen: float = 1.0,
    memory: int = 2**23,
) -> Float64[Tensor, "batch population sample"]:
    """log p(x | z, t_k) + log p(z) + log p(t_k) - log q(z | x) - log q_k(t_k | x) of draws from the posterior.

    The mean of the weights themselves estimates p(x) of population k without bias, its logarithm log p(x) with a
    downward bias (Burda et al. 2016, eq. 8; cross-population VAE, eq. 7 and 8). The batch's own populations are not
    looked at; a model without populations answers for one. All populations see the same draws of z.

    The trunk runs once an observation, a shared decoder once a draw, a private decoder once a draw of its own t. SeqVAE
    proposes from the posterior that a pass without noise ends with: any density may propose, and this one needs no pass
    a draw (the noise of earlier steps would be an auxiliary variable, which keeps the weights unbiased as well). A
    model of another kind is called once a population and draw.

    Args:
        model: one that defines a density, in evaluation mode.
        batch: observations, on the model's device.
        samples: draws an observation.
        generator: of the draws, on the same device. Draws follow each other observation by observation, so they depend
            neither on `memory` nor on how observations are split into batches.
        widen: what the posterior's deviations are multiplied with before it proposes. Any proposal leaves the weights
            without bias; posteriors of a trained model are often too narrow, and a wider proposal then estimates
            better than many times the draws.
        memory: bytes of decoder outputs and densities at once; hidden layers of the decoders come on top.

    Returns:
        Nats, `[batch, population, sample]`, the latents' part computed in double precision.

    Raises:
        ValueError: the model defines no density or is in training mode, samples is below 1, or widen not above 0 (or
            not 1, for a model of another kind).
    """
    _check(model, samples, widen)
    if not isinstance(model, Known):
        return _by_calls(model, batch, samples, generator)
    proposal = _proposal(model, batch.x, widen)
    rows = max(1, memory // (_ARRAYS * math.prod(model.shape) * batch.x.element_size()))
    group = max(1, rows // samples)
    found = []
    for first in range(0, len(batch), group):
        part = slice(first, first + group)
        noise = proposal.noise(len(batch.x[part]), samples, generator)
        library = None if batch.library is None else batch.library[part]
        chunks = noise.split(rows, dim=1)
        weights = [_weights(model, Batch(batch.x[part], None, library), proposal.of(part), each) for each in chunks]
        found.append(torch.cat(weights, dim=2))
    return torch.cat(found)


@dataclass(frozen=True)
class _Proposal:
    """q(z | x) `[batch, latent]` and, where there are private heads, every q_k(t | x) `[batch, population, latent]`."""

    shared: Normal
    heads: Normal | None

    def wider(self, factor: float) -> "_Proposal":
        """With deviations `factor` times as large."""
        return self._map(lambda q: Normal(q.mean, q.log_variance + 2 * math.log(factor)))

    def of(self, part: slice) -> "_Proposal":
        """That of some of the observations."""
        return self._map(lambda q: Normal(q.mean[part], q.log_variance[part]))

    def noise(self, count: int, samples: int, generator: torch.Generator) -> Float[Tensor, "batch sample number"]:
        """Standard normal numbers for both blocks, one observation after the other."""
        like = self.shared.mean
        width = like.shape[1] + (0 if self.heads is None else self.heads.mean[0].numel())
        each = {"generator": generator, "device": like.device, "dtype": like.dtype}
        return torch.stack([torch.randn(samples, width, **each) for _ in range(count)])

    def draw(
        self, noise: Float[Tensor, "batch sample number"]
    ) -> tuple[list[Float[Tensor, "row _"]], Float64[Tensor, "batch population sample"]]:
        """z and every t_k, `[batch * sample, latent]`, and the latents' part of the log weights."""
        latents, weights = [], []
        for normal, numbers in zip(self._each(), noise.split(self._widths(), dim=2), strict=True):
            value = Normal(normal.mean[:, None], normal.log_variance[:, None]).sample(numbers)
            latents.append(value.flatten(0, 1))
            # log p - log q; numbers are (value - mean) / deviation, so that nothing cancels
            terms = numbers.double().square() + normal.log_variance[:, None].double() - value.double().square()
            weights.append(0.5 * terms.sum(2))
        shared, *private = weights
        return latents, torch.stack([shared + own for own in private] or [shared], dim=1)

    def _map(self, change: Callable[[Normal], Normal]) -> "_Proposal":
        return _Proposal(change(self.shared), None if self.heads is None else change(self.heads))

    def _each(self) -> list[Normal]:
        heads = self.heads
        if heads is None:
            return [self.shared]
        return [self.shared, *map(Normal, heads.mean.unbind(1), heads.log_variance.unbind(1))]

    def _widths(self) -> list[int]:
        return [normal.mean.shape[1] for normal in self._each()]


def _proposal(model: Known, x: Float[Tensor, "batch *shape"], widen: float) -> _Proposal:
    if isinstance(model, SequentialVAE):
        return _Proposal(model.posterior(x), None).wider(widen)
    found = _Proposal(*model.posteriors(x)).wider(widen)
    if isinstance(model, ContrastiveVAE) and found.heads is not None:
        # the background's is the exact posterior, the prior: any other would only make its weights uneven
        found.heads.log_variance[:, model.background_index] = 0
    return found


def _weights(
    model: Known, batch: Batch, proposal: _Proposal, noise: Float[Tensor, "batch sample number"]
) -> Float64[Tensor, "batch population sample"]:
    count, samples = noise.shape[:2]
    latents, weights = proposal.draw(noise)
    x = batch.x[:, None].expand(-1, samples, *batch.x.shape[1:]).flatten(0, 1)
    library = None if batch.library is None else batch.library.repeat_interleave(samples)
    # one population after the other, so that one population's outputs are there at once
    fits = [model.likelihood.log_prob(x, output, library).double() for output in _outputs(model, latents)]
    return weights + torch.stack([fit.view(count, samples) for fit in fits], dim=1)


def _outputs(model: Known, latents: list[Float[Tensor, "row _"]]) -> Iterator[Tensor]:
    """What the likelihood reads under each population in turn."""
    z, *private = latents
    if isinstance(model, SequentialVAE):
        yield model.decoder(z)
    elif isinstance(model, ContrastiveVAE):
        for k, s in enumerate(private):
            yield model.decode(z, s, torch.full((len(z),), k, device=z.device))
    else:
        shared = model.shared_decoder(z)
        for decoder, t in zip(model.private_decoders, private, strict=True):
            yield model.combine(shared, decoder(t))


def _by_calls(
    model: Model, batch: Batch, samples: int, generator: torch.Generator
) -> Float64[Tensor, "batch population sample"]:
    """From what every forward pass returns: one call a population and draw."""
    found = []
    for k in range(max(1, len(model.populations))):
        population = torch.full((len(batch),), k, device=batch.x.device) if model.populations else None
        same = Batch(batch.x, population, batch.library)
        found.append(torch.stack([_of_call(model, same, generator) for _ in range(samples)], dim=1))
    return torch.stack(found, dim=1)


def _of_call(model: Model, batch: Batch, generator: torch.Generator) -> Float64[Tensor, " batch"]:
    forward = model(batch, generator)
    weight = forward.log_likelihood.double()
    for name, normal in forward.posteriors.items():
        value = forward.samples[name]
        standard = Normal(torch.zeros_like(value), torch.zeros_like(value))
        weight = weight + standard.log_prob(value).double() - normal.log_prob(value).double()
    return weight


def _check(model: Model, samples: int, widen: float) -> None:
    if not model.defines_density:
        raise ValueError(
            f"expected a model that defines log p(x), got {type(model).__name__} with a skip from x to its output, "
            "which defines none; report its reconstruction instead"
        )
    if model.training:
        raise ValueError("expected a model in evaluation mode, got one in training mode; call model.eval() first")
    if samples < 1:
        raise ValueError(f"expected at least 1 sample, got {samples}")
    if not widen > 0 or (widen != 1 and not isinstance(model, Known)):
        raise ValueError(f"expected widen above 0, and 1 for a {type(model).__name__}, got {widen}")
