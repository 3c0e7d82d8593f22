"""How far a long job is: a bar with the time left on a terminal, log lines elsewhere; never on standard output."""

import logging
import sys
import time
from types import TracebackType

LOGGER = logging.getLogger("unbraid")


class Progress:
    """A progress bar on a terminal; elsewhere a log line every `every` seconds.

    name: what is being done.
    total: units of the whole job, or None if unknown.
    unit: what is counted; "bytes" are shown in thousands and millions.
    """

    def __init__(self, name: str, total: int | None, unit: str = "bytes", every: float = 10.0):
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self.name, self.total, self.unit, self.every = name, total, unit, every
        self.began = self.last = time.monotonic()
        self.start: int | None = None
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn() if unit == "bytes" else MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),  # standard output is for results
            disable=not sys.stderr.isatty(),
        )
        self.task = self.bar.add_task(name, total=total)

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def expect(self, total: int | None) -> None:
        """Say how large the whole job is, once it is known."""
        self.total = total
        self.bar.update(self.task, total=total)

    def show(self, done: int) -> None:
        """Report that `done` units are done; the first call says where this run of the job starts."""
        if self.start is None:
            self.start = done
        self.bar.update(self.task, completed=done)
        now = time.monotonic()
        if self.bar.disable and (now - self.last >= self.every or done == self.total):
            LOGGER.info("%s: %s", self.name, self._line(done, now))
            self.last = now

    def _line(self, done: int, now: float) -> str:
        if self.total is None:
            return f"{_amount(done, self.unit)}"
        left = (now - self.began) / max(1, done - (self.start or 0)) * (self.total - done)
        return f"{_amount(done, self.unit)} of {_amount(self.total, self.unit)}, {left:.0f} s left"


def _amount(count: int, unit: str) -> str:
    return f"{count / 1e6:.1f} MB" if unit == "bytes" else f"{count} {unit}"
