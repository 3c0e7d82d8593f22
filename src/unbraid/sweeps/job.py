"""A run to make, as plain values: what a table of runs consists of, and what a worker is given."""

import difflib
import inspect
from argparse import ArgumentError
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args, get_origin

from unbraid import recipes
from unbraid.configuration import Plain
from unbraid.recipes.draws import Draws
from unbraid.settings import Training

FINISHED, FAILED, REFUSED, DIVERGED, STOPPED = 0, 1, 2, 3, 130  # exit codes of a job's process
OF_MACHINES = {"checkpoint_seconds", "device", "kernels", "recompute", "capture", "resident"}
ONLY_PYTHON = {"out", "data", "validation"}  # the place is the job's, and data in memory cannot be sent


@dataclass(frozen=True)
class Judging:
    """How a run is judged once it is finished.

    metrics, max_codes, seed: as `evaluate` takes them.
    followed: metrics of the weights kept during training, as `follow` takes them; empty does not follow.
    steps: of the weights to follow; empty takes all that are kept.
    followed_codes: `max_codes` of following.
    draws: how log p(x) is estimated, as `evaluate` takes it.
    code: checksum of the measuring code that must have judged; empty takes what any has judged.
    """

    metrics: str = "standard"
    max_codes: int = 25_000
    followed: str = ""
    steps: tuple[int, ...] = ()
    followed_codes: int = 5000
    seed: int = 0
    draws: Draws = field(default_factory=Draws)
    code: str = ""


@dataclass(frozen=True)
class Job:
    """One run of a table.

    method: what it is a seed of, such as "model=vae,strength=4".
    seed: of its training.
    path: run folder.
    recipe: name of a recipe that trains.
    arguments: of the recipe, plain values, without `out`; "training" holds the settings that are given.
    judging: how it is judged; None trains only.
    """

    method: str
    seed: int
    path: Path
    recipe: str
    arguments: dict[str, Plain] = field(default_factory=dict)
    judging: Judging | None = None

    @property
    def name(self) -> str:
        """For messages: method and seed."""
        return f"{self.method} seed {self.seed}"

    @property
    def log(self) -> Path:
        """What the process of the run wrote."""
        return self.path.parents[1] / "logs" / f"{self.path.parent.name}-{self.path.name}.log"

    @property
    def steps(self) -> int:
        """Updates that the whole training makes, at most."""
        given = cast("dict[str, Any]", self.arguments.get("training") or {})
        return int(given.get("steps", default_training(trains(self.recipe)).steps))

    def to_plain(self) -> dict[str, Plain]:
        """As JSON can hold it."""
        return {**asdict(self), "path": str(self.path)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Job":
        """The job that `to_plain` made `plain` from."""
        judging = plain["judging"]
        if judging is not None:
            kept = {"steps": tuple(judging["steps"]), "draws": Draws(**judging["draws"])}
            judging = Judging(**{**judging, **kept})
        return cls(**{**plain, "path": Path(plain["path"]), "judging": judging})


@dataclass(frozen=True)
class Outcome:
    """How a job ended, with a message where there is something to say."""

    job: Job
    state: Literal["finished", "failed", "stopped"]
    message: str = ""


def trains(name: str) -> recipes.Recipe[...]:
    """The recipe of this name.

    Raises:
        ValueError: there is none that trains.
    """
    known = [each for each in recipes.__all__ if hasattr(getattr(recipes, each), "plan")]
    known = [each for each in known if "training" in inspect.signature(getattr(recipes, each)).parameters]
    if name not in known:
        raise ValueError(f"expected a recipe out of {', '.join(known)}, got '{name}'{_meant(name, known)}")
    return getattr(recipes, name)


def default_training(recipe: recipes.Recipe[...]) -> Training:
    """How a recipe trains where nothing is said."""
    return inspect.signature(recipe).parameters["training"].default


def typed(recipe: recipes.Recipe[...], plain: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a recipe out of plain values or text, as its signature has them; only those that are given.

    Raises:
        ValueError: a name that the recipe does not take, a value of another type, or one out of its range.
    """
    from jsonargparse import ArgumentParser

    parameters, training = kinds(recipe), plain.get("training") or {}
    flat = {name: value for name, value in plain.items() if name != "training"}
    flat |= {f"training.{name}": value for name, value in training.items()}
    for name in flat:
        if name not in parameters:
            raise ValueError(f"expected arguments of {recipe.__name__}, got '{name}'{_meant(name, parameters)}")
    parser = ArgumentParser(exit_on_error=False)
    skipped: set[str | int] = {name for name in inspect.signature(recipe).parameters if name not in plain}
    parser.add_function_arguments(recipe, as_group=False, skip=skipped)
    try:
        found = vars(parser.instantiate(parser.parse_object(dict(plain))))
    except ArgumentError as error:
        wrong = next((name for name in flat if f'"{name}"' in str(error)), None)
        if wrong is None:
            raise ValueError(f"expected arguments of {recipe.__name__}, got {dict(plain)}: {error}") from error
        raise ValueError(f"expected {_said(parameters[wrong])} for {wrong}, got '{flat[wrong]}'") from error
    return {name: found[name] for name in plain}


def given(job: Job, options: Mapping[str, Any]) -> dict[str, Any]:
    """Typed options of a job as `check_same` compares them.

    What the job does not name has its default, since a run with other values is another one; but for settings that
    change neither data nor objective nor length, which a machine may set.
    """
    parameters = inspect.signature(trains(job.recipe)).parameters.items()
    defaults = {name: each.default for name, each in parameters if each.default is not each.empty}
    whole = {**{name: value for name, value in defaults.items() if name not in ONLY_PYTHON}, **options}
    named = cast("dict[str, Any]", job.arguments.get("training") or {})
    training = asdict(whole["training"]).items()
    return {**whole, "training": {name: value for name, value in training if name in named or name not in OF_MACHINES}}


def kinds(recipe: recipes.Recipe[...]) -> dict[str, Any]:
    """The type of every argument of a recipe, those of its training as `training.steps`."""
    found = {name: each.annotation for name, each in inspect.signature(recipe).parameters.items()}
    found |= {f"training.{name}": each.annotation for name, each in inspect.signature(Training).parameters.items()}
    return {name: kind for name, kind in found.items() if name not in {*ONLY_PYTHON, "training"}}


def _said(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    parts = [words.get(part) or _said(part) for part in get_args(kind)] if _optional(kind) else []
    return " or ".join(parts) or words.get(kind) or str(kind).replace("typing.", "")


def _optional(kind: Any) -> bool:
    return type(None) in get_args(kind)


def _meant(name: str, known: Any) -> str:
    ends = {each.rpartition(".")[2]: each for each in known} | {each: each for each in known}
    close = difflib.get_close_matches(name, ends, n=1)
    return f"; did you mean {ends[close[0]]}?" if close else f"; there are {', '.join(known)}"
