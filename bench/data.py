"""Time a batch of every data set against a VAE's step on it, on one thread: a table and build/bench-data.json.

Files are looked for in the folder that UNBRAID_DATA names, by the names below; what is not there is left out.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from steps import BATCH, measure

from unbraid import data
from unbraid.likelihoods import Gaussian, IgnoreMissing, NegativeBinomial
from unbraid.models import SequentialVAE
from unbraid.nets import CountTrunk, MaskedTrunk, MLPDecoder, MLPTrunk, NormTrunk, SkipDecoder
from unbraid.objectives import ELBO
from unbraid.types import Progress

OUT = Path("build/bench-data.json")
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


def main() -> None:
    """Measure every set that is here."""
    torch.set_num_threads(1)
    rows = []
    for name, make in CASES.items():
        try:
            opened = make()
        except ValueError as error:
            Console().print(f"{name}: left out ({str(error)[:100]})", markup=False)
            continue
        indices = iter(np.random.default_rng(0).integers(0, len(opened), (100_000, BATCH)))
        batch, step = measure(lambda: opened.batch(next(indices))), measure(training_step(opened))  # noqa: B023
        rows.append({"name": name, "batch": batch, "step": step, "held": opened.held, "observations": len(opened)})
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"torch": torch.__version__, "threads": 1, "unit": "ms", "rows": rows}, indent=1))
    table = Table(
        f"batch of {BATCH}, 1 thread", "batch, ms", "10 % to 90 %", "VAE step, ms", "share", "MB held", box=None
    )
    for row in rows:
        batch, step = row["batch"], row["step"]["median"]
        spread = f"{batch['low']:.3f} to {batch['high']:.3f}"
        share = f"{100 * batch['median'] / step:.1f} %"
        table.add_row(row["name"], f"{batch['median']:.3f}", spread, f"{step:.1f}", share, f"{row['held'] / 1e6:.1f}")
    Console(width=120).print(table)
    Console().print(str(OUT))


def training_step(opened: data.Data) -> Callable[[], None]:
    """An update of the VAE that a recipe would train on these data."""
    model = vae(opened)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    batch, generator = opened.batch(np.arange(BATCH)), torch.Generator()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        ELBO()(model(batch, generator), batch, Progress()).loss.backward()
        optimizer.step()

    return step


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
    main()
