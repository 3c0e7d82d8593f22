"""Real processes: failures are isolated, what was killed goes on, what was stopped goes on to the same weights."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from unbraid.runs import Run
from unbraid.sweeps import Job, Judging, carry_out, collect, execute
from unbraid.sweeps.judged import anew, complete, outdated

pytestmark = pytest.mark.slow
TINY = {"model": "vae", "size": 16, "widths": [2, 2], "latents": 2, "features": 8}
SETTINGS = {"batch_size": 8, "learning_rate": 1e-3, "log_every": 10, "validate_every": 1000, "checkpoint_seconds": 0.1}
STEPS = 500
WORDS = [
    *("--model", "vae", "--size", "16", "--widths", "[2,2]", "--latents", "2", "--features", "8"),
    *(word for name, value in SETTINGS.items() for word in (f"--training.{name}", str(value))),
    *("--training.steps", str(STEPS), "--metrics", "active_units", "--max-codes", "200"),
]


def a_job(folder: Path, method: str, seed: int = 0, judging: Judging | None = None, **training) -> Job:
    settings = {**SETTINGS, "steps": STEPS, "seed": seed, **training}
    return Job(method, seed, folder / method / f"seed-{seed}", "sprites", {**TINY, "training": settings}, judging)


def until(found, seconds: float = 240.0):
    """What `found` returns, once that is something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.05)
    raise TimeoutError("nothing came")


def trainer(path: Path) -> int | None:
    """The process that holds the lock of a run beyond its first checkpoint."""
    if not (path / "checkpoint.previous.pt").exists():
        return None
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(file.resolve() == (path / "lock").resolve() for file in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:  # it has ended
            continue
    return None


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> dict[int, Run]:
    folder = tmp_path_factory.mktemp("uninterrupted")
    swept = carry_out([a_job(folder, "whole", seed) for seed in (0, 1)], folder, 2)
    return {outcome.job.seed: Run(outcome.job.path) for outcome in swept.outcomes}


def same(one: Run, other: Run) -> bool:
    first, second = one.load_weights(), other.load_weights()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="finds the process to kill in /proc")
def test_one_that_is_killed_goes_on_and_one_that_fails_harms_no_other(tmp_path: Path, uninterrupted):
    killed, diverging = a_job(tmp_path, "killed"), a_job(tmp_path, "diverging", learning_rate=1e25)
    other = a_job(tmp_path, "other", 1, steps=5)
    changes: list[tuple[str, str, str]] = []

    def kill() -> None:
        os.kill(until(lambda: trainer(killed.path)), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    outcomes = execute([killed, diverging, other], 2, 1, lambda job, *what: changes.append((job.method, *what)))
    killer.join()
    assert [outcome.state for outcome in outcomes] == ["finished", "failed", "finished"]
    waits = [message for method, state, message in changes if (method, state) == ("killed", "waiting")]
    assert waits == ["killed by SIGKILL, as when memory runs out; tried once more from its checkpoint"]
    assert same(Run(killed.path), uninterrupted[0])
    # it would diverge again, so that it is not tried again
    assert [state for method, state, _ in changes if method == "diverging"] == ["running", "failed"]
    assert "became NaN or infinite at step" in outcomes[1].message
    assert str(diverging.log) in outcomes[1].message
    assert "became NaN or infinite at step" in diverging.log.read_text()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="finds the process in /proc")
def test_a_sweep_that_is_stopped_or_killed_goes_on_to_the_same_weights(tmp_path: Path, uninterrupted):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "unbraid", "sweep", "sprites", str(out), "--seeds", "0-1", "--processes", "2"]
    command += WORDS
    paths = [out / "runs" / f"seed-{seed}" for seed in (0, 1)]

    def start() -> subprocess.Popen:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, **pipes)  # type: ignore[call-overload]

    # killed: nobody tells the processes of the runs, which find out themselves
    process = start()
    pid = until(lambda: trainer(paths[0]))
    process.kill()
    process.communicate()
    until(lambda: not Path(f"/proc/{pid}").exists())
    assert Run(paths[0]).status["status"] == "interrupted"

    # Ctrl-C
    process = start()
    until(lambda: (out / "sweep.json").exists() and any(map(trainer, paths)))
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=240)
    assert (process.returncode, printed) == (130, ""), said
    assert "unbraid: stopped; " in said
    assert "Traceback" not in said
    record = json.loads((out / "sweep.json").read_text())
    assert record["state"] == "stopped"
    assert "stopped" in {job["state"] for job in record["jobs"]}

    # to the end
    process = start()
    printed, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert printed.splitlines()[-1] == str(out / "results.csv")
    assert json.loads((out / "sweep.json").read_text())["state"] == "finished"
    assert all(same(Run(path), uninterrupted[seed]) for seed, path in enumerate(paths))
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {("0", "active_units"), ("1", "active_units")} <= {(row["seed"], row["metric"]) for row in rows}

    # once more, for nothing
    files = {file: file.stat().st_mtime_ns for path in paths for file in path.rglob("*")}
    logs = [file.stat().st_size for file in sorted((out / "logs").iterdir())]
    process = start()
    again, said = process.communicate(timeout=240)
    assert (process.returncode, again) == (0, printed), said
    assert {file: file.stat().st_mtime_ns for path in paths for file in path.rglob("*")} == files
    assert [file.stat().st_size for file in sorted((out / "logs").iterdir())] == logs, "no process was started"


