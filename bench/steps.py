"""Time one training step of each model and one batch of data: median and spread, as a table and build/bench.json."""

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from unbraid.data import Data, GrassyDigits, Sprites
from unbraid.likelihoods import Bernoulli, Gaussian
from unbraid.models import CPVAE, Model, SequentialVAE
from unbraid.nets import ConvDecoder, ConvTrunk, NormTrunk, SkipDecoder
from unbraid.objectives import ELBO, CrossPopulation, Objective
from unbraid.randomness import seeded
from unbraid.types import Progress

BATCH, WARM_UP = 64, 2
SECONDS, LEAST, MOST = 5.0, 5, 100  # a case is repeated for this long, but never less or more often
OUT = Path("build/bench.json")


def main() -> None:
    """Measure everything, one after the other."""
    sprites, digits = Sprites(64), GrassyDigits("train", 1000)
    cases = {
        "batch of sprites, 64 x 64": batch(sprites),
        "batch of grassy digits, 28 x 28": batch(digits),
        "VAE, 10 latents, sprites": step(sequential(sequential=False, skip=False), ELBO(), sprites),
        "SR-VAE, 10 latents, sprites": step(sequential(sequential=True, skip=True), ELBO(), sprites),
        "CPVAE, 100 + 25 latents, grassy digits": step(population(digits), CrossPopulation(), digits),
    }
    rows = [{"name": name, **measure(call)} for name, call in cases.items()]
    machine = {"torch": torch.__version__, "threads": torch.get_num_threads(), "machine": platform.machine()}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({**machine, "batch": BATCH, "unit": "ms", "rows": rows}, indent=1))
    table = Table(
        f"batch of {BATCH}, {machine['threads']} threads", "median, ms", "10 % to 90 %, ms", "repeats", box=None
    )
    for row in rows:
        table.add_row(
            row["name"], f"{row['median']:.2f}", f"{row['low']:.2f} to {row['high']:.2f}", str(row["repeats"])
        )
    Console().print(table)
    Console().print(str(OUT))


def measure(call: Callable[[], object]) -> dict[str, float]:
    """Median, 10th and 90th percentile of the time of a call, in milliseconds."""
    for _ in range(WARM_UP):
        call()
    times = []
    while len(times) < LEAST or (sum(times) < 1000 * SECONDS and len(times) < MOST):
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    low, median, high = np.percentile(times, (10, 50, 90)).tolist()
    return {"median": median, "low": low, "high": high, "repeats": len(times)}


def batch(data: Data) -> Callable[[], object]:
    """Reading one random batch."""
    generator = np.random.default_rng(0)
    return lambda: data.batch(generator.integers(0, len(data), BATCH))


def step(model: Model, objective: Objective, data: Data) -> Callable[[], object]:
    """One update with Adam on a batch that is there already."""
    given = data.batch(np.arange(0, len(data), len(data) // BATCH)[:BATCH])
    optimizer, generator = torch.optim.Adam(model.parameters(), lr=1e-4), torch.Generator().manual_seed(0)

    def update() -> None:
        optimizer.zero_grad()
        objective(model(given, generator), given, Progress()).loss.backward()
        optimizer.step()

    return update


def sequential(sequential: bool, skip: bool) -> Model:
    """The network of the first paper (table 1)."""
    with seeded(0):
        return SequentialVAE(ConvTrunk(1), ConvDecoder(10, 1), Bernoulli(), sequential, skip)


def population(data: Data) -> Model:
    """The sizes of the second paper's denoising experiment."""
    with seeded(0):
        private = [SkipDecoder(25, data.shape) for _ in data.populations]
        shared, likelihood = SkipDecoder(100, data.shape), Gaussian(0.02, learned=True)
        return CPVAE(NormTrunk(data.shape), shared, private, likelihood, data.populations)


if __name__ == "__main__":
    main()
