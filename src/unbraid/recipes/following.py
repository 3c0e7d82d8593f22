"""Judging the weights that were kept during training: quality over steps and over time."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.recipes.measures import ALL, FACTORS, POPULATIONS, chosen

if TYPE_CHECKING:
    from unbraid.data import Data
    from unbraid.recipes.judging import Subject
    from unbraid.runs import Run

HELD_OUT = 500  # observations, a quarter of an evaluation's, since there are many weights
Point = dict[str, Any]


def follow(
    run: Path,
    metrics: str = "factor_vae,squared_error",
    steps: tuple[int, ...] = (),
    max_codes: int = 5000,
    seed: int = 0,
    data: "Data | None" = None,
) -> "Run":
    """Score the weights kept during training, into `evaluation/over_training.json`.

    Metrics are those of `evaluate`, on the same data and under the same protocols, but from fewer observations; the
    evidence is left out. What was measured before with the same weights, data, settings and code is kept and not
    measured again. A run that is not finished yet is followed as far as it has come.

    Args:
        run: run folder, trained with `training.snapshots`.
        metrics: names with commas between, standard or all, as for `evaluate`.
        steps: whose weights to score, out of those kept; default: all.
        max_codes: largest number of observations to encode; a larger grid of factors is thinned evenly, as the result
            states. At most 500 held-out observations are used for what is no metric of factors.
        seed: of everything random.
        data: observations to score instead (needed for a run on data in memory).

    Raises:
        ValueError: no run, one without snapshots, steps that were not kept, or an unknown metric.
    """
    wanted = chosen(metrics)
    from unbraid.recipes.evaluation import held_out
    from unbraid.recipes.judging import Subject
    from unbraid.runs import Run

    opened = Run(run)
    kept = opened.snapshots()
    due = _due(opened, kept, steps)
    judged = held_out(opened)[1] if data is None else data
    found, seconds = _before(opened, max_codes, seed), _clock(opened)
    for step in sorted({*due, *found}):
        before = found.pop(step, {})
        if step not in kept:
            continue
        subject = Subject(opened, judged, max_codes, seed, wanted, kept[step], HELD_OUT)
        if step in due:
            found[step] = {"step": step, "seconds": seconds(step), **_judged(subject, before)}
        elif before["state"] == subject.memory.state:
            found[step] = before
        points = [found[step] for step in sorted(found)]
        opened.save_over_training({"points": points, "max_codes": max_codes, "seed": seed})
    return opened


def _due(run: "Run", kept: Mapping[int, str], steps: tuple[int, ...]) -> list[int]:
    """The steps to score, in their order."""
    if not kept:
        raise ValueError(
            f"expected weights kept during training in '{run.path}', got none; train with training.snapshots=N (on the "
            "command line --training.snapshots N) to keep them every N steps"
        )
    missing = sorted(set(steps) - set(kept))
    if missing:
        names = ", ".join(map(str, kept))
        raise ValueError(f"expected steps whose weights are kept in '{run.path}' ({names}), got {missing}")
    return sorted(set(steps) or kept)


def _before(run: "Run", max_codes: int, seed: int) -> dict[int, Point]:
    """Points that were measured with these settings."""
    before = run.over_training()
    if before is None or (before["max_codes"], before["seed"]) != (max_codes, seed):
        return {}
    return {point["step"]: point for point in before["points"]}


def _clock(run: "Run") -> Callable[[int], float]:
    """Seconds of training at a step: as logged there, or between the lines before and after it."""
    import numpy as np

    logged = {0: 0.0}
    for line in [*run.metrics(), run.status]:  # at one step, the training line comes before that of the validation
        logged.setdefault(line["step"], line["seconds"])
    steps = sorted(logged)
    times = [logged[step] for step in steps]
    return lambda step: round(float(np.interp(step, steps, times)), 3)


def _judged(subject: "Subject", before: Point) -> Point:
    """What is known of a snapshot, with what is still to be measured.

    `state` tells weights, data, settings and code from others; `asked` are the metrics that were asked for so far.
    """
    import torch

    state, names = subject.memory.state, {name for name in ALL if subject.wanted(name)}
    if before.get("state") != state:
        before = {"results": [], "left_out": [], "asked": []}
    if names <= set(before["asked"]):
        return {name: before[name] for name in ("results", "left_out", "state", "asked")}
    with torch.no_grad():
        _ask(subject, names - set(before["asked"]))
        subject.measure()
    measured = [{**result.to_dict(), "subject": name} for name, result in subject.results]
    reasons = [{"subject": name, "reason": reason} for name, reason in subject.left_out]
    again = {_what(each) for each in measured}
    return {
        "results": measured + [each for each in before["results"] if _what(each) not in again],
        "left_out": reasons + [each for each in before["left_out"] if each not in reasons],
        "state": state,
        "asked": sorted(names | set(before["asked"])),
    }


def _what(result: dict[str, Any]) -> tuple[str, str, str]:
    return result["subject"], result["metric"], result["protocol"]


def _ask(subject: "Subject", names: set[str]) -> None:
    """Ask for these metrics, computing no more than they need."""
    from unbraid.data import FactorData
    from unbraid.recipes.judging import likelihoods, reconstructions
    from unbraid.recipes.judging_classes import judge_classes
    from unbraid.recipes.judging_factors import judge_factors
    from unbraid.recipes.judging_populations import judge_populations

    if names & {"squared_error", "active_units"}:
        reconstructions(subject)
    if names & {"negative_log_likelihood", "negative_elbo", "kl_per_latent"}:
        likelihoods(subject)
    if names & set(FACTORS) and isinstance(subject.data, FactorData):
        judge_factors(subject)
    if names & set(POPULATIONS) and len(subject.data.populations) > 1:
        judge_populations(subject)
    if names & {"classification", "calibration_error"}:
        judge_classes(subject, len(subject.index))
