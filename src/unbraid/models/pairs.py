"""Importance weights of all pairs of shared and private draws, at the price of decoding each draw once."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from unbraid.likelihoods import Gaussian, IgnoreMissing, Likelihood
from unbraid.models._proposals import Sampled, proposal_of
from unbraid.models.combination import Add
from unbraid.models.contract import Model
from unbraid.models.evidence import MEMORY, check, computing, rows_within
from unbraid.models.population import CPVAE
from unbraid.settings import Computation
from unbraid.types import LOG_2PI, Batch


def pairs_apply(model: Model) -> bool:
    """Whether `paired_log_weights` knows the model: a CPVAE that adds its parts, with a Gaussian of their plain sum."""
    return isinstance(model, CPVAE) and type(model.combine) is Add and _gaussian(model.likelihood) is not None


@torch.no_grad()
def paired_log_weights(
    model: Model,
    batch: Batch,
    shared: int,
    private: int,
    generator: torch.Generator,
    widen: float = 1.0,
    memory: int = MEMORY,
    computation: Computation | None = None,
) -> Float64[Tensor, "batch population shared private"]:
    """The log weights of `log_weights` for every pair of draws z_i and t_kj, `shared` x `private` of them.

    Each pair is a draw from `q(z | x) q_k(t_k | x)`, so the mean of all weights estimates `p(x | k)` without bias as
    well; pairs with a draw in common depend on each other (`unbraid.metrics.PairedWeights` takes that into its error).
    Squared distances of all pairs come from one matrix product an observation and population,
    `|r_i - p_j|^2 = |r_i|^2 + |p_j|^2 - 2 r_i . p_j` with r_i = x - f_s(z_i) and p_j = f_k(t_kj), in double precision,
    in which nothing is lost by cancellation. Missing coordinates (`IgnoreMissing`) are set to 0 in both.

    Args:
        model: a CPVAE in evaluation mode that `pairs_apply` to.
        batch: observations, on the model's device.
        shared: draws of z an observation, the same for all populations.
        private: draws of t_k an observation and population.
        generator: of the draws, on the same device; they depend neither on `memory` nor on the batches.
        widen: what the posterior's deviations are multiplied with before it proposes.
        memory: bytes of decoder outputs at once, but for those of one observation's draws, which are there together.
        computation: how networks compute; None leaves them as they are.

    Returns:
        Nats, `[batch, population, shared, private]`.

    Raises:
        ValueError: pairs do not apply to the model, it is in training mode, there are fewer than two draws of either
            block, or widen is not above 0.
    """
    check(model, min(shared, private), widen)
    if not isinstance(model, CPVAE) or not pairs_apply(model):
        raise ValueError(
            f"expected a CPVAE with Add and a Gaussian likelihood that is not squashed, got {type(model).__name__} "
            f"with {model.likelihood!r}; use log_weights, which takes one private draw with each shared one"
        )
    if min(shared, private) < 2:
        raise ValueError(f"expected at least 2 draws of each block, got {shared} shared and {private} private")
    rows = rows_within(memory, model, batch.x)
    group = max(1, rows // max(shared, private))
    found = []
    with computing(model, computation, batch.x.device):
        proposal = proposal_of(model, batch.x, widen)
        for first in range(0, len(batch), group):
            own = proposal.of(slice(first, first + group))
            drawn = own.draw(own.noise(shared, private, generator=generator))
            found.append(_pairs(model, batch.x[first : first + group], drawn, rows))
    return torch.cat(found)


def _pairs(
    model: CPVAE, x: Float[Tensor, "batch *shape"], drawn: list[Sampled], rows: int
) -> Float64[Tensor, "batch population shared private"]:
    gaussian = _gaussian(model.likelihood)
    assert gaussian is not None
    z, *private = drawn
    there = (~x.isnan()).flatten(1)[:, None].double() if model.likelihood.missing else None
    target = (x.nan_to_num() if model.likelihood.missing else x).flatten(1)[:, None]
    rest = _kept(target.double() - _decoded(model.shared_decoder, z, rows), there)
    squares = rest.square().sum(2)[:, :, None]
    variance = gaussian.current_variance().double()
    count = x[0].numel() if there is None else there.sum((1, 2))[:, None, None]
    constant = -0.5 * count * (LOG_2PI + variance.log())
    weights = []
    for decoder, t in zip(model.private_decoders, private, strict=True):
        part = _kept(_decoded(decoder, t, rows), there)
        distances = torch.baddbmm(squares + part.square().sum(2)[:, None], rest, part.mT, alpha=-2)
        weights.append(z.log_weights[:, :, None] + t.log_weights[:, None] - 0.5 * distances / variance + constant)
    return torch.stack(weights, dim=1)


def _decoded(decoder: nn.Module, drawn: Sampled, rows: int) -> Float[Tensor, "batch sample coordinate"]:
    parts = [decoder(part).flatten(1) for part in drawn.latents.flatten(0, 1).split(rows)]
    return torch.cat(parts).unflatten(0, drawn.latents.shape[:2])


def _kept(
    values: Float[Tensor, "batch sample coordinate"], there: Float64[Tensor, "batch one coordinate"] | None
) -> Float64[Tensor, "batch sample coordinate"]:
    return values.double() if there is None else values.double() * there


def _gaussian(likelihood: Likelihood) -> Gaussian | None:
    """The Gaussian whose mean is the output itself, if it is one."""
    inner = likelihood.inner if isinstance(likelihood, IgnoreMissing) else likelihood
    return inner if isinstance(inner, Gaussian) and not inner.squash else None
