"""A whole sweep: planned, checked, executed, watched, written down and summed up."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from unbraid import recipes
from unbraid.sweeps.checking import check_jobs
from unbraid.sweeps.collecting import Measured, collect, measured, write_csv
from unbraid.sweeps.combinations import table
from unbraid.sweeps.execution import execute
from unbraid.sweeps.job import Job, Judging, Outcome
from unbraid.sweeps.watching import Watch

try:
    import fcntl
except ImportError:
    fcntl = None


@dataclass(frozen=True)
class Swept:
    """What became of a table of runs.

    out: folder with `sweep.json` and `results.csv`.
    outcomes: one a job, in their order.
    """

    out: Path
    outcomes: tuple[Outcome, ...]

    @property
    def results(self) -> Path:
        """Everything that was measured."""
        return self.out / "results.csv"

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Those that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.state == "failed")

    @cached_property
    def measured(self) -> list[Measured]:
        """The main measures, each over the seeds of a method."""
        return measured(collect([outcome.job for outcome in self.outcomes]))


def sweep(
    recipe: recipes.Recipe[...],
    out: Path,
    seeds: Sequence[int] = (0,),
    over: Mapping[str, Sequence[Any]] | None = None,
    judging: Judging | None = Judging(),  # noqa: B008 (frozen)
    processes: int | None = None,
    threads: int = 1,
    options: Mapping[str, Any] | None = None,
) -> Swept:
    """Train every combination of values for every seed, in `out/COMBINATION/seed-N`, and judge each.

    What an earlier call finished is kept, what it began is resumed. Raises KeyboardInterrupt where a signal stopped it.

    Args:
        recipe: what to train.
        out: folder to make or to go on with.
        seeds: of the runs.
        over: values of the arguments that are varied, as they are or as text; `training.learning_rate` and the like
            for settings of the training.
        judging: how each run is judged; None trains only.
        processes: runs at once; default: as many as the cores allow for.
        threads: of each process.
        options: other arguments of the recipe, one for all runs.

    Raises:
        ValueError: before anything starts: an argument or metric is bad, or a folder holds something else.
    """
    return carry_out(table(recipe, out, seeds, over or {}, judging, options or {}), out, processes, threads)


def carry_out(jobs: Sequence[Job], out: Path, processes: int | None = None, threads: int = 1) -> Swept:
    """Check, execute and show a table of runs; keeps `out/sweep.json` and `out/results.csv`; as `sweep`.

    Raises:
        ValueError: before anything starts: a job is bad, or its folder holds something else.
    """
    for name, number in (("processes", processes), ("threads", threads)):
        if number is not None and number < 1:
            raise ValueError(f"expected {name} of at least 1, got {number}")
    check_jobs(jobs)
    count = max(1, _cores() // threads) if processes is None else processes
    with _alone(out):
        outcomes = _watched(jobs, out, count, threads)
        write_csv(out / "results.csv", collect(jobs))
    if any(outcome.state == "stopped" for outcome in outcomes):
        raise KeyboardInterrupt
    return Swept(out, tuple(outcomes))


def _watched(jobs: Sequence[Job], out: Path, processes: int, threads: int) -> list[Outcome]:
    record = _Record(jobs, out)
    with Watch(jobs, processes) as watch:

        def observer(job: Job, state: str, message: str) -> None:
            record(job, state, message)
            watch(job, state, message)

        outcomes = execute(jobs, processes, threads, observer)
    states = {outcome.state for outcome in outcomes}
    record.close(next((state for state in ("stopped", "failed") if state in states), "finished"))
    return outcomes


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder for one sweep; released when the process ends, however it does."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "sweep.lock").open("w") as handle:
        if fcntl is not None:  # not on Windows
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ValueError(
                    f"expected '{out}' to be free, but another sweep is at work there; wait for it, or stop it"
                ) from error
        yield


class _Record:
    """`sweep.json`: the table, with the state of every job as it is now."""

    def __init__(self, jobs: Sequence[Job], out: Path):
        self.file, self.state = out / "sweep.json", "running"
        self.rows = {job.path: {**job.to_plain(), "state": "waiting", "message": ""} for job in jobs}
        self.write()

    def __call__(self, job: Job, state: str, message: str) -> None:
        self.rows[job.path] |= {"state": state, "message": message}
        self.write()

    def close(self, state: str) -> None:
        self.state = state
        self.write()

    def write(self) -> None:
        from unbraid.runs import write_atomically

        whole = {"format": 1, "state": self.state, "jobs": list(self.rows.values())}
        write_atomically(self.file, (json.dumps(whole, indent=1) + "\n").encode())


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
