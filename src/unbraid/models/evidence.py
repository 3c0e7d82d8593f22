"""Importance weights, which log p(x) is estimated from, for every population at once."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from unbraid.models._proposals import Known, Proposal, Sampled, proposal_of
from unbraid.models.contract import Model
from unbraid.models.contrastive import ContrastiveVAE
from unbraid.models.sequential import SequentialVAE
from unbraid.nets.contract import Network, compute_as
from unbraid.settings import Computation
from unbraid.types import Batch, Normal

MEMORY = 2**21  # bytes: what fits the caches; four times as much made today's decoders slower
_ARRAYS = 4  # of the size of the decoder's output that are there at once: both parts, their combination, its density


@torch.no_grad()
def log_weights(
    model: Model,
    batch: Batch,
    samples: int,
    generator: torch.Generator,
    widen: float = 1.0,
    memory: int = MEMORY,
    computation: Computation | None = None,
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
        computation: how networks compute, as for training; None leaves them as they are. In bfloat16 decoders round
            their outputs, densities and weights do not.

    Returns:
        Nats, `[batch, population, sample]`, the latents' part computed in double precision.

    Raises:
        ValueError: the model defines no density or is in training mode, samples is below 1, or widen not above 0 (or
            not 1, for a model of another kind).
    """
    check(model, samples, widen)
    with computing(model, computation, batch.x.device):
        if not isinstance(model, Known):
            return _by_calls(model, batch, samples, generator)
        proposal = proposal_of(model, batch.x, widen)
        rows = rows_within(memory, model, batch.x)
        group = max(1, rows // samples)
        found = []
        for first in range(0, len(batch), group):
            part = slice(first, first + group)
            library = None if batch.library is None else batch.library[part]
            same, own = Batch(batch.x[part], None, library), proposal.of(part)
            (noise,) = own.noise(samples, generator=generator)
            weights = [_weights(model, same, own, each) for each in noise.split(rows, dim=1)]
            found.append(torch.cat(weights, dim=2))
        return torch.cat(found)


def rows_within(memory: int, model: Model, x: Float[Tensor, "batch *shape"]) -> int:
    """Rows that decoders are given at once."""
    return max(1, memory // (_ARRAYS * math.prod(model.shape) * x.element_size()))


@contextmanager
def computing(model: Model, computation: Computation | None, device: torch.device) -> Iterator[None]:
    """Have the networks compute in the given way inside the block, and as before after it."""
    before = [(part, part.computation) for part in model.modules() if isinstance(part, Network)]
    if computation is not None:
        compute_as(model, computation, device)
    try:
        yield
    finally:
        for part, way in before:
            part.computation = way


def _weights(
    model: Known, batch: Batch, proposal: Proposal, noise: Float[Tensor, "batch sample number"]
) -> Float64[Tensor, "batch population sample"]:
    count, samples = noise.shape[:2]
    drawn = proposal.draw([noise])
    x = batch.x[:, None].expand(-1, samples, *batch.x.shape[1:]).flatten(0, 1)
    library = None if batch.library is None else batch.library.repeat_interleave(samples)
    # one population after the other, so that one population's outputs are there at once
    fits = [model.likelihood.log_prob(x, output, library).double() for output in _outputs(model, drawn)]
    shared, *private = [each.log_weights for each in drawn]
    weights = [shared + own for own in private] or [shared]
    return torch.stack([fit.view(count, samples) + each for fit, each in zip(fits, weights, strict=True)], dim=1)


def _outputs(model: Known, drawn: list[Sampled]) -> Iterator[Tensor]:
    """What the likelihood reads under each population in turn."""
    z, *private = [each.latents.flatten(0, 1) for each in drawn]
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


def check(model: Model, samples: int, widen: float) -> None:
    """Refuse what has no importance weights."""
    if not model.defines_density:
        raise ValueError(
            f"expected a model that defines log p(x), got {type(model).__name__}, which defines none: its output is a "
            "function of x (by a skip, or as it names a class); report how well it fits instead"
        )
    if model.training:
        raise ValueError("expected a model in evaluation mode, got one in training mode; call model.eval() first")
    if samples < 1:
        raise ValueError(f"expected at least 1 sample, got {samples}")
    if not widen > 0 or (widen != 1 and not isinstance(model, Known)):
        raise ValueError(f"expected widen above 0, and 1 for a {type(model).__name__}, got {widen}")
