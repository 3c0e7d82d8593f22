"""Importance weights from proposals that were improved for every single observation."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from unbraid.models._proposals import Known, proposal_of
from unbraid.models.contract import Model
from unbraid.models.contrastive import ContrastiveVAE
from unbraid.models.evidence import MEMORY, check, computing, rows_within
from unbraid.models.population import known_population
from unbraid.models.sequential import SequentialVAE
from unbraid.settings import Computation
from unbraid.types import Batch, Normal

RATE = 0.1  # of Adam at the first update; falls to 0 as half a cosine
COMPARED = 16  # draws by which the improved proposal and the posterior are compared


def refined_log_weights(
    model: Model,
    batch: Batch,
    samples: int,
    generator: torch.Generator,
    steps: int,
    own: bool = True,
    widen: float = 1.0,
    memory: int = MEMORY,
    computation: Computation | None = None,
) -> Float64[Tensor, "batch population sample"]:
    """The log weights of `log_weights`, from proposals that are fitted to each observation and population.

    An encoder answers for all observations at once, and under some objectives for none: a private code that costs
    nothing on its own population (mutual information) leaves the true posterior far behind, and then hardly a draw
    counts. Here mean and log-variance of q(z | x) and q_k(t | x) start where the encoder puts them and climb the
    evidence lower bound of the single observation by Adam. Model and encoder stay as they are. Whichever of both
    proposals has the better bound, by draws of its own, proposes; any proposal leaves the weights without bias, and a
    better one usually makes the downward bias of the logarithm smaller. A gain is a gap that the encoder had left, not
    one of the model.
    Source: Kim et al. 2018 (semi-amortised variational autoencoders), algorithm 1, there for training; Cremer et al.
    2018 (inference suboptimality), section 3, for measuring what the encoder loses.

    Args:
        model: one that defines a density and is a CPVAE, a contrastive VAE, or a VAE; in evaluation mode.
        batch: observations, on the model's device; with their populations, if `own`.
        samples: draws an observation and population.
        generator: of the draws, on the same device. They depend on `memory` and on how observations are split into
            batches.
        steps: updates of each proposal, each a pass through the decoders and back; hundreds.
        own: only under each observation's own population; else under every one, at as many times the price.
        widen: what the deviations are multiplied with before they propose, after they were improved.
        memory: bytes of decoder outputs and densities at once; hidden layers, and what the way back needs, come on top.
        computation: how networks compute; None leaves them as they are.

    Returns:
        Nats, `[batch, 1, sample]` if `own`, else `[batch, population, sample]`. Populations share no draws.

    Raises:
        ValueError: as for `log_weights`; the model is of another kind, there is no update to make, a population is
            missing or unknown, or it is called under `torch.inference_mode`.
    """
    check(model, samples, widen)
    if not isinstance(model, Known):
        raise ValueError(
            "expected a CPVAE, a contrastive VAE or a VAE, whose posteriors can be improved, got "
            f"{type(model).__name__}"
        )
    if steps < 1:
        raise ValueError(f"expected at least 1 step, got {steps}; log_weights draws from the posteriors as they are")
    if torch.is_inference_mode_enabled():
        raise ValueError("expected gradients to be possible, got torch.inference_mode; use torch.no_grad() instead")
    populations = 1 if own else max(1, len(model.populations))
    with torch.no_grad(), computing(model, computation, batch.x.device):
        rows = _rows(model, batch, own)
        started = _started(model, batch, rows, populations)
        size = rows_within(memory, model, batch.x)
        found = []
        for start in range(0, len(rows), size):
            part = slice(start, start + size)
            few, first = rows.map(lambda each, part=part: each[part]), started.of(part)
            better = _climbed(model, few, first, steps, generator)
            bounds = [_bound(model, few, each, generator) for each in (first, better)]
            chosen = better.where(bounds[1] > bounds[0], first).wider(widen)
            chosen = _with_exact_background(model, few, chosen)
            at_once = max(1, size // len(few))
            drawn = [min(at_once, samples - done) for done in range(0, samples, at_once)]
            found.append(torch.cat([_weights(model, few, chosen, count, generator) for count in drawn], dim=1))
        return torch.cat(found).unflatten(0, (len(batch), populations))


@dataclass(frozen=True)
class _Proposals:
    """One proposal a row: of z, and of t where there is one."""

    blocks: tuple[Normal, ...]

    def where(self, condition: Tensor, other: "_Proposals") -> "_Proposals":
        """These where the condition holds, else the other ones."""
        return _Proposals(
            tuple(
                Normal(
                    torch.where(condition[:, None], a.mean, b.mean),
                    torch.where(condition[:, None], a.log_variance, b.log_variance),
                )
                for a, b in zip(self.blocks, other.blocks, strict=True)
            )
        )

    def of(self, part: slice) -> "_Proposals":
        """Those of some rows."""
        return _Proposals(tuple(Normal(q.mean[part], q.log_variance[part]) for q in self.blocks))

    def wider(self, factor: float) -> "_Proposals":
        """With deviations `factor` times as large."""
        return _Proposals(tuple(Normal(q.mean, q.log_variance + 2 * math.log(factor)) for q in self.blocks))

    def leaves(self) -> list[Tensor]:
        """What can be improved."""
        return [part for q in self.blocks for part in (q.mean, q.log_variance)]


def _rows(model: Known, batch: Batch, own: bool) -> Batch:
    """Each observation under the populations that are asked for."""
    if not model.populations:
        return Batch(batch.x, None, batch.library)
    if own:
        return Batch(batch.x, known_population(batch, model.populations), batch.library)
    count = len(model.populations)
    many = Batch(batch.x, None, batch.library).map(lambda part: part.repeat_interleave(count, dim=0))
    return Batch(many.x, torch.arange(count, device=batch.x.device).repeat(len(batch)), many.library)


def _started(model: Known, batch: Batch, rows: Batch, populations: int) -> _Proposals:
    found = proposal_of(model, batch.x, 1.0)
    shared = _each(found.shared, populations)
    if found.heads is None:
        return _Proposals((shared,))
    assert rows.population is not None
    at = torch.arange(len(batch), device=batch.x.device).repeat_interleave(populations)
    heads = found.heads
    return _Proposals((shared, Normal(heads.mean[at, rows.population], heads.log_variance[at, rows.population])))


def _climbed(model: Known, rows: Batch, first: _Proposals, steps: int, generator: torch.Generator) -> _Proposals:
    leaves = [leaf.detach().clone().requires_grad_() for leaf in first.leaves()]
    moving = _Proposals(tuple(Normal(*pair) for pair in zip(leaves[::2], leaves[1::2], strict=True)))
    optimizer = torch.optim.Adam(leaves, lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        with torch.enable_grad():
            latents = [q.sample(_noise(q, generator)) for q in moving.blocks]
            kl = sum(q.kl().sum() for q in moving.blocks)
            loss = kl - _fit(model, rows, latents).sum()
        # of the proposals alone: gradients of weights would be computed in vain, and kept
        for leaf, gradient in zip(leaves, torch.autograd.grad(loss, leaves, allow_unused=True), strict=True):
            leaf.grad = torch.zeros_like(leaf) if gradient is None else gradient
        optimizer.step()
        schedule.step()
    return _Proposals(tuple(Normal(q.mean.detach(), q.log_variance.detach()) for q in moving.blocks))


def _with_exact_background(model: Known, rows: Batch, proposals: _Proposals) -> _Proposals:
    """The background of a contrastive model proposes its salient part from the prior, which is its exact posterior."""
    if not isinstance(model, ContrastiveVAE):
        return proposals
    assert rows.population is not None
    shared, private = proposals.blocks
    background = (rows.population == model.background_index)[:, None]
    exact = Normal(private.mean.masked_fill(background, 0), private.log_variance.masked_fill(background, 0))
    return _Proposals((shared, exact))


def _bound(model: Known, rows: Batch, proposals: _Proposals, generator: torch.Generator) -> Float64[Tensor, " row"]:
    """Evidence lower bound of each row; that of a proposal that left the finite numbers is the worst."""
    weights = torch.cat([_weights(model, rows, proposals, 1, generator) for _ in range(COMPARED)], dim=1).mean(1)
    return weights.nan_to_num(-math.inf, neginf=-math.inf)


def _weights(
    model: Known, rows: Batch, proposals: _Proposals, samples: int, generator: torch.Generator
) -> Float64[Tensor, "row sample"]:
    many = rows.map(lambda part: part.repeat_interleave(samples, dim=0))
    latents, total = [], torch.zeros(len(many), dtype=torch.float64, device=rows.x.device)
    for q in proposals.blocks:
        each = _each(q, samples)
        noise = _noise(each, generator)
        value = each.sample(noise)
        terms = noise.double().square() + each.log_variance.double() - value.double().square()
        latents, total = [*latents, value], total + 0.5 * terms.sum(1)
    return (total + _fit(model, many, latents).double()).unflatten(0, (len(rows), samples))


def _each(normal: Normal, times: int) -> Normal:
    """Every row as many times, one after the other."""
    return Normal(*(part.repeat_interleave(times, dim=0) for part in (normal.mean, normal.log_variance)))


def _noise(normal: Normal, generator: torch.Generator) -> Float[Tensor, "row latent"]:
    like = normal.mean
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)


def _fit(model: Known, rows: Batch, latents: list[Tensor]) -> Float[Tensor, " row"]:
    """log p(x | latents) of each row under its population."""
    return model.likelihood.log_prob(rows.x, _output(model, latents, rows.population), rows.library)


def _output(model: Known, latents: list[Tensor], population: Int[Tensor, " row"] | None) -> Tensor:
    z, *private = latents
    if isinstance(model, SequentialVAE):
        return model.decoder(z)
    assert population is not None
    if isinstance(model, ContrastiveVAE):
        return model.decode(z, private[0], population)
    return model.combine(model.shared_decoder(z), model.decode_private(private[0], population))
