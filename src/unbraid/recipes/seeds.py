"""One recipe under several seeds, trained at once, and going on with them."""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.recipes.folders import resume
from unbraid.recipes.recipe import Recipe

if TYPE_CHECKING:
    from unbraid.runs import Run


def train_seeds(recipe: Recipe[...], out: Path, seeds: Sequence[int] | None = None, **options: Any) -> "list[Run]":
    """Train a recipe once for each seed, all at once, in `out/seed-0` and so on; without seeds once, in `out`.

    Args:
        recipe: what to train.
        out: folder to make.
        seeds: of the runs, in place of the training's.
        options: further arguments of the recipe.

    Raises:
        ValueError: a seed comes twice, or the recipe or its members are refused.
    """
    if seeds is None:
        return [recipe(out, **options)]
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"expected different seeds, at least one, got {list(seeds)}")
    from unbraid.training import train_together

    training = options.pop("training", inspect.signature(recipe).parameters["training"].default)
    return train_together(
        recipe.plan(out / f"seed-{seed}", **options, training=replace(training, seed=seed)) for seed in seeds
    )


def resume_all(run: Path) -> "list[Run]":
    """Continue an interrupted run from its last checkpoint, exactly; a finished one is left as it is.

    Given the folder of runs that were trained at once (`--seeds`), continue all of them, at once again.

    Args:
        run: run folder, or the folder of several.

    Raises:
        ValueError: no run, a damaged checkpoint, or data that differ from the run's.
    """
    if (run / "run.json").is_file() or not any(run.glob("*/run.json")):
        return [resume(run)]
    from unbraid.training import resume_together

    return resume_together(run)
