"""The FactorVAE metric by encoding a grid once, against encoding every vote: a table and build/bench-votes.json.

A small VAE of 64 x 64 sprites (the convolutional network of the first paper) is trained for some steps, so that its
latents are active. The reference encodes 64 images a vote, one vote at a time, and is timed on 200 votes and scaled to
the protocol's 15,000 unless --full is given; --full also encodes the whole grid, to compare its value with that of the
thinned grids. Processor seconds on one thread, which another process does not lengthen as it does time.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from rich.console import Console
from rich.table import Table

from unbraid.data import Sprites
from unbraid.likelihoods import Bernoulli
from unbraid.metrics import FACTOR_VAE_DLIB, factor_vae, grid_codes
from unbraid.models import SequentialVAE
from unbraid.nets import ConvDecoder, ConvTrunk
from unbraid.objectives import ELBO
from unbraid.randomness import seeded
from unbraid.recipes.judging_factors import thinned
from unbraid.types import Progress

OUT = Path("build/bench-votes.json")
LIMITS = (50_000, 25_000, 5_000)
TIMED = 200  # votes of the reference
SEEDS = 5
BATCH = 64  # images at once where a grid is encoded, as many as in a vote; 256 take 1.8 times as long each

Codes = Float[np.ndarray, "n latent"]
Factors = Int[np.ndarray, "n factor"]


def main() -> None:
    """Train, measure both ways, print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="time all votes, and encode the whole grid")
    parser.add_argument("--steps", type=int, default=300, help="of training, before anything is timed")
    given = parser.parse_args()
    torch.set_num_threads(1)
    sprites = Sprites()
    encode = encoder(trained(sprites, given.steps), sprites)
    reference = one_vote_at_a_time(
        encode, sprites, FACTOR_VAE_DLIB.train_votes + FACTOR_VAE_DLIB.test_votes if given.full else TIMED
    )
    limits = (len(sprites), *LIMITS) if given.full else LIMITS
    rows = [encoded_once(encode, sprites, limit, reference["seconds"]) for limit in limits]
    about = {"torch": torch.__version__, "threads": 1, "steps": given.steps, "protocol": FACTOR_VAE_DLIB.name}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({**about, "reference": reference, "rows": rows}, indent=1))
    scaled = "" if given.full else f", {reference['timed_votes']} votes timed and scaled"
    console = Console(width=140)
    console.print(
        f"FactorVAE metric, {about['protocol']}, VAE after {given.steps} steps; processor seconds, one thread. "
        f"Encoding every vote: {reference['seconds']:.0f} s{scaled}. Ratio: that over encoding a grid and the metric",
        highlight=False,
    )
    table = Table("cells", "grid", "encoding, s", "metric, s", "ratio", f"value, mean of {SEEDS} seeds", box=None)
    for row in rows:
        spread = f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        seconds = (f"{row[name]:.2f}" for name in ("encoding", "metric"))
        table.add_row(str(row["cells"]), str(row["grid"]), *seconds, f"{row['ratio']:.0f} x", spread)
    console.print(table)
    console.print(str(OUT))


def trained(sprites: Sprites, steps: int) -> SequentialVAE:
    """A VAE that has seen `steps` batches of 64."""
    with seeded(0):
        model = SequentialVAE(ConvTrunk(1), ConvDecoder(10, 1), Bernoulli(), sequential=False, skip=False)
    optimizer, order = torch.optim.Adam(model.parameters(), lr=1e-3), np.random.default_rng(0)
    noise, objective = torch.Generator().manual_seed(0), ELBO()
    for step in range(steps):
        batch = sprites.batch(order.integers(0, len(sprites), 64))
        optimizer.zero_grad()
        objective(model(batch, noise), batch, Progress(step)).loss.backward()
        optimizer.step()
    return model.eval()


def encoder(model: SequentialVAE, sprites: Sprites) -> Callable[[Factors], Codes]:
    """Factor values to posterior means."""

    def encode(factors: Factors) -> Codes:
        with torch.inference_mode():
            return model.encode(sprites.sample(factors))["z"].numpy()

    return encode


def one_vote_at_a_time(encode: Callable[[Factors], Codes], sprites: Sprites, votes: int) -> dict[str, float]:
    """Seconds that the votes and the sample for the global variance take where all their images are encoded."""
    rng, sizes = np.random.default_rng(0), np.array(sprites.factor_sizes)
    began = time.process_time()
    for _ in range(votes):
        fixed, factors = rng.integers(len(sizes)), rng.integers(sizes, size=(FACTOR_VAE_DLIB.batch, len(sizes)))
        factors[:, fixed] = factors[0, fixed]
        encode(factors).var(axis=0, ddof=1)
    each = (time.process_time() - began) / votes
    total = FACTOR_VAE_DLIB.train_votes + FACTOR_VAE_DLIB.test_votes + FACTOR_VAE_DLIB.samples / FACTOR_VAE_DLIB.batch
    return {"timed_votes": votes, "each": each, "seconds": each * total}


def encoded_once(
    encode: Callable[[Factors], Codes], sprites: Sprites, limit: int, reference: float
) -> dict[str, float | list[int]]:
    """The metric on a grid thinned to at most `limit` cells: seconds, ratio and value over some seeds."""
    values = thinned(sprites.factor_sizes, limit)
    sizes = [len(value) for value in values]
    grid = np.stack(np.meshgrid(*values, indexing="ij"), -1).reshape(-1, len(sizes))
    began = time.process_time()
    codes = np.concatenate([encode(grid[start : start + BATCH]) for start in range(0, len(grid), BATCH)])
    encoding = time.process_time() - began
    began = time.process_time()
    found = [factor_vae(grid_codes(codes, sizes), FACTOR_VAE_DLIB, seed).value for seed in range(SEEDS)]
    metric = (time.process_time() - began) / SEEDS
    return {
        "cells": len(grid),
        "grid": sizes,
        "encoding": encoding,
        "metric": metric,
        "ratio": reference / (encoding + metric),
        "value": float(np.mean(found)),
        "low": min(found),
        "high": max(found),
    }


if __name__ == "__main__":
    main()
