"""A reproduction as numbers: every measure of every method over seeds, and the verdict on every claim."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from unbraid.configuration import Plain
from unbraid.metrics import Summary
from unbraid.reproductions.experiment import Experiment, Measure, Scale
from unbraid.reproductions.jobs import differences, updates_of
from unbraid.reproductions.numbers import Judged, Row, chance_level, judged, kept, measured, notes, spread, summary
from unbraid.sweeps import Job


@dataclass(frozen=True)
class Line:
    """A measure of a method.

    every: over all seeds; chosen: over the best or worst of them that the paper's figure keeps, None if those are all.
    published: the paper's value; chance: what a code that knows nothing gets, where there is such a level.
    notes: what speaks against trusting it, by seed.
    """

    measure: Measure
    method: str
    seeds: tuple[int, ...]
    every: Summary
    chosen: Summary | None
    published: float | None
    chance: float | None
    notes: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Summed:
    """All that a page says in numbers.

    seeds: of the runs, as asked for; seconds: of training, of all runs together; steps: by method; runs: how many were
    measured; outdated: how many of them by other code or libraries; options: that were set by hand.
    """

    experiment: Experiment
    scale: Scale
    lines: tuple[Line, ...]
    verdicts: tuple[Judged, ...]
    seeds: tuple[int, ...]
    seconds: float
    steps: dict[str, int]
    runs: int
    expected: int
    outdated: int
    machine: str
    versions: dict[str, str]
    options: tuple[str, ...] = ()
    plain: dict[str, Plain] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "plain", _plain(self))


def summed(
    experiment: Experiment, scale: Scale, jobs: Sequence[Job], rows: Sequence[Row], options: Sequence[str] = ()
) -> Summed:
    """The numbers of an experiment's rows."""
    from unbraid.runs import Run, machine, versions
    from unbraid.sweeps.judged import complete, outdated

    found, by_name = measured(rows, experiment), {measure.name: measure for measure in experiment.measures}
    lines = [
        _line(rows, by_name[name], method, each, experiment.share)
        for name, by_method in found.items()
        for method, each in by_method.items()
    ]
    verdicts = [judged(rows, claim, experiment.share) for claim in experiment.claims]
    there = [Run(job.path) for job in jobs if complete(job)]
    machines = sorted({run.record["machine"] for run in there}) or [machine()]
    steps = {method.name: updates_of(experiment, method, scale) for method in experiment.methods}
    seconds = sum(float(run.status["seconds"]) for run in there)
    used = there[0].record["versions"] if there else versions()
    return Summed(
        experiment,
        scale,
        tuple(lines),
        tuple(verdicts),
        tuple(dict.fromkeys(job.seed for job in jobs)),
        seconds,
        steps,
        len(there),
        len(jobs),
        sum(map(outdated, jobs)),
        "; ".join(machines),
        used,
        tuple(options),
    )


def _line(rows: Sequence[Row], measure: Measure, method: str, found: dict[int, float], share: float | None) -> Line:
    each = list(found.values())
    chosen = summary(each, measure, share) if kept(len(each), share) else None
    chance = chance_level(rows, measure, method)
    published = measure.published.get(method)
    against = {} if measure.metric == "seconds" else notes(rows, measure, method)
    return Line(measure, method, tuple(found), summary(each, measure), chosen, published, chance, against)


def _plain(found: Summed) -> dict[str, Any]:
    return {
        "reproduction": found.experiment.name,
        "scale": found.scale,
        "differs from the paper": differences(found.experiment, found.scale),
        "options set": list(found.options),
        "runs": found.runs,
        "runs judged by other code": found.outdated,
        "seconds of training": round(found.seconds, 1),
        "updates": found.steps,
        "machine": found.machine,
        "versions": found.versions,
        "measures": [
            {
                "measure": line.measure.name,
                "method": line.method,
                "seeds": list(line.seeds),
                "all": _interval(line.every),
                "chosen": None if line.chosen is None else _interval(line.chosen),
                "published": line.published,
                "chance": line.chance,
                "notes": {str(seed): note for seed, note in line.notes.items()},
            }
            for line in found.lines
        ],
        "claims": [
            {
                "claim": judged.claim.says,
                "measure": judged.claim.measure.name,
                "difference": None if judged.difference is None else _interval(judged.difference),
                "verdict": judged.verdict,
            }
            for judged in found.verdicts
        ],
    }


def _interval(found: Summary) -> dict[str, Any]:
    low, high = (None if math.isnan(end) else end for end in (found.low, found.high))
    deviation = spread(found)
    return {
        "mean": found.mean,
        "low": low,
        "high": high,
        "which": found.which,
        "interval": found.method,
        "standard deviation": None if math.isnan(deviation) else deviation,
        "wins": found.wins,
        "values": list(found.values),
    }
