"""Time the FactorVAE metric by encoding a grid once, against encoding every vote.

A small VAE of 64 x 64 sprites (the convolutional network of the first paper) is trained for some steps, so that its
latents are active. The reference encodes 64 images a vote, one vote at a time, and is timed on a few votes and scaled
to the protocol's 15,000 unless --full is given; --full also encodes the whole grid, to compare its value with that of
the thinned grids. Processor seconds on one thread, which another process does not lengthen as it does time.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from cases import BATCH, loop, updating, vae
from harness import Effort, Entry, compared, part
from jaxtyping import Float, Int

from unbraid.data import Sprites
from unbraid.metrics import FACTOR_VAE_DLIB, factor_vae, grid_codes
from unbraid.models import Model
from unbraid.nets import compute_as
from unbraid.objectives import ELBO
from unbraid.recipes.judging_factors import thinned
from unbraid.settings import Training

USED, FULL = {25_000: "", 5_000: "_small"}, {10**9: "_whole", 50_000: "_large"}  # what `evaluate` takes is the first
VOTES = FACTOR_VAE_DLIB.train_votes + FACTOR_VAE_DLIB.test_votes
ROUNDS, TIMED = 2, 100  # of the whole comparison; votes of the reference that each times
STEPS = 300  # of training, before anything is timed
SEEDS = 5

Codes = Float[np.ndarray, "n latent"]
Factors = Int[np.ndarray, "n factor"]


def measure(effort: Effort) -> list[Entry]:
    """Train, then measure both ways in turn."""
    data = Sprites()
    encode = encoder(trained(data, 10 if effort.quick else STEPS), data)
    torch.set_num_threads(1)
    limits = {2_000: ""} if effort.quick else USED | (FULL if effort.full else {})
    votes, rounds = (4, 1) if effort.quick else (VOTES, 1) if effort.full else (TIMED, ROUNDS)
    plain: list[float] = []
    once: dict[int, list[Entry]] = {limit: [] for limit in limits}
    for _ in range(rounds):
        plain.append(one_vote_at_a_time(encode, data, votes))
        for limit, found in once.items():
            found.append(encoded_once(encode, data, limit))
    against = "encoding the images of every vote" + ("" if effort.full else f", {votes} of {VOTES:,} votes timed")
    return [
        compared(f"factorvae_metric_vs_plain{limits[limit]}", [each["both"] for each in found], against, plain)
        | {name: value for name, value in found[0].items() if name != "both"}
        for limit, found in once.items()
    ]


def trained(data: Sprites, steps: int) -> Model:
    """A VAE that has seen `steps` batches of 64."""
    run = loop(vae(), ELBO(), data, Training(batch_size=BATCH, learning_rate=1e-3))
    step = updating(run)
    for _ in range(steps):
        step()
    compute_as(run.model)
    return run.model.eval()


def encoder(model: Model, sprites: Sprites) -> Callable[[Factors], Codes]:
    """Factor values to posterior means."""

    def encode(factors: Factors) -> Codes:
        with torch.inference_mode():
            return model.encode(sprites.sample(factors))["z"].numpy()

    return encode


def one_vote_at_a_time(encode: Callable[[Factors], Codes], sprites: Sprites, votes: int) -> float:
    """Milliseconds that the votes and the sample for the global variance take where all their images are encoded."""
    rng, sizes = np.random.default_rng(0), np.array(sprites.factor_sizes)
    began = time.process_time()
    for _ in range(votes):
        fixed, factors = rng.integers(len(sizes)), rng.integers(sizes, size=(FACTOR_VAE_DLIB.batch, len(sizes)))
        factors[:, fixed] = factors[0, fixed]
        encode(factors).var(axis=0, ddof=1)
    each = (time.process_time() - began) / votes
    return 1000 * each * (VOTES + FACTOR_VAE_DLIB.samples / FACTOR_VAE_DLIB.batch)


def encoded_once(encode: Callable[[Factors], Codes], sprites: Sprites, limit: int) -> Entry:
    """The metric on a grid thinned to at most `limit` cells: milliseconds, and its value over some seeds."""
    values = thinned(sprites.factor_sizes, limit)
    sizes = [len(value) for value in values]
    grid = np.stack(np.meshgrid(*values, indexing="ij"), -1).reshape(-1, len(sizes))
    began = time.process_time()
    # as many at once as in a vote; 256 take 1.8 times as long each
    codes = np.concatenate([encode(grid[start : start + BATCH]) for start in range(0, len(grid), BATCH)])
    encoding = time.process_time() - began
    began = time.process_time()
    found = [factor_vae(grid_codes(codes, sizes), FACTOR_VAE_DLIB, seed).value for seed in range(SEEDS)]
    metric = (time.process_time() - began) / SEEDS
    scores = {"value": float(np.mean(found)), "value_low": min(found), "value_high": max(found)}
    return {"both": 1000 * (encoding + metric), "cells": len(grid), "grid": sizes, "metric_ms": 1000 * metric, **scores}


if __name__ == "__main__":
    part("votes", __doc__, measure)
