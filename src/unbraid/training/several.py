"""Where training of several runs at once begins, and where it goes on."""

import copy
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unbraid.configuration import describe
from unbraid.data.contract import Data
from unbraid.objectives.contract import Adversarial
from unbraid.runs import Run
from unbraid.training.alike import Shared, check_models, check_trainings
from unbraid.training.plan import Plan
from unbraid.training.start import begin, check_plan, planned_loop, rebuilt_loop, recorded_training, warn_of_changes
from unbraid.training.together import Together

LOGGER = logging.getLogger("unbraid")


def train_together(plans: Iterable[Plan]) -> list[Run]:
    """Train several models at once, each as `train` would alone, and keep each in its own ordinary run folder.

    The models are of one class and shape, and the training differs in the seed alone; objectives may differ, and data
    too where batches have one shape. Each member has the order of data and the noise of its own run, so that it differs
    from it by rounding only. One that diverges is marked as failed and left out from then on. Equal data sets are kept
    once. On a GPU many members cost little more than one; on a CPU processes of one thread each are as quick.

    Args:
        plans: what to train, each with a folder and a model of its own.

    Raises:
        ValueError: a plan does not fit, plans do not fit together, or a folder is not empty; all before any training.
        DivergedError: all of them diverged.
    """
    shared = Shared()
    planned = [_settled(plan, shared) for plan in plans]
    _check(planned)
    loops = [planned_loop(plan) for plan in planned]
    together = Together(loops)
    names = [Path(plan.out).name for plan in planned]
    for plan, loop in zip(planned, loops, strict=True):
        begin(plan, loop, {"together": names})
    return together()


def resume_together(paths: Path | str | Sequence[Path | str], data: Sequence[Data] = ()) -> list[Run]:
    """Continue interrupted runs that were trained together; finished ones are returned as they are.

    All go on from one step: the last for which each of them has a checkpoint, which is its last one or the one before.
    A run that was taken further on its own since, and has no checkpoint of that step, is continued after the others. A
    failed one is left alone if the others are beyond its last checkpoint.

    Args:
        paths: the run folders, or the folder they are in.
        data: only for runs on data in memory: the same data again, training and held-out data in any order.

    Raises:
        ValueError: no runs, a damaged checkpoint, or data that differ from the runs'.
        DivergedError: all that were continued diverged.
    """
    runs = [Run(path) for path in (_inside(Path(paths)) if isinstance(paths, Path | str) else paths)]
    unfinished = [run for run in runs if run.status["status"] != "finished"]
    shared = Shared(data)
    for step, members in _by_step(unfinished):
        for run in members:
            _go_back(run, step)
        loops = [_loaded(run, shared) for run in members]
        together = Together(loops)
        for run, loop in zip(members, loops, strict=True):
            warn_of_changes(run, loop)
        together()
    return runs


def _settled(plan: Plan, shared: Shared) -> Plan:
    """The plan with data that equal plans share, and an adversary of its own."""
    sets: dict[str, Any] = {
        name: None if (part := getattr(plan, name)) is None else shared(part) for name in ("data", "validation", "test")
    }
    own = copy.deepcopy(plan.objective) if isinstance(plan.objective, Adversarial) else plan.objective
    return replace(plan, objective=own, **sets)


def _check(plans: Sequence[Plan]) -> None:
    if not plans:
        raise ValueError("expected at least one plan, got none; a recipe's `plan` makes one")
    check_trainings([plan.training for plan in plans])
    check_models([plan.model for plan in plans])
    paths = [Path(plan.out) for plan in plans]
    if len(set(paths)) < len(paths):
        raise ValueError(f"expected a folder of its own for each run, got {[str(path) for path in paths]}")
    for path in paths:
        Run.check_free(path)
    seen = set()
    for plan in plans:
        about = json.dumps([describe(plan.objective), describe(plan.model.likelihood)])
        key = (about, id(plan.data), id(plan.validation))
        if key not in seen:  # the data are read through, which takes as long for each
            check_plan(plan)
        seen.add(key)


def _inside(folder: Path) -> list[Path]:
    """The runs in a folder that were trained together, in the order of that training."""
    files = [file for file in sorted(folder.glob("*/run.json")) if not file.parent.name.startswith(".")]  # half made
    found = [file.parent for file in files if "together" in Run(file.parent).record]
    if not found:
        raise ValueError(
            f"expected a folder of runs that were trained together, got '{folder}'; `unbraid resume` continues one run"
        )
    names = list(dict.fromkeys(name for path in found for name in Run(path).record["together"]))
    missing = [name for name in names if not (folder / name / "run.json").is_file()]
    if missing:
        LOGGER.warning("%s: going on without %s, which are not there; train them again", folder, ", ".join(missing))
    return sorted(found, key=lambda path: names.index(path.name) if path.name in names else len(names))


def _by_step(runs: Sequence[Run]) -> list[tuple[int, list[Run]]]:
    """Steps, and the runs to be continued from each; those that began apart stay apart.

    Raises:
        ValueError: runs that are said to have begun together were trained in different ways.
    """
    begun: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        begun.setdefault(tuple(run.record.get("together", ())), []).append(run)
    for group in begun.values():
        check_trainings([recorded_training(run) for run in group])
    return [pair for group in begun.values() for pair in _of_group(group).items()]


def _of_group(runs: Sequence[Run]) -> dict[int, list[Run]]:
    """Of runs that began together, those to be continued from each step."""
    steps = {run.path: _steps(run) for run in runs}
    going = [run for run in runs if run.status["status"] != "failed"] or list(runs)
    common = min((max(steps[run.path]) for run in going), default=0)
    found: dict[int, list[Run]] = {}
    for run in runs:
        if common in steps[run.path]:
            found.setdefault(common, []).append(run)
        elif run in going:
            found.setdefault(max(steps[run.path]), []).append(run)
        else:
            LOGGER.warning("%s: left as it is: %s", run.path.name, run.status["message"])
    return found


def _steps(run: Run) -> list[int]:
    """The steps of the run's checkpoints."""
    states = (run.load_checkpoint(), run.load_checkpoint(previous=True))
    steps = [state["step"] for state in states if state is not None]
    if not steps:
        raise ValueError(f"expected a checkpoint in '{run.path}', got none; delete the folder and train again")
    return steps


def _go_back(run: Run, step: int) -> None:
    """Drop a checkpoint beyond `step`, so that the one before is the last."""
    state = run.load_checkpoint()
    assert state is not None
    if state["step"] != step:
        with run.locked():
            (run.path / "checkpoint.previous.pt").replace(run.path / "checkpoint.pt")


def _loaded(run: Run, shared: Shared) -> Any:
    """The run's loop as its last checkpoint left it."""
    loop = rebuilt_loop(run, *(shared.described(run.record[part]) for part in ("data", "validation")))
    loop.data = shared(loop.data)
    state = run.load_checkpoint()
    assert state is not None
    loop.load(state)
    return loop
