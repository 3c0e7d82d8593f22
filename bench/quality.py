"""Whether faster ways to compute learn as well: the same seeds in every way, and what comes of them.

Trains the demo's SR-VAE (32 pixels, 6 latents, 2,400 updates at 1e-3) into folders that are kept, so that what is
finished is not repeated and several processes may each take some of the ways. Not part of `make bench`: it takes about
two minutes a run on one core.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from unbraid.recipes import evaluate, resume, sprites
from unbraid.runs import Run
from unbraid.settings import Kernels, Precision, Training

WAYS: dict[str, tuple[Kernels, Precision]] = {
    "plain float32": ("plain", "float32"),
    "native float32": ("native", "float32"),
    "native bfloat16": ("native", "bfloat16"),
    "reformulated bfloat16": ("reformulated", "bfloat16"),
}
SHAPE = {"latents": 6, "size": 32, "widths": (16, 32, 64), "features": 128}  # the demo's
METRICS = ("factor_vae", "mig", "squared_error")


def main() -> None:
    """Train what is missing, then show everything that is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/quality"))
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=2400)
    asked = parser.parse_args()
    for seed in asked.seeds:
        for way in asked.ways:
            trained(asked.out / f"{way} {seed}".replace(" ", "-"), *WAYS[way], seed, asked.steps)
    table = Table("way", "seeds", *METRICS, box=None)
    for way in WAYS:
        runs = [Run(path) for path in sorted(asked.out.glob(f"{way.replace(' ', '-')}-*"))]
        found = [run.evaluation() for run in runs]
        table.add_row(way, str(len(found)), *(shown([value(each, name) for each in found if each]) for name in METRICS))
    Console().print(table)


def trained(out: Path, kernels: Kernels, precision: Precision, seed: int, steps: int) -> None:
    """One run and its evaluation, unless they are there."""
    training = Training(steps, learning_rate=1e-3, seed=seed, kernels=kernels, precision=precision)
    run = resume(out) if (out / "run.json").exists() else sprites(out, training=training, **SHAPE)
    if run.evaluation() is None:
        evaluate(out, metrics="factor_vae,mig,squared_error", seed=0)


def value(evaluation: dict, name: str) -> float:
    """The first result whose metric begins so."""
    return next(each["value"] for each in evaluation["results"] if each["metric"].startswith(name))


def shown(values: list[float]) -> str:
    """Every seed's value, then mean and standard deviation."""
    if not values:
        return "-"
    each = " ".join(f"{one:.3f}" for one in values)
    return f"{each} ({np.mean(values):.3f} +- {np.std(values, ddof=min(1, len(values) - 1)):.3f})"


if __name__ == "__main__":
    main()
