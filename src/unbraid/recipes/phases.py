"""Errors, forgetting and drift of every task after every phase of continual learning."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from unbraid.data import Data
from unbraid.metrics import Result, forgetting, negative_log_likelihood, output_drift
from unbraid.models import Classifier, Model
from unbraid.nets import compute_as
from unbraid.progress import ProgressBar
from unbraid.randomness import Purpose, derived_seed
from unbraid.recipes.evaluation import held_out
from unbraid.recipes.judging import CHUNK, Arrays, squared_error
from unbraid.runs import Run
from unbraid.settings import WAYS, Computation
from unbraid.types import Batch

ERRORS = ("squared_error", "negative_log_likelihood")


@dataclass(frozen=True)
class Seen:
    """What a model makes of a task's observations.

    x, output: the observations, and their reconstructions without noise (mean observations).
    squared: squared error of each, summed over what was observed.
    log_likelihood: of each, from one posterior sample, nats.
    likelihood: its name.
    """

    x: Float[np.ndarray, "n *shape"]
    output: Float[np.ndarray, "n *shape"]
    squared: Float[np.ndarray, " n"]
    log_likelihood: Float[np.ndarray, " n"]
    likelihood: str

    def results(self) -> dict[str, Result]:
        """Both errors, by their names."""
        fit = negative_log_likelihood(self.log_likelihood, self.likelihood)
        return {"squared_error": squared_error(self.x, self.output), "negative_log_likelihood": fit}

    def first(self, count: int) -> "Seen":
        """Of the first observations, in memory of their own."""
        few = {name: getattr(self, name)[:count].copy() for name in ("x", "output", "squared", "log_likelihood")}
        return replace(self, **few)

    def drift_from(self, learned: "Seen") -> Result:
        """How far the reconstructions have moved."""
        return output_drift(learned.output, self.output)

    def forgotten_since(self, learned: "Seen") -> list[Result]:
        """How much both errors have grown."""
        protocol = f"negative_log_likelihood, {self.likelihood}"
        return [
            forgetting(learned.squared, self.squared, "squared_error"),
            forgetting(-learned.log_likelihood, -self.log_likelihood, protocol),
        ]


class Phases:
    """Runs that were trained one after the other, and held-out data of all their tasks.

    runs, data, learned, observations, seed: as for `unbraid.recipes.forgetting`.

    Raises:
        ValueError: the data have no populations, or too few observations of one, tasks do not follow from one run to
            the next, one was learned by no run, or a run was trained from other weights than those of the run before.
    """

    def __init__(
        self, runs: Sequence[Run], data: Data, learned: Sequence[int] | None = None, observations: int = 500, seed=0
    ):
        self.runs, self.data, self.observations, self.seed = list(runs), data, observations, seed
        self.tasks = tuple(data.populations)
        if data.population is None:
            raise ValueError(f"expected data with a population for each task, got {data!r}; pass data with populations")
        self.learned = [self._known_by(run) for run in runs] if learned is None else list(learned)
        if (
            len(self.learned) != len(runs)
            or sorted(self.learned) != self.learned
            or self.learned[-1] != len(self.tasks)
        ):
            raise ValueError(
                f"expected for each of {len(runs)} runs how many of the tasks {self.tasks} it has learned, never fewer "
                f"than the one before and all by the last, got {self.learned}; name the runs in the order of training"
            )

        self._check()

    def _check(self) -> None:
        """Refuse, before anything is measured, what could not be measured or would compare what does not go together.

        Raises:
            ValueError: as the class.
        """
        for phase, run in enumerate(self.runs):
            model = run.rebuild("model")
            if isinstance(model, Classifier):
                raise ValueError(f"expected models that reconstruct observations, got a classifier in '{run.path}'")
            names = tuple(model.populations)
            if names and (len(names) < self.learned[phase] or names[: len(self.tasks)] != self.tasks[: len(names)]):
                raise ValueError(
                    f"expected a model that knows {self.tasks[: self.learned[phase]]}, got one of {names} in "
                    f"'{run.path}'; name the runs in the order of training, or pass another learned"
                )
        for before, after in pairwise(self.runs):
            went_on = after.record.get("extends", {}).get("weights")
            if went_on is not None and went_on != before.weights_checksum():
                raise ValueError(
                    f"expected '{after.path}' to go on with '{before.path}', but it was trained from other weights; "
                    "name the runs in the order of training, or train it again"
                )
        if self.observations < 2:
            raise ValueError(f"expected observations of at least 2, got {self.observations}; intervals need them")
        few = [name for name, index in zip(self.tasks, self.index, strict=True) if len(index) < 2]
        if few:
            raise ValueError(f"expected at least 2 held-out observations of every task, got fewer of {few}; pass data")

    def _known_by(self, run: Run) -> int:
        names = tuple(run.rebuild("model").populations) or tuple(held_out(run)[1].populations)
        if names != self.tasks[: len(names)]:
            raise ValueError(
                f"expected runs whose populations are the first of {self.tasks}, got {names} in '{run.path}'; "
                "name the runs in the order of training, or pass learned=..."
            )
        return len(names)

    @cached_property
    def index(self) -> list[Int[np.ndarray, " n"]]:
        """The observations of each task, the same for every phase."""
        assert self.data.population is not None
        rng = np.random.default_rng([self.seed, Purpose.EVALUATION])
        of = [np.flatnonzero(self.data.population == task) for task in range(len(self.tasks))]
        return [np.sort(rng.permutation(own)[: self.observations]) for own in of]

    def born(self, task: int) -> int:
        """The phase in which a task was learned."""
        return next(phase for phase, count in enumerate(self.learned) if count > task)

    def measured(self, shown: int) -> tuple[list[dict[str, Any]], Arrays]:
        """Every result with its phase and task, and the arrays of the figures, NaN where a task is not learned yet."""
        pairs = [(phase, task) for phase, count in enumerate(self.learned) for task in range(count)]
        found: dict[tuple[int, int], Seen] = {}
        kept: list[tuple[int, int, Result]] = []
        with ProgressBar("forgetting", len(pairs), "tasks after a phase") as display:
            for phase, run in enumerate(self.runs):
                model = trained(run)
                for task in range(self.learned[phase]):
                    found[phase, task] = self.seen(model, task)
                    kept += [(phase, task, result) for result in self._judged(found, phase, task)]
                    display.show(len(found))
                    self._forget(found, phase, task, shown)
        names = named(self.runs)
        plain = [{**each.to_dict(), "phase": names[phase], "task": self.tasks[task]} for phase, task, each in kept]
        return plain, self._tables(kept, names) | self._pictures(found, shown)

    def seen(self, model: Model, task: int) -> Seen:
        """What a model makes of a task; a model that looks at populations knows it by its name."""
        place = model.populations.index(self.tasks[task]) if model.populations else task
        index = self.index[task]
        chunks = [self.data.batch(part) for part in np.array_split(index, -(-len(index) // CHUNK))]
        batches = [Batch(one.x, torch.full((len(one),), place), one.library) for one in chunks]
        generator = torch.Generator().manual_seed(derived_seed(self.seed, Purpose.EVALUATION, task))
        clean = [model.likelihood.mean(model(batch).output, batch.library) for batch in batches]
        fit = [model(batch, generator).log_likelihood for batch in batches]
        x, output = (torch.cat(parts).numpy() for parts in ([batch.x for batch in batches], clean))
        squared = np.nansum(((x.astype(np.float64) - output) ** 2).reshape(len(x), -1), axis=1)
        return Seen(x, output, squared, torch.cat(fit).numpy(), type(model.likelihood).__name__)

    def _judged(self, found: dict[tuple[int, int], Seen], phase: int, task: int) -> list[Result]:
        now, born = found[phase, task], self.born(task)
        results = list(now.results().values())
        if phase == born:
            return results
        return [*results, *now.forgotten_since(found[born, task]), now.drift_from(found[born, task])]

    def _forget(self, found: dict[tuple[int, int], Seen], phase: int, task: int, shown: int) -> None:
        """Of later phases only what is shown is needed again."""
        if phase > self.born(task):
            found[phase, task] = found[phase, task].first(shown)

    def _tables(self, kept: Sequence[tuple[int, int, Result]], names: Sequence[str]) -> Arrays:
        """`[phase, task, 3]` value, low and high of each error; drift `[phase, task, 2]`, mean and largest."""
        shape = (len(self.runs), len(self.tasks))
        arrays: Arrays = {f"forgetting_{name}": np.full((*shape, 3), np.nan) for name in ERRORS}
        arrays["forgetting_drift"] = np.full((*shape, 2), np.nan)
        for phase, task, result in kept:
            if result.metric in ERRORS:
                low, high = result.interval or (result.value, result.value)
                arrays[f"forgetting_{result.metric}"][phase, task] = result.value, low, high
            if result.metric == "output_drift":
                arrays["forgetting_drift"][phase, task] = result.value, result.detail["largest"]
        return arrays | {"forgetting_phases": np.array(names), "forgetting_tasks": np.array(self.tasks)}

    def _pictures(self, found: dict[tuple[int, int], Seen], shown: int) -> Arrays:
        """Some observations of each task: originals `[column, *shape]`, reconstructions `[phase, column, *shape]`."""
        last = len(self.runs) - 1
        count = len(self.tasks)
        original = np.concatenate([found[last, task].x[:shown] for task in range(count)])
        empty = [np.full_like(found[last, task].x[:shown], np.nan) for task in range(count)]
        rows = [
            np.concatenate([found[p, t].output[:shown] if (p, t) in found else empty[t] for t in range(count)])
            for p in range(len(self.runs))
        ]
        of = np.concatenate([np.full(len(empty[task]), task) for task in range(count)])
        return {"remembered_original": original, "remembered": np.stack(rows), "remembered_task": of}


def named(runs: Sequence[Run]) -> list[str]:
    """A name for each phase: the run's; where those are alike (`seed-0` of each), what was learned, or folders."""
    names = [str(run.record["name"]) for run in runs]
    if len(set(names)) < len(names):
        names = [_learned(run) for run in runs]
    if len(set(names)) < len(names):
        names = [f"{run.path.absolute().parent.name}/{run.path.name}" for run in runs]
    return names if len(set(names)) == len(names) else [f"{k}: {name}" for k, name in enumerate(names, 1)]


def _learned(run: Run) -> str:
    """The population that a run was extended by; of a first run those that its model knows or it was made of, or its
    folder's name. Data are not asked: they may be gone.
    """
    arguments = run.record.get("arguments", {})
    if "extends" in run.record and arguments.get("name"):
        return str(arguments["name"])
    return (
        ", ".join(run.rebuild("model").populations or arguments.get("groups") or ()) or run.path.absolute().parent.name
    )


def trained(run: Run) -> Model:
    """A run's model with the weights that training ended with, for evaluation.

    Raises:
        ValueError: it has none yet, or those of another model.
    """
    model = run.rebuild("model")
    try:
        model.load_state_dict(run.load_weights())
    except RuntimeError as error:
        raise ValueError(f"expected weights of the run's own model in '{run.path}', got others ({error})") from error
    compute_as(model.eval(), Computation(WAYS[0]))
    return model
