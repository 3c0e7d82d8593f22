"""Progress on a terminal, plain log lines elsewhere."""

import logging
import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LOGGER = logging.getLogger("unbraid")


class Display:
    """A progress bar with the time left on a terminal; elsewhere a log line now and then (every `every` seconds)."""

    def __init__(self, name: str, start: int, steps: int, every: float = 30.0):
        self.name, self.start, self.steps, self.every = name, start, steps, every
        self.began = self.last = time.monotonic()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),  # standard output is for results
            disable=not sys.stderr.isatty(),
        )
        self.task = self.bar.add_task(name, total=steps, completed=start, note="")

    def __enter__(self) -> "Display":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def show(self, step: int, note: str) -> None:
        """Report that `step` updates are made."""
        self.bar.update(self.task, completed=step, note=note)
        now = time.monotonic()
        if self.bar.disable and (now - self.last >= self.every or step == self.steps):
            left = (now - self.began) / max(1, step - self.start) * (self.steps - step)
            LOGGER.info("%s: step %d of %d, %s, %.0f s left", self.name, step, self.steps, note, left)
            self.last = now
