"""CPVAE's costs: evidence of images under ten populations, and a step against the number of populations.

Evidence: milliseconds an image, K = 10, M = 100 draws, 28 x 28 images, against one call a population and draw. "before"
decodes 670 rows at once, plainly, as the code did before chunks were chosen by the caches; "plain" has today's chunks,
all others also the best kernels that there are. Pairs are 32 x 32 draws.
Steps: forward, backward and Adam, in float32 and plain kernels, against a VAE with as many latents and one decoder.
"""

from collections.abc import Callable
from typing import cast

import torch
from harness import Effort, Entry, compared, flops, interleaved, local, part, peaks, products, rates
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from unbraid.likelihoods import Gaussian
from unbraid.models import CPVAE, Model, SequentialVAE, log_weights, paired_log_weights
from unbraid.models.evidence import _by_calls
from unbraid.nets import NormTrunk, SkipDecoder
from unbraid.objectives import ELBO, CrossPopulation, Objective
from unbraid.randomness import seeded
from unbraid.settings import WAYS, Computation, Kernels, Precision
from unbraid.types import Batch, Normal, Progress

SHARED, PRIVATE, POPULATIONS = 2, 5, 10  # the second paper's MNIST
SAMPLES, PAIRED, BEFORE, BATCH = 100, 32, 2**23, 32
COUNTS, BATCHES = (2, 5, 10, 20), (60, 640)

Call = Callable[[], object]


def main() -> None:
    """Measure and write `bench-evidence.json`."""
    part("evidence", __doc__, lambda effort: [*evidence(effort), *steps(effort), *private_decoders(effort)])


def cpvae(populations: int) -> CPVAE:
    """The networks of the second paper."""
    with seeded(0):
        own = [SkipDecoder(PRIVATE) for _ in range(populations)]
        names = [str(k) for k in range(populations)]
        return CPVAE(NormTrunk(), SkipDecoder(SHARED), own, Gaussian(0.02, learned=True), names)


def vae() -> Model:
    """The same networks with one decoder."""
    with seeded(0):
        return SequentialVAE(NormTrunk(), SkipDecoder(SHARED + PRIVATE), Gaussian(0.02, learned=True), False, False)


def images(count: int, populations: int = 1) -> Batch:
    """Noise, which costs as much as digits."""
    of = torch.arange(count) * populations // count
    return Batch(torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0)), of)


