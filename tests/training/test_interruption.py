"""A real process, really stopped: it saves before it goes, and resuming gives the weights it would have had."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from unbraid.recipes import resume
from unbraid.runs import Run

ARGUMENTS = ["--count", "100", "--widths", "[8]", "--training.steps", "2500", "--training.log_every", "30"]


def start(out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "unbraid", "train", "vectors", str(out), *ARGUMENTS]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True)


def without_times(run: Run) -> list[dict]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in run.metrics()]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "termination"])
def test_a_stopped_process_saves_and_resumes_exactly(tmp_path, number):
    process = start(tmp_path / "stopped")
    metrics = tmp_path / "stopped" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.is_file() and metrics.stat().st_size > 1000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130, message
    assert "resume" in message
    stopped = Run(tmp_path / "stopped")
    assert stopped.status["status"] == "interrupted"
    assert 0 < stopped.status["step"] < 2500
    resume(stopped.path)
    whole_process = start(tmp_path / "whole")
    _, message = whole_process.communicate(timeout=120)
    assert whole_process.returncode == 0, message
    whole = Run(tmp_path / "whole")
    assert (stopped.path / "weights.safetensors").read_bytes() == (whole.path / "weights.safetensors").read_bytes()
    assert without_times(stopped) == without_times(whole)
    assert (stopped.path / "weights.safetensors").stat().st_mode & 0o077 == 0o044
