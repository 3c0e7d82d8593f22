"""What was measured on many runs, as one table, and what it says over seeds."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unbraid.sweeps.job import Job
from unbraid.sweeps.judged import complete, status

if TYPE_CHECKING:
    from unbraid.metrics import Summary

COLUMNS = (
    "method",
    "seed",
    "run",
    "subject",
    "metric",
    "protocol",
    "value",
    "chance",
    "ceiling",
    "step",
    "seconds",
    "note",
)
MAIN = ("factor_vae", "mig", "clustering_ari", "canonical_correlation", "squared_error", "negative_elbo")
Row = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """A measure of a method over its seeds.

    measure: metric and subject; of a metric under several protocols it is the first one.
    values: of the runs by seed, each a mean over what the subject names several of.
    """

    method: str
    measure: str
    values: Mapping[int, float]

    @property
    def summary(self) -> "Summary | None":
        """Mean and 95% interval over seeds; None for one seed, which says nothing of others."""
        from unbraid.metrics import summarise

        return summarise(tuple(self.values.values())) if len(self.values) > 1 else None

    def __str__(self) -> str:
        summary = self.summary
        if summary is None:
            return f"{next(iter(self.values.values())):.4g} (one seed)"
        return f"{summary.mean:.4g} (95% {summary.low:.4g} to {summary.high:.4g}, {len(self.values)} seeds)"


def collect(jobs: Sequence[Job]) -> list[Row]:
    """A row for everything that was measured on the runs that are trained and judged as their jobs say.

    method, seed, run: of which job, and where it is. subject, metric, protocol, value, chance, ceiling: of the result.
    step: None for the final weights, else the updates after which the measured ones were kept. seconds: of training
    until then. note: what speaks against trusting the value; None if nothing does.
    """
    return [row for job in jobs if complete(job) for row in _rows(job)]


def measured(rows: Sequence[Row]) -> list[Measured]:
    """The main measures of the final weights, in the order of the methods."""
    protocols: dict[tuple[str, str], str] = {}  # the mean over two protocols would mean nothing
    found: dict[tuple[str, str], dict[int, list[float]]] = {}
    for row in rows:
        metric, subject = row["metric"], row["subject"]
        if row["step"] is not None or metric not in MAIN:
            continue
        if protocols.setdefault((metric, subject), row["protocol"]) == row["protocol"]:
            name = f"{metric} {subject.partition(',')[0]}"
            found.setdefault((row["method"], name), {}).setdefault(row["seed"], []).append(row["value"])
    return [
        Measured(method, name, {seed: sum(each) / len(each) for seed, each in values.items()})
        for (method, name), values in found.items()
    ]


def write_csv(file: Path, rows: Sequence[Row]) -> None:
    """Write the table, whole or not at all; nothing stands for None."""
    from unbraid.runs import write_atomically

    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([[row[name] for name in COLUMNS] for row in rows])
    write_atomically(file, text.getvalue().encode())


def _rows(job: Job) -> list[Row]:
    from unbraid.runs import Run

    run, whole = Run(job.path), status(job.path)["seconds"]
    final = (run.evaluation() or {}).get("results", [])
    rows = [_row(job, result, None, whole) for result in final]
    for point in (run.over_training() or {}).get("points", []):
        rows += [_row(job, result, point["step"], point["seconds"]) for result in point["results"]]
    return rows


def _row(job: Job, result: Mapping[str, Any], step: int | None, seconds: float) -> Row:
    said = {name: result.get(name) for name in ("subject", "metric", "protocol", "value", "chance", "ceiling")}
    note = (result.get("detail") or {}).get("note")
    about = {"step": step, "seconds": seconds, "note": note}
    return {"method": job.method, "seed": job.seed, "run": str(job.path), **said, **about}