def test_weights_kept_during_training_are_followed_and_collected(tmp_path: Path):
    judging = Judging("active_units", 200, "squared_error", followed_codes=200)
    job = a_job(tmp_path, "a", judging=judging, steps=4, snapshots=2)
    swept = carry_out([job], tmp_path, 1)
    assert [outcome.state for outcome in swept.outcomes] == ["finished"], swept.outcomes
    rows = collect([job])
    assert {(row["metric"], row["step"]) for row in rows} >= {("active_units", None), ("squared_error", 2)}
    assert all(row["method"] == "a" and row["seed"] == 0 and row["seconds"] >= 0 for row in rows)
    assert swept.failed == ()
    note = job.path / "evaluation" / "judged.json"
    before = note.stat().st_mtime_ns
    # results that somebody else has changed since are no longer what was asked for
    results = job.path / "evaluation" / "results.json"
    results.write_text(results.read_text().replace('"seed": 0', '"seed": 9'))
    carry_out([job], tmp_path, 1)
    assert '"seed": 9' not in results.read_text()
    assert note.stat().st_mtime_ns > before


def test_a_run_that_other_code_has_judged_is_known_and_can_be_judged_anew(tmp_path: Path):
    job = a_job(tmp_path, "a", judging=Judging("active_units", 200), steps=4)
    carry_out([job], tmp_path, 1)
    note = job.path / "evaluation" / "judged.json"
    assert not outdated(job)
    note.write_text(json.dumps({**json.loads(note.read_text()), "code": "of an earlier version"}))
    assert outdated(job)
    assert complete(job), "it is not judged anew unasked"
    assert not complete(anew(job))
    carry_out([anew(job)], tmp_path, 1)
    assert complete(job)
    assert not outdated(job)
    before = note.stat().st_mtime_ns
    carry_out([anew(job)], tmp_path, 1)
    assert note.stat().st_mtime_ns == before


def test_a_note_from_before_a_setting_existed_has_its_default(tmp_path: Path):
    job = a_job(tmp_path, "a", judging=Judging("active_units", 200), steps=4)
    carry_out([job], tmp_path, 1)
    note = job.path / "evaluation" / "judged.json"
    before = json.loads(note.read_text())
    del before["judging"]["draws"]["refine"], before["judging"]["followed_codes"]
    note.write_text(json.dumps(before))
    assert complete(job)
    before["judging"]["draws"]["samples"] = 63
    note.write_text(json.dumps(before))
    assert not complete(job)


def test_results_of_another_judging_are_not_collected(tmp_path: Path):
    job = a_job(tmp_path, "a", judging=Judging("active_units", 200), steps=4)
    carry_out([job], tmp_path, 1)
    assert collect([job])
    assert not collect([replace(job, judging=Judging("active_units", 300))])


def test_an_argument_that_is_left_out_is_the_default_and_not_what_the_run_has(tmp_path: Path):
    job = a_job(tmp_path, "a", steps=4)
    carry_out([replace(job, arguments={**job.arguments, "objective": "beta", "strength": 8.0})], tmp_path, 1)
    with pytest.raises(ValueError, match=r"expected .* to be a run with .*'objective': 'elbo'"):
        carry_out([job], tmp_path, 1)


def test_two_sweeps_on_the_same_runs_wait_for_each_other(tmp_path: Path):
    """As two reproductions that share runs; what one has made the other takes."""
    jobs = [a_job(tmp_path, "a", seed, Judging("active_units", 200), steps=200) for seed in (0, 1)]
    found: list[list[str]] = []

    def work(out: Path) -> None:
        found.append([outcome.state for outcome in carry_out(jobs, out, 1).outcomes])

    other = threading.Thread(target=work, args=(tmp_path / "one",))
    other.start()
    work(tmp_path / "two")
    other.join()
    assert found == [["finished", "finished"]] * 2
    assert (tmp_path / "one" / "results.csv").read_bytes() == (tmp_path / "two" / "results.csv").read_bytes()