def evidence(effort: Effort) -> list[Entry]:
    """Every way to the evidence, against one call a population and draw."""
    model, generator = cpvae(POPULATIONS).eval(), torch.Generator().manual_seed(0)
    many, few, least = images(BATCH), images(8), images(1 if effort.quick else 2)

    def drawn(precision: Precision, kernels: Kernels = WAYS[0]) -> Call:
        return lambda: log_weights(model, few, SAMPLES, generator, computation=Computation(kernels, precision))

    def pairs(precision: Precision) -> Call:
        computation = Computation(WAYS[0], precision)
        return lambda: paired_log_weights(model, few, PAIRED, PAIRED, generator, computation=computation)

    @torch.no_grad()
    def calls() -> object:
        return _by_calls(model, many, 1, generator)

    # each with the images and draws that one call is of, in units of one image with all its draws
    ways: dict[str, tuple[Call, float]] = {
        "calls": (calls, BATCH / SAMPLES),
        "before": (lambda: log_weights(model, least, SAMPLES, generator, memory=BEFORE), len(least)),
        "plain float32": (drawn("float32", "plain"), len(few)),
        "float32": (drawn("float32"), len(few)),
        "bfloat16": (drawn("bfloat16"), len(few)),
        "pairs float32": (pairs("float32"), len(few)),
        "pairs bfloat16": (pairs("bfloat16"), len(few)),
    }
    times = interleaved({name: local(call) for name, (call, _) in ways.items()} | products(), effort)
    scaled = {name: [each / size for each in times[name]] for name, (_, size) in ways.items()}
    found, peak = [], peaks(times)
    for name in list(ways)[1:]:
        # counted on the plain kernels, which PyTorch knows
        operations = flops(plain_of(model, least, name)) / len(least)
        median = sorted(scaled[name])[len(scaled[name]) // 2]
        rate = rates(operations, median, peak["bfloat16" if "bfloat16" in name else "float32"])
        for against in ("calls", "before") if name != "before" else ("calls",):
            title = f"evidence_{name.replace(' ', '_')}_vs_{against}"
            told = {"calls": "one call a population and draw", "before": "670 rows at once, plain kernels"}[against]
            known = {"threads": effort.threads, "populations": POPULATIONS, "ten_thousand_s": 10 * median}
            found.append(compared(title, scaled[name], told, scaled[against], **rate, **known))
    return found


def plain_of(model: Model, batch: Batch, name: str) -> Call:
    """The same operations in plain kernels."""
    generator = torch.Generator().manual_seed(0)
    if name.startswith("pairs"):
        return lambda: paired_log_weights(model, batch, PAIRED, PAIRED, generator)
    return lambda: log_weights(model, batch, SAMPLES, generator)


def steps(effort: Effort) -> list[Entry]:
    """A step against the number of populations, and against the literal algorithm, which encodes K^2 times."""
    found = []
    for count in BATCHES[:1] if effort.quick else BATCHES:
        cases = {str(k): step(cpvae(k), CrossPopulation(), images(count, k)) for k in COUNTS}
        cases["VAE"] = step(vae(), ELBO(), images(count))
        if count == BATCHES[0]:
            cases["literal"] = literal(cpvae(POPULATIONS), images(count, POPULATIONS))
        times = interleaved({name: local(call) for name, call in cases.items()} | products(), effort)
        operations, peak = {name: flops(call) for name, call in cases.items()}, peaks(times)["float32"]
        for name, against in [(str(k), "VAE") for k in COUNTS] + [(str(POPULATIONS), "literal")] * ("literal" in cases):
            median = sorted(times[name])[len(times[name]) // 2]
            known = {**rates(operations[name], median, peak), "against_flops": operations[against], "batch": count}
            told = {"VAE": "VAE, one decoder", "literal": "an encoding for each pair of populations"}[against]
            title = f"cpvae_step_{name}_populations_batch_{count}_vs_{against.lower()}"
            found.append(compared(title, times[name], told, times[against], **known, threads=effort.threads))
    return found


def step(model: Model, objective: Objective, batch: Batch) -> Call:
    """One update of a plain loop."""
    optimizer, generator = torch.optim.Adam(model.parameters(), 1e-4, fused=True), torch.Generator().manual_seed(0)

    def update() -> None:
        optimizer.zero_grad()
        objective(model(batch, generator), batch, Progress()).loss.backward()
        optimizer.step()

    return update


def literal(model: CPVAE, batch: Batch) -> Call:
    """The objective as the paper's algorithm 1 reads: every population encoded for every population's head."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, fused=True)
    assert batch.population is not None
    groups = [batch.x[batch.population == k] for k in range(len(model.populations))]

    def update() -> None:
        optimizer.zero_grad()
        loss = torch.zeros(())
        for k, (decoder, x) in enumerate(zip(model.private_decoders, groups, strict=True)):
            z, own = encoded(model, x, k)
            output = model.shared_decoder(noisy(z)) + decoder(noisy(own))
            loss = loss - model.likelihood.log_prob(x, output).sum() + z.kl().sum()
            for j, other in enumerate(groups):
                if j != k:
                    loss = loss + encoded(model, other, k)[1].kl().sum() / (len(groups) - 1)
        (loss / len(batch)).backward()
        optimizer.step()

    return update


def encoded(model: CPVAE, x: Tensor, k: int) -> tuple[Normal, Normal]:
    """Both posteriors of observations under one head."""
    shared, heads = model.posteriors(x)
    return shared, Normal(heads.mean[:, k], heads.log_variance[:, k])


def noisy(q: Normal) -> Tensor:
    """A draw."""
    return q.sample(torch.randn_like(q.mean))


def private_decoders(effort: Effort) -> list[Entry]:
    """Private decoders one after the other, as they are, against all of them in one grouped convolution."""
    found = []
    for count in BATCHES[:1] if effort.quick else BATCHES:
        own = [decoder.train() for decoder in cpvae(POPULATIONS).private_decoders]
        t = torch.randn(POPULATIONS, count // POPULATIONS, PRIVATE, generator=torch.Generator().manual_seed(0))
        looped = both_ways(lambda own=own, t=t: torch.cat([f(each) for f, each in zip(own, t, strict=True)]))
        together = both_ways(lambda own=own, t=t: grouped(own, t))  # type: ignore[arg-type]
        torch.testing.assert_close(together(), looped(), rtol=1e-4, atol=1e-4)
        times = interleaved({"one by one": local(looped), "grouped": local(together)}, effort)
        title, against = f"private_decoders_batch_{count}_vs_grouped", "one grouped convolution"
        found.append(compared(title, times["one by one"], against, times["grouped"], threads=effort.threads))
    return found


def both_ways(call: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Forward and backward."""

    def run() -> Tensor:
        output = call()
        output.square().sum().backward()
        return output

    return run


def grouped(decoders: list[SkipDecoder], t: Tensor) -> Tensor:
    """What decoders of two layers make of their own rows `[population, row, latent]`, in grouped convolutions."""
    count = len(decoders)
    first, skip = (torch.stack(weights(decoders, layer)) for layer in (lambda f: f.first[0], lambda f: f.skips[0]))
    start = torch.bmm(t, first.mT).unflatten(2, (-1, 7, 7)).transpose(0, 1).flatten(1, 2)
    h = normed(start, decoders, 0).relu()
    up, last = (torch.cat(weights(decoders, layer)) for layer in (lambda f: f.ups[0], lambda f: f.last))
    bias = torch.bmm(t, skip.mT).transpose(0, 1).flatten(1)[:, :, None, None]
    h = normed(F.conv_transpose2d(h, up, stride=2, padding=1, groups=count) + bias, decoders, 1).relu()
    ends = torch.cat([f.last.bias for f in decoders])  # type: ignore[list-item]
    output = F.conv_transpose2d(h, last, ends, stride=2, padding=1, groups=count)
    return output.transpose(0, 1).flatten(0, 1)[:, None]


def weights(decoders: list[SkipDecoder], layer: Callable[[SkipDecoder], object]) -> list[Tensor]:
    """The weight of one layer of each."""
    return [cast(nn.Linear, layer(f)).weight for f in decoders]


def normed(h: Tensor, decoders: list[SkipDecoder], layer: int) -> Tensor:
    """Batch norm of every decoder over its own rows."""
    weight, bias = (torch.cat([getattr(f.norms[layer], name) for f in decoders]) for name in ("weight", "bias"))
    return F.batch_norm(h, None, None, weight, bias, training=True)


if __name__ == "__main__":
    main()
