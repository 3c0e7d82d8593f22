"""How far a long job is: a bar with the time left on a terminal, log lines elsewhere; never on standard output."""

import logging
import sys
import time
from types import TracebackType

LOGGER = logging.getLogger("unbraid")


class ProgressBar:
    """A progress bar on a terminal; elsewhere a log line every `every` seconds, and one at the end.

    name: what is being done.
    total: units of the whole job, or None if unknown.
    unit: what is counted; "bytes" are shown in millions.
    start: units that are done already; None takes the first that are shown.
    """

    def __init__(
        self, name: str, total: int | None, unit: str = "bytes", every: float = 10.0, start: int | None = None
    ):
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.name, self.total, self.unit, self.every, self.start = name, total, unit, every, start
        self.began = self.last = time.monotonic()
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn() if unit == "bytes" else MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),  # standard output is for results
            disable=not sys.stderr.isatty(),
        )
        self.task = self.bar.add_task(name, total=total, completed=start or 0, note="")

    def __enter__(self) -> "ProgressBar":
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

    def show(self, done: int, note: str = "") -> None:
        """Report that `done` units are done, with something about them."""
        if self.start is None:
            self.start = done
        self.bar.update(self.task, completed=done, note=note)
        now = time.monotonic()
        if self.bar.disable and (now - self.last >= self.every or done == self.total):
            LOGGER.info("%s: %s", self.name, self._line(done, note, now))
            self.last = now

    def _line(self, done: int, note: str, now: float) -> str:
        said = f", {note}" if note else ""
        if self.total is None:
            return f"{self._amount(done)} {self._unit}{said}"
        left = (now - self.began) / max(1, done - (self.start or 0)) * (self.total - done)
        return f"{self._amount(done)} of {self._amount(self.total)} {self._unit}{said}, {left:.0f} s left"

    @property
    def _unit(self) -> str:
        return "MB" if self.unit == "bytes" else self.unit

    def _amount(self, count: int) -> str:
        return f"{count / 1e6:.1f}" if self.unit == "bytes" else f"{count:,}"
