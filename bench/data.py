"""Time a batch of every data set against the step of the VAE that a recipe would train on it.

Files are looked for in the folder that UNBRAID_DATA names, by the names below; what is not there is left out.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from cases import BATCH, loop, updating
from harness import Effort, Entry, compared, interleaved, local, part
from rich.console import Console

from unbraid import data
from unbraid.likelihoods import Gaussian, IgnoreMissing, NegativeBinomial
from unbraid.models import SequentialVAE
from unbraid.nets import CountTrunk, MaskedTrunk, MLPDecoder, MLPTrunk, NormTrunk, SkipDecoder
from unbraid.objectives import ELBO
from unbraid.settings import Training

QUICK = ("sprites", "vectors")
ROOT = os.environ.get("UNBRAID_DATA")
CASES: dict[str, Callable[[], data.Data]] = {
    "sprites": data.Sprites,
    "teapots (20,000)": lambda: data.Teapots(count=20_000),
    "procedural chairs": data.ProceduralChairs,
    "CelebA": lambda: data.CelebA(folder=next(iter(sorted(Path(ROOT or "").glob("celeba*"))), None)),
    "MNIST": lambda: data.MNIST(folder=ROOT),
    "CIFAR-10": lambda: data.CIFAR10(folder=ROOT),
    "CIFAR-10, JPEG copy": lambda: data.ImageFolder(f"{ROOT}/cifar10-jpeg.zip", 32, levels=("split", "population")),
    "17 Flowers": lambda: data.Flowers17(folder=ROOT),
    "Grassy-MNIST": lambda: data.GrassyMNIST(folder=ROOT),
    "grassy digits": data.GrassyDigits,
    "vectors": data.TwoPopulationVectors,
    "mice, 77 proteins": lambda: data.Table(f"{ROOT}/mice-protein.csv", "Genotype", leave_out=["MouseID"]),
    "cells, 2,000 genes": lambda: data.Cells(f"{ROOT}/pbmc-ifnb.h5ad", most_variable=2000),
    "cells, 9,015 genes": lambda: data.Cells(f"{ROOT}/pbmc-ifnb.h5ad"),
}


def measure(effort: Effort) -> list[Entry]:
    """Every set that is here."""
    found = []
    for name, make in CASES.items():
        if effort.quick and name not in QUICK:
            continue
        try:
            opened = make()
        except ValueError as error:
            Console().print(f"{name}: left out ({str(error)[:100]})", markup=False)
            continue
        found.append(share(name, opened, replace(effort, seconds=effort.seconds / 20)))
    return found


def share(name: str, opened: data.Data, effort: Effort) -> Entry:
    """What reading a random batch takes of a step."""
    rng = np.random.default_rng(0)
    step = updating(loop(vae(opened), ELBO(), opened, Training(batch_size=BATCH)))
    batch = local(lambda: opened.batch(rng.integers(0, len(opened), BATCH)))
    times = interleaved({"batch": batch, "step": local(step)}, effort)
    known = {"held_mb": opened.held / 1e6, "observations": len(opened)}
    entry = compared(f"data_share_{name}", times["batch"], "a VAE's step on it", times["step"], **known)
    inverted = {"ratio": 1 / entry["ratio"], "ratio_low": 1 / entry["ratio_high"], "ratio_high": 1 / entry["ratio_low"]}
    return {**entry, **inverted}


def vae(opened: data.Data) -> SequentialVAE:
    """The networks of the recipes: convolutions for images, fully connected ones for vectors and counts."""
    if len(opened.shape) == 3:
        networks = NormTrunk(opened.shape), SkipDecoder(20, opened.shape)
        return SequentialVAE(*networks, Gaussian(0.1, learned=True), False, False)
    size = opened.shape[0]
    if isinstance(opened, data.Cells):
        networks = CountTrunk(MLPTrunk(size, (128, 64))), MLPDecoder(15, size, (64, 128))
        return SequentialVAE(*networks, NegativeBinomial(size), False, False)
    if opened.missing:
        networks = MaskedTrunk(MLPTrunk(2 * size, (64,))), MLPDecoder(12, size, (64,))
        return SequentialVAE(*networks, IgnoreMissing(Gaussian(1.0, learned=True)), False, False)
    return SequentialVAE(MLPTrunk(size, (64,)), MLPDecoder(12, size, (64,)), Gaussian(1.0, learned=True), False, False)


if __name__ == "__main__":
    part("data", __doc__, measure)
