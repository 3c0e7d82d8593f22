"""The executor: every job in a process of its own, so that one that fails or is killed takes no other with it."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from unbraid.sweeps.job import DIVERGED, FINISHED, REFUSED, STOPPED, Job, Outcome
from unbraid.sweeps.judged import complete, finished

LOGGER = logging.getLogger("unbraid")
Observer = Callable[[Job, str, str], None]  # a job, its new state (waiting, running, or an outcome's), a message
EVERY = 0.1  # seconds between looks at the processes
PATIENCE, LAST = 60.0, 10.0  # seconds to take a checkpoint and stop in, and after SIGTERM; then it is killed


def execute(jobs: Sequence[Job], processes: int, threads: int, observer: Observer) -> list[Outcome]:
    """Train and judge every job, `processes` at once with `threads` threads each; one outcome a job, in their order.

    A job that fails is tried once more if it has a checkpoint to go on from, unless it diverged or was refused, which
    would happen again. SIGINT or SIGTERM makes the processes take a checkpoint and stop, a second one kills them; what
    was not finished is then `stopped`. Jobs that are complete are not touched.
    """
    from unbraid.training.interruption import StopRequest

    crew = _Crew(jobs, threads, observer)
    with StopRequest() as request:
        try:
            while crew.busy and not request.wanted:
                crew.start(processes)
                time.sleep(EVERY)
                crew.look()
        except KeyboardInterrupt:  # the second signal
            pass
        finally:
            crew.stop()
    return [crew.outcomes.get(job.path, Outcome(job, "stopped", "not finished")) for job in jobs]


class _Crew:
    """Jobs that wait, processes that run, and outcomes by path."""

    def __init__(self, jobs: Sequence[Job], threads: int, observer: Observer):
        self.threads, self.observer = threads, observer
        self.waiting: deque[Job] = deque()
        self.running: list[_Process] = []
        self.outcomes: dict[object, Outcome] = {}
        self.retried: set[object] = set()
        for job in jobs:
            if complete(job):
                self.settle(Outcome(job, "finished", "was there already"))
            else:
                self.waiting.append(job)

    @property
    def busy(self) -> bool:
        return bool(self.waiting or self.running)

    def start(self, processes: int) -> None:
        while self.waiting and len(self.running) < processes:
            job = self.waiting.popleft()
            self.running.append(_Process(job, self.threads))
            self.observer(job, "running", "")

    def look(self) -> None:
        """Settle those that ended."""
        for process in [each for each in self.running if each.code is not None]:
            self.running.remove(process)
            self.ended(process)

    def ended(self, process: "_Process") -> None:
        job, code = process.job, process.code
        process.ask()  # closes its input
        if code == FINISHED:
            self.settle(Outcome(job, "finished"))
            return
        message = process.message()
        again = code not in (REFUSED, DIVERGED, STOPPED) and job.path not in self.retried
        if again and ((job.path / "checkpoint.pt").is_file() or finished(job.path)):
            self.retried.add(job.path)
            self.waiting.append(job)
            self.observer(job, "waiting", f"{message}; tried once more from its checkpoint")
        else:
            self.settle(Outcome(job, "failed", f"{message} (see '{job.log}')"))

    def settle(self, outcome: Outcome) -> None:
        self.outcomes[outcome.job.path] = outcome
        self.observer(outcome.job, outcome.state, outcome.message)

    def stop(self) -> None:
        """Let the processes take their checkpoints and end; what they do not do in time is done for them."""
        try:
            for process in self.running:
                process.ask()
            self.wait(PATIENCE)
            for process in self.running:
                process.send(signal.SIGTERM)
            self.wait(LAST)
        except KeyboardInterrupt:  # a signal while it waits: at once
            pass
        finally:
            for process in self.running:
                process.kill()
        for process in self.running:
            state = "finished" if process.code == FINISHED else "stopped"
            self.settle(Outcome(process.job, state, "" if state == "finished" else "goes on with the same command"))
        for job in self.waiting:
            self.settle(Outcome(job, "stopped", "not begun" if not job.path.exists() else "to be gone on with"))
        self.running.clear()
        self.waiting.clear()

    def wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and any(process.code is None for process in self.running):
            time.sleep(EVERY)


class _Process:
    """The worker of a job, in a session of its own, so that Ctrl-C in a terminal reaches it through the sweep alone."""

    def __init__(self, job: Job, threads: int):
        self.job = job
        job.log.parent.mkdir(parents=True, exist_ok=True)
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        with job.log.open("ab") as log:
            self.begins = log.tell()
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "unbraid.sweeps.worker"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **dict.fromkeys(names, str(threads))},
            )
        assert self.popen.stdin is not None
        self.input = self.popen.stdin
        with suppress(OSError):  # it has ended already, and its exit code says how
            self.input.write(json.dumps(job.to_plain()).encode() + b"\n")
            self.input.flush()

    @property
    def code(self) -> int | None:
        return self.popen.poll()

    def ask(self) -> None:
        """To take a checkpoint and end: its standard input ends, which it hears even before it minds signals."""
        with suppress(OSError):  # it has ended
            self.input.close()

    def send(self, number: int) -> None:
        if self.code is None:
            self.popen.send_signal(number)

    def kill(self) -> None:
        """With whatever it started."""
        if self.code is None:
            if hasattr(os, "killpg"):  # not on Windows
                os.killpg(self.popen.pid, signal.SIGKILL)
            else:
                self.popen.kill()
        self.popen.wait()
        self.ask()

    def message(self) -> str:
        """Why it ended: the last thing that it wrote, or the signal that killed it."""
        code = self.code
        if code is not None and code < 0:
            reason = ", as when memory runs out" if -code == signal.SIGKILL else ""
            return f"killed by {signal.Signals(-code).name}{reason}"
        with self.job.log.open("rb") as log:
            log.seek(self.begins)
            lines = log.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), f"ended with code {code}")
