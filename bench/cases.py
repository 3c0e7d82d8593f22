"""What is trained in the benchmarks: models, data, and their steps, as `train` makes them and as a plain loop does."""

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from unbraid.data import ByClass, Data, GrassyDigits, Sprites
from unbraid.likelihoods import Bernoulli, Gaussian
from unbraid.models import CPVAE, Model, SequentialVAE
from unbraid.nets import ConvDecoder, ConvTrunk, NormTrunk, SkipDecoder, compute_as
from unbraid.objectives import ELBO, FactorVAE, Objective
from unbraid.objectives.factor import permuted
from unbraid.randomness import seeded
from unbraid.settings import WAYS, Precision, Training
from unbraid.training.loop import Loop
from unbraid.types import Progress

BATCH = 64
WIDTHS = {64: (32, 32, 64, 64), 32: (32, 64, 64), 16: (64, 64)}  # the paper's, less the first layers for smaller images
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
GAMMA, RATE = 35.0, 1e-4

Step = Callable[[], object]


def residual(latents: int = 10, channels: int = 1, side: int = 64, passes: bool = True) -> Model:
    """SR-VAE with the networks of the first paper (table 1), or a VAE with the same (`passes` off)."""
    with seeded(0):
        trunk, decoder = ConvTrunk(channels, WIDTHS[side]), ConvDecoder(latents, channels, WIDTHS[side])
        return SequentialVAE(trunk, decoder, Bernoulli(), sequential=passes, skip=passes)


def vae() -> Model:
    """A VAE with the networks of the first paper."""
    return residual(passes=False)


def population(data: Data, shared: int = 100, private: int = 25) -> Model:
    """CPVAE at the sizes of the second paper's denoising experiment."""
    with seeded(0):
        decoders = [SkipDecoder(private, data.shape) for _ in data.populations]
        likelihood = Gaussian(0.02, learned=True)
        return CPVAE(NormTrunk(data.shape), SkipDecoder(shared, data.shape), decoders, likelihood, data.populations)


def digits(populations: int) -> Data:
    """Grassy digits in so many populations."""
    groups = np.array_split(np.arange(10), populations)
    return ByClass(GrassyDigits("train", 1000), {str(k): list(map(str, group)) for k, group in enumerate(groups)})


def sprites(side: int = 64) -> Data:
    """The sprites, drawn on request."""
    assert side in WIDTHS
    return Sprites(side)  # type: ignore[arg-type]


def loop(model: Model, objective: Objective, data: Data, training: Training) -> Loop:
    """A training run just before its first update, as `train` has it."""
    ready = Loop(model, objective, data, None, replace(training, device="cpu"))
    ready.model.train()
    compute_as(ready.model, ready.computation, ready.device)
    return ready


def updating(ready: Loop) -> Step:
    """One update as `train` makes it: the batch is read, terms are kept, and checked as often as they would be."""

    def step() -> None:
        ready.update()
        if ready.step % ready.training.log_every == 0:
            ready.checked_window()
            ready.window.clear()

    return step


def chosen(make: Callable[[], Model], objective: Callable[[], Objective], data: Data) -> dict[str, Loop]:
    """A run for each precision, in the way that "auto" takes; the first is exact."""
    runs = [loop(make(), objective(), data, Training(batch_size=BATCH, precision=each)) for each in PRECISIONS]
    return {described(run): run for run in runs}


def ways(make: Callable[[], Model], objective: Callable[[], Objective], data: Data) -> dict[str, Loop]:
    """A run for each precision and way that this machine knows; the first is what "auto" takes, and exact."""
    found = chosen(make, objective, data)
    for precision in PRECISIONS:
        for way in WAYS:
            try:
                training = Training(batch_size=BATCH, kernels=way, precision=precision)
                run = loop(make(), objective(), data, training)
            except ValueError:
                continue  # not on this machine
            found.setdefault(described(run), run)
    return found


def described(run: Loop) -> str:
    """Way and precision."""
    return f"{run.computation.kernels} {run.computation.precision}"


def plain_step(model: Model, objective: Objective, data: Data, batch: int = BATCH) -> Step:
    """One update of a plain eager loop in float32, on a batch that is there already."""
    given = data.batch(np.arange(0, len(data), len(data) // batch)[:batch])
    optimizer, generator = torch.optim.Adam(model.parameters(), RATE), torch.Generator().manual_seed(0)

    def step() -> None:
        optimizer.zero_grad()
        objective(model(given, generator), given, Progress()).loss.backward()
        optimizer.step()

    return step


def plain_factor_step(model: Model, data: Data) -> Step:
    """The same of FactorVAE: algorithm 2 of its paper, and nothing that spares gradients."""
    given, second = (data.batch(np.arange(start, len(data), len(data) // BATCH)[:BATCH]) for start in (0, 1))
    objective, generator = FactorVAE(GAMMA), torch.Generator().manual_seed(0)
    objective.prepare(model, torch.device("cpu"), 0)
    judge, truth = objective.network, torch.arange(2).repeat_interleave(BATCH)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    follower = torch.optim.Adam(judge.parameters(), RATE, betas=(0.5, 0.9))

    def step() -> None:
        forward = model(given, generator)
        z = forward.samples["z"]
        logits = judge(z)
        loss = ELBO()(forward, given, Progress()).loss + GAMMA * (logits[:, 0] - logits[:, 1]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        other = model.samples(second, generator)["z"]
        logits = judge(torch.cat([z, permuted(other, generator)]).detach())
        follower.zero_grad()
        F.cross_entropy(logits, truth).backward()
        follower.step()

    return step
