"""The process of one job: reads it as a line of JSON from standard input, trains and judges.

When standard input ends, whoever started it wants it to stop, or is gone: it takes a checkpoint and leaves.
"""

import _thread
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from unbraid import recipes
from unbraid.recipes.existing import check_same
from unbraid.sweeps.job import DIVERGED, FAILED, FINISHED, REFUSED, STOPPED, Job, given, trains, typed
from unbraid.sweeps.judged import judge

try:
    import fcntl
except ImportError:
    fcntl = None

PATIENCE = 120.0  # seconds to take a checkpoint in, before a process whose sweep is gone ends itself
EVERY = 0.5  # seconds between looks whether a run is free


def main() -> int:
    """Work; the exit code is 0, 1 if it failed, 2 if it was refused, 3 if it diverged, 130 if it was stopped."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a job of a shell may have been started with them ignored
        signal.signal(number, signal.default_int_handler)
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("unbraid").setLevel(logging.INFO)
    try:
        job = Job.from_plain(json.loads(_line()))
        threading.Thread(target=_leave_with_the_sweep, daemon=True).start()
        work(job)
    except KeyboardInterrupt:
        return _said("stopped", STOPPED)
    except ValueError as error:
        return _said(str(error), REFUSED)
    except ArithmeticError as error:
        return _said(str(error), DIVERGED)
    except Exception as error:
        logging.getLogger("unbraid").exception("failed")
        return _said(f"{type(error).__name__}: {error}", FAILED)
    return FINISHED


def work(job: Job) -> None:
    """Train what the job says, or go on with it, and judge it."""
    recipe = trains(job.recipe)
    options = typed(recipe, job.arguments)
    with _alone(job):
        if (job.path / "run.json").is_file():
            check_same(recipe, job.path, given(job, options))
            recipes.resume(job.path)
        else:
            recipe(job.path, **options)
        judge(job)


@contextmanager
def _alone(job: Job) -> Iterator[None]:
    """Wait until no process of another sweep is at work on this run, or what a killed one has left behind."""
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.with_suffix(".lock").open("w") as handle:  # not in the run's folder, which must be new
        waiting = False
        while fcntl is not None:  # not on Windows
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waiting:
                    logging.getLogger("unbraid").info("waits for another process that is at work on '%s'", job.path)
                waiting = True
                time.sleep(EVERY)
        yield


def _said(message: str, code: int) -> int:
    print(" ".join(message.split()), file=sys.stderr, flush=True)  # noqa: T201
    return code


def _line() -> bytes:
    """The first line of standard input, and nothing beyond it, which a buffer would take."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line


def _leave_with_the_sweep() -> None:
    while os.read(0, 4096):
        pass
    _thread.interrupt_main()
    time.sleep(PATIENCE)
    os._exit(STOPPED)


if __name__ == "__main__":
    sys.exit(main())
