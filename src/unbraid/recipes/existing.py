"""A run that may be there already: taken as it is, resumed or made, but never mistaken for another."""

import inspect
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.recipes.folders import resume
from unbraid.recipes.networks import settled
from unbraid.recipes.recipe import Recipe
from unbraid.settings import Training

if TYPE_CHECKING:
    from unbraid.runs import Run


def ensure(recipe: Recipe[...], path: Path, options: Mapping[str, Any]) -> "Run":
    """The finished run at `path`: as it is, resumed, or made.

    Args:
        recipe: what trains it.
        path: run folder.
        options: arguments of the recipe but `out`; those that are not given are not compared, and of a `training` that
            is given every value is.

    Raises:
        ValueError: `path` holds something else, or the recipe refuses the options.
    """
    if not (path / "run.json").is_file():
        return recipe(path, **options)
    check_same(recipe, path, options)
    return resume(path)


def check_same(recipe: Recipe[...], path: Path, options: Mapping[str, Any]) -> None:
    """Refuse a run with other arguments than these; `training` may be settings by name, of which only those count.

    Raises:
        ValueError: no run, or one that differs; the message names in what.
    """
    from unbraid.runs import Run

    record = Run(path).record
    wanted = {"recipe": recipe.__name__, **_arguments(recipe, options)}
    # a run that was made before an argument or a setting existed has its default
    found = {**_defaults(recipe), **record.get("arguments", {}), "recipe": record.get("recipe")}
    training = options.get("training")
    if training is not None:
        given = asdict(training) if isinstance(training, Training) else training
        known = {**asdict(Training()), **record["training"]}
        wanted |= {f"training.{name}": value for name, value in given.items()}
        found |= {f"training.{name}": value for name, value in known.items()}
    differing = {name: found.get(name) for name, value in wanted.items() if found.get(name) != value}
    if "run" in options and "extends" in record and (weights := _weights(Path(str(options["run"])))) is not None:
        if weights == record["extends"].get("weights"):
            differing.pop("run", None)  # the same run, though its folder may be called otherwise now
        else:
            wanted["weights of run"] = weights
            differing["weights of run"] = record["extends"].get("weights")
    if differing:
        expected = {name: wanted[name] for name in differing}
        raise ValueError(
            f"expected '{path}' to be a run with {expected}, got {differing}; choose another folder, or delete this one"
        )


def _weights(path: Path) -> str | None:
    """Checksum of the weights of the run at `path`; None where there is none, or it has none."""
    from unbraid.runs import Run

    trained = (path / "run.json").is_file() and (path / "weights.safetensors").is_file()
    return Run(path).weights_checksum() if trained else None


def _defaults(recipe: Recipe[...]) -> dict[str, Any]:
    from unbraid.configuration import describe

    parameters = inspect.signature(recipe).parameters.items()
    named = {name: each.default for name, each in parameters if each.default is not each.empty and name != "training"}
    return {name: describe(value) for name, value in named.items()}


def _arguments(recipe: Recipe[...], options: Mapping[str, Any]) -> dict[str, Any]:
    """The given arguments as the run records them: settled where the recipe settles them."""
    from unbraid.configuration import describe

    given = {name: describe(value) for name, value in options.items() if name != "training"}
    parameters = inspect.signature(recipe).parameters
    if not {"model", "objective", "background"} <= set(parameters):
        return given
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    whole = settled({**defaults, **given})
    return {name: whole[name] for name in given}
