"""How far a table of runs is, for whoever waits: a live table on a terminal, else a log line now and then."""

import json
import logging
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from unbraid.sweeps.job import Job
from unbraid.sweeps.judged import finished, status

if TYPE_CHECKING:
    from rich.table import Table

LOGGER = logging.getLogger("unbraid")
FIRST, EVERY = 1.0, 30.0  # seconds to the first log line, and between the others
TAIL = 16_384  # bytes of the metrics that are read
ORDER = {"running": 0, "failed": 1, "waiting": 2, "stopped": 3, "finished": 4}


class Pace:
    """Where runs are and how fast they are, from their own metrics; what was seen of a finished run is kept."""

    def __init__(self, jobs: Sequence[Job]):
        self.jobs = jobs
        self.at: dict[Path, int] = {}
        self.each: dict[Path, float] = {}  # seconds a step
        for job in jobs:
            self.look(job)

    def look(self, job: Job) -> None:
        """Read what a run has logged by now."""
        lines = training_lines(job.path / "metrics.jsonl")
        if not lines:
            self.at[job.path] = 0
            return
        (first, began), (last, now) = lines[0], lines[-1]
        self.at[job.path] = job.steps if finished(job.path) else last
        self.each[job.path] = (now - began) / (last - first) if last > first else now / max(1, last)

    def seconds_a_step(self, job: Job) -> float | None:
        """Of the run itself, else of its method, else of all; None if nothing is known yet."""
        if job.path in self.each:
            return self.each[job.path]
        same = [self.each[other.path] for other in self.jobs if other.path in self.each and other.method == job.method]
        known = same or list(self.each.values())
        return sum(known) / len(known) if known else None

    def left(self, job: Job) -> float | None:
        """Seconds of training that are left of a run."""
        each = self.seconds_a_step(job)
        return None if each is None else each * max(0, job.steps - self.at.get(job.path, 0))


class Watch:
    """Shows the state of every job while it is entered; called with every change."""

    def __init__(self, jobs: Sequence[Job], processes: int):
        self.jobs, self.processes = jobs, processes
        self.states = {job.path: "waiting" for job in jobs}
        self.pace = Pace(jobs)
        self.over = threading.Event()

    def __call__(self, job: Job, state: str, message: str) -> None:
        """Note that a job is in another state."""
        self.states[job.path] = state
        self.pace.look(job)
        if state == "failed" or (state == "waiting" and message):
            LOGGER.warning("%s: %s: %s", job.name, state, message)

    def __enter__(self) -> "Watch":
        target = self._live if sys.stderr.isatty() else self._lines
        self.thread = threading.Thread(target=target, daemon=True)
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.thread.join()

    def line(self) -> str:
        """All in a few words."""
        states = list(self.states.values())
        count = {state: states.count(state) for state in ORDER}
        said = f"{count['finished']} of {len(self.jobs)} done, {count['running']} running, {count['failed']} failed"
        if count["stopped"]:
            return f"{said}, {count['stopped']} stopped"
        if not count["running"] + count["waiting"]:
            return said
        left = self.left()
        return f"{said}, all trained" if left == 0 else f"{said}, {duration(left)} left"

    def left(self) -> float | None:
        """Seconds of training that are left, with as many processes at once as there may be; judging comes on top."""
        open_jobs = [job for job in self.jobs if self.states[job.path] in ("running", "waiting")]
        each = [self.pace.left(job) for job in open_jobs]
        known = [seconds for seconds in each if seconds is not None]
        return max(sum(known) / self.processes, *known) if known and len(known) == len(each) else None

    def look(self) -> None:
        """Read how far the running ones are."""
        for job in self.jobs:
            if self.states[job.path] == "running":
                self.pace.look(job)

    def table(self, rows: int) -> "Table":
        """The first `rows` jobs, those that run first."""
        from rich.table import Table

        table = Table("method", "seed", "state", "step", "steps/s", "left", title=self.line(), box=None)
        ordered = sorted(self.jobs, key=lambda job: ORDER[self.states[job.path]])
        for job in ordered[:rows]:
            table.add_row(*self._row(job))
        if len(ordered) > rows:
            table.caption = f"and {len(ordered) - rows} more"
        return table

    def _row(self, job: Job) -> tuple[str, ...]:
        state = self.states[job.path]
        at, each, runs = self.pace.at.get(job.path, 0), self.pace.each.get(job.path), state == "running"
        if runs:
            state = "judging" if status(job.path).get("status") == "finished" else "training"
        rate = f"{1 / each:.3g}" if runs and each else ""
        left = duration(self.pace.left(job)) if state in ("training", "waiting") else ""
        return job.method, str(job.seed), state, f"{at:,} of {job.steps:,}", rate, left

    def _lines(self) -> None:
        wait = FIRST
        while not self.over.wait(wait):
            self.look()
            LOGGER.info(self.line())
            wait = EVERY
        LOGGER.info(self.line())

    def _live(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)  # standard output is for results
        with Live(console=console, auto_refresh=False, redirect_stdout=False) as live:
            while True:
                ended = self.over.wait(1.0)
                self.look()
                live.update(self.table(max(3, console.height - 5)), refresh=True)
                if ended:
                    return


def training_lines(file: Path) -> list[tuple[int, float]]:
    """Step and seconds of the last logged training windows; nothing where nothing was logged."""
    try:
        with file.open("rb") as opened:
            start = max(0, opened.seek(0, 2) - TAIL)
            opened.seek(start)
            lines = opened.read().split(b"\n")[bool(start) : -1]
        values = [json.loads(line) for line in lines]
        return [(each["step"], each["seconds"]) for each in values if each["split"] == "train"]
    except (OSError, ValueError, LookupError, TypeError):  # not there yet, or damaged
        return []


def duration(seconds: float | None) -> str:
    """In words, as precisely as an estimate can be."""
    if seconds is None:
        return "unknown time"
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {seconds:.0f} s"
