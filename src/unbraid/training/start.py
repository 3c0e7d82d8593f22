"""Where training begins: a new run, or an interrupted one."""

import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from unbraid.configuration import describe
from unbraid.data.augmentation import Augmentation
from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.objectives.contract import Objective
from unbraid.objectives.elbo import ELBO
from unbraid.runs import Run, machine, versions
from unbraid.settings import Training
from unbraid.training.checks import check
from unbraid.training.loop import Loop
from unbraid.training.plan import Plan

LOGGER = logging.getLogger("unbraid")


def train(
    model: Model,
    objective: Objective,
    data: Data,
    out: Path | str,
    training: Training | None = None,
    validation: Data | None = None,
    test: Data | None = None,
    record: dict[str, object] | None = None,
    augmentation: Augmentation | None = None,
) -> Run:
    """Train `model` in place from the weights it has, and keep everything in a new run folder `out`.

    Build the model under `seeded(seed)` for initial weights that depend on the seed alone. Ctrl-C takes a
    checkpoint and stops; `resume(out)` goes on from the last one exactly as if nothing had happened.

    Args:
        model, objective, data: what to train, what to minimise, on what.
        out: the run folder, new or empty.
        training: how; default `Training()`.
        validation: held-out data for the un-annealed bound; needed for early stopping.
        test: further held-out data, which training only records, for evaluation to find.
        record: further plain values for `run.json` (a recipe's arguments, notes).
        augmentation: a random change of every batch of `data`; held-out data stay as they are.

    Raises:
        ValueError: something does not fit (before any training), or `out` is not empty.
        DivergedError: a loss term is not finite; the message names the term, the step and the last checkpoint.
    """
    return train_plan(Plan(model, objective, data, out, training or Training(), validation, test, record, augmentation))


def train_plan(plan: Plan) -> Run:
    """Train what a plan says; as `train` with its values.

    Raises:
        ValueError: something does not fit (before any training), or the plan's folder is not empty.
        DivergedError: a loss term is not finite.
    """
    check_plan(plan)
    loop = planned_loop(plan)
    begin(plan, loop, loop.notes())
    return loop()


def check_plan(plan: Plan) -> None:
    """Refuse what does not fit together.

    Raises:
        ValueError: something does not fit.
    """
    size, validation, augmentation = plan.training.batch_size, plan.validation, plan.augmentation
    check(plan.model, plan.objective, plan.data, size)
    if validation is not None and validation is not plan.data:
        check(plan.model, ELBO(), validation, size)  # whatever is minimised, the bound is what they are for
    if validation is None and plan.training.patience is not None:
        raise ValueError("expected validation data for early stopping (patience), got none; pass validation=...")
    if augmentation is not None:
        augmentation(plan.data.batch(np.zeros(1, dtype=np.int64)).x, torch.Generator())


def planned_loop(plan: Plan) -> Loop:
    """The loop at its first step; there is no folder yet."""
    return Loop(plan.model, plan.objective, plan.data, plan.validation, plan.training, plan.augmentation)


def begin(plan: Plan, loop: Loop, notes: dict[str, object] | None = None) -> None:
    """Make the run's folder, with its first checkpoint, so that even a run killed at once can be resumed.

    notes: further values for `run.json`.

    Raises:
        ValueError: the folder is not empty.
    """
    sets = {"data": plan.data, "validation": plan.validation, "test": plan.test}
    parts = {"model": plan.model, "objective": plan.objective, **sets, "augmentation": plan.augmentation}
    described = {name: describe(part) for name, part in parts.items()}
    about = {"facts": {name: part.facts() for name, part in sets.items() if part is not None}, "cards": _cards(sets)}
    known = {"seed": plan.training.seed, **(plan.record or {}), **described, **about, "training": asdict(plan.training)}
    place = {"device": str(loop.device), "computation": asdict(loop.computation)}
    loop.run = Run.create(plan.out, {**known, **place, **(notes or {})}, loop.save_to)


def resume(path: Path | str, data: Data | None = None, validation: Data | None = None) -> Run:
    """Continue an interrupted run from its last checkpoint; a finished one is returned as it is.

    On a CPU with the same number of threads the weights are those of the uninterrupted run, bit for bit.

    Args:
        path: the run folder.
        data, validation: only for runs on data in memory: the same data again.

    Raises:
        ValueError: no run, a damaged checkpoint, or data that differ from the run's.
    """
    run = Run(path)
    if run.status["status"] == "finished":
        return run
    loop = rebuilt_loop(run, data, validation)
    state = run.load_checkpoint()
    if state is None:
        raise ValueError(f"expected a checkpoint in '{path}', got none; delete the folder and train again")
    loop.load(state)
    warn_of_changes(run, loop)
    return loop()


def rebuilt_loop(run: Run, data: Data | None, validation: Data | None) -> Loop:
    """The loop of a run, at its first step; `data` and `validation` as for `resume`.

    Raises:
        ValueError: a damaged description, or data that differ from the run's.
    """
    training = recorded_training(run)
    same = same_data(run, "data", data)
    assert same is not None
    model, objective = run.rebuild("model"), run.rebuild("objective")
    # runs made before there was any say nothing of it
    augmentation = run.rebuild("augmentation") if "augmentation" in run.record else None
    loop = Loop(model, objective, same, same_data(run, "validation", validation), training, augmentation)
    loop.run = run
    return loop


def warn_of_changes(run: Run, loop: Loop) -> None:
    """Log what is not as it was when the run began, since the weights may then differ in their last bits."""
    recorded = {name: run.record.get(name) for name in ("device", "machine", "computation")}
    before = {**run.record["versions"], **recorded}
    now = {**versions(), "device": str(loop.device), "machine": machine(), "computation": asdict(loop.computation)}
    changed = [f"{name} was {before[name]}, is {now[name]}" for name in now if before.get(name) != now[name]]
    if changed:
        LOGGER.warning("%s: resumed, but not bit for bit: %s", run.path.name, "; ".join(changed))


def same_data(run: Run, part: str, given: Data | None) -> Data | None:
    """The run's data: rebuilt, or the `given` ones if they are what the run was trained on.

    Raises:
        ValueError: the given data differ, or none are given and the run's were in memory.
    """
    if given is None:
        return run.rebuild(part)
    if describe(given) != run.record[part]:
        raise ValueError(f"expected the data the run was trained on ({run.record[part]}), got {describe(given)}")
    return given


def _cards(sets: dict[str, Data | None]) -> list[dict[str, object]]:
    """Licence and citation of everything that the run uses, each once."""
    cards = dict.fromkeys(card for part in sets.values() if part is not None for card in part.cards)
    return [asdict(card) for card in cards]


def recorded_training(run: Run) -> Training:
    """The settings that a run was begun with.

    Raises:
        ValueError: they are damaged.
    """
    try:
        return Training(**run.record["training"])
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"expected the training settings in '{run.path / 'run.json'}', but they are damaged: {error}"
        ) from error
