"""Resuming gives the uninterrupted run, bit for bit, however the run was cut off."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unbraid.data import Arrays
from unbraid.objectives.contract import Adversarial
from unbraid.runs import Run
from unbraid.settings import Training
from unbraid.training import resume, train
from unbraid.types import Batch

SHORT = Training(
    steps=24,
    batch_size=8,
    learning_rate=1e-2,
    log_every=4,
    validate_every=6,
    checkpoint_seconds=0,
    snapshots=10,
    device="cpu",
)


class Interrupting(Arrays):
    """The same data, but whoever asks for the n-th batch presses Ctrl-C."""

    left = 10**9

    def batch(self, index) -> Batch:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().batch(index)


def interrupting(data: Arrays, batches: int) -> Interrupting:
    names = None if data.population is None else np.array(data.populations)[data.population]
    made = Interrupting(data.x, names)
    assert made.fingerprint() == data.fingerprint()
    made.left = batches + 2  # the checks before training take two
    return made


def lines(run: Run) -> list[dict]:
    """The metrics without what differs between any two runs."""
    return [{key: value for key, value in line.items() if key != "seconds"} for line in run.metrics()]


def assert_same(one: Run, two: Run) -> None:
    assert (one.path / "weights.safetensors").read_bytes() == (two.path / "weights.safetensors").read_bytes()
    assert lines(one) == lines(two)
    assert one.status["step"] == two.status["step"]
    assert one.status["message"] == two.status["message"]
    assert sorted(file.name for file in one.path.iterdir()) == sorted(file.name for file in two.path.iterdir())
    assert one.snapshots() == two.snapshots()
    assert all(one.weights_checksum(name) == two.weights_checksum(name) for name in one.snapshots().values())


def whole(make: Callable, out: Path, training: Training = SHORT) -> Run:
    task = make()
    return train(task.model, task.objective, task.data, out, training, task.validation)


def cut_off(make: Callable, out: Path, after: int, training: Training = SHORT) -> Run:
    """A run that Ctrl-C ended after so many updates."""
    task = make()
    data = interrupting(task.data, after * (1 + isinstance(task.objective, Adversarial)))  # which draws a second batch
    with pytest.raises(KeyboardInterrupt):
        train(task.model, task.objective, data, out, training, task.validation)
    return Run(out)


@pytest.mark.parametrize("after", [0, 13])
def test_an_interrupted_run_resumes_to_the_same_weights(task: Callable, tmp_path: Path, after: int):
    run = cut_off(task, tmp_path / "cut", after)
    assert run.status["status"] == "interrupted"
    assert run.status["step"] == after
    done = resume(run.path, task().data, task().validation)
    assert done.status["status"] == "finished"
    assert_same(done, whole(task, tmp_path / "whole"))


def test_a_run_resumed_elsewhere_says_what_is_not_as_it_was(vae: Callable, tmp_path: Path, caplog):
    run, task = cut_off(vae, tmp_path / "cut", 3), vae()
    file = run.path / "run.json"
    file.write_text(json.dumps({**run.record, "versions": {**run.record["versions"], "torch": "1.0"}}))
    with caplog.at_level(logging.WARNING, logger="unbraid"):
        resume(run.path, task.data, task.validation)
    assert "torch was 1.0" in caplog.text
    assert "machine was" not in caplog.text


def test_early_stopping_goes_on_waiting_where_it_was(vae: Callable, tmp_path: Path):
    patient = {"steps": 400, "patience": 3, "validate_every": 10, "log_every": 5, "batch_size": 41}
    training = Training(**{**SHORT.__dict__, **patient, "learning_rate": 0.05})
    one = whole(vae, tmp_path / "whole", training)
    stopped, task = one.status["step"], vae()
    assert stopped < 400
    for before_the_end in (25, 4):  # the second time it had been waiting for two validations
        run = cut_off(vae, tmp_path / str(before_the_end), stopped - before_the_end, training)
        assert_same(resume(run.path, task.data, task.validation), one)
        task = vae()


def test_a_run_may_be_interrupted_again_and_again(cpvae: Callable, tmp_path: Path):
    run, task = cut_off(cpvae, tmp_path / "cut", 5), cpvae()
    for more in (1, 6, 9):
        data = interrupting(task.data, more)
        data.left = more
        with pytest.raises(KeyboardInterrupt):
            resume(run.path, data, task.validation)
    assert_same(resume(run.path, task.data, task.validation), whole(cpvae, tmp_path / "whole"))


def test_the_number_of_checkpoints_changes_nothing(cpvae: Callable, tmp_path: Path):
    rare = Training(**{**SHORT.__dict__, "checkpoint_seconds": 1e9})
    assert_same(whole(cpvae, tmp_path / "one", rare), whole(cpvae, tmp_path / "two"))


def test_a_finished_run_is_returned_as_it_is(vae: Callable, tmp_path: Path):
    run = whole(vae, tmp_path / "run")
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in run.path.rglob("*.*") if file.is_file()}
    assert resume(run.path).path == run.path
    assert {
        file: (file.read_bytes(), file.stat().st_mtime_ns) for file in run.path.rglob("*.*") if file.is_file()
    } == before


def test_the_checkpoint_before_the_last_is_kept_and_goes_on(task: Callable, tmp_path: Path):
    run, made = cut_off(task, tmp_path / "cut", 14), task()
    last, previous = (torch.load(run.path / name, weights_only=True) for name in FILES)
    assert (last["step"], previous["step"]) == (14, 13)
    (run.path / FILES[0]).write_bytes(b"damaged")
    with pytest.raises(ValueError, match=rf"expected a checkpoint in '.*{FILES[0]}'.*damaged.*delete it to go on from"):
        resume(run.path, made.data, made.validation)
    (run.path / FILES[0]).unlink()
    assert_same(resume(run.path, made.data, made.validation), whole(task, tmp_path / "whole"))


FILES = ("checkpoint.pt", "checkpoint.previous.pt")
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "cut at the end": lambda content: content[:-1],
    "empty": lambda content: b"",
    "random": lambda content: np.random.default_rng(0).bytes(len(content)),
    "text": lambda content: b"no checkpoint",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_refused(vae: Callable, tmp_path: Path, damage: Callable):
    run, task = cut_off(vae, tmp_path / "cut", 0), vae()
    file = run.path / FILES[0]
    file.write_bytes(damage(file.read_bytes()))
    run.log({"step": 1})
    metrics = run.metrics()
    with pytest.raises(ValueError, match=r"expected a checkpoint in .*the file is damaged.*it cannot be resumed"):
        resume(run.path, task.data, task.validation)
    assert run.metrics() == metrics


def test_a_checkpoint_of_another_run_is_refused(vae: Callable, cpvae: Callable, tmp_path: Path):
    run, other, task = cut_off(vae, tmp_path / "a", 6), cut_off(cpvae, tmp_path / "b", 6), vae()
    (run.path / FILES[0]).write_bytes((other.path / FILES[0]).read_bytes())
    with pytest.raises(ValueError, match=r"expected a checkpoint of the run's own model.*got another's; put .* back"):
        resume(run.path, task.data, task.validation)


def test_a_checkpoint_of_another_format_is_refused(vae: Callable, tmp_path: Path):
    run, task = cut_off(vae, tmp_path / "a", 6), vae()
    state = torch.load(run.path / FILES[0], weights_only=True)
    torch.save({**state, "format": 99}, run.path / FILES[0])
    with pytest.raises(ValueError, match=r"expected a checkpoint of format \d+, got 99 in"):
        resume(run.path, task.data, task.validation)


def test_a_run_without_checkpoint_is_refused(vae: Callable, tmp_path: Path):
    run, task = cut_off(vae, tmp_path / "a", 6), vae()
    for name in FILES:
        (run.path / name).unlink()
    before = run.metrics()
    with pytest.raises(ValueError, match=r"expected a checkpoint in .*got none; .*train again"):
        resume(run.path, task.data, task.validation)
    assert run.metrics() == before != []


def test_data_in_memory_must_be_passed_again_and_be_the_same(vae: Callable, tmp_path: Path):
    run, task = cut_off(vae, tmp_path / "a", 6), vae()
    with pytest.raises(ValueError, match=r"expected data .* in memory .*\[41, 4\].*pass the same data again"):
        resume(run.path)
    with pytest.raises(ValueError, match=r"expected the data the run was trained on .*sha256.*, got .*sha256"):
        resume(run.path, Arrays(task.data.x + 1), task.validation)
    with pytest.raises(ValueError, match=r"pass the same data again"):
        resume(run.path, task.data)
    assert run.status["status"] == "interrupted"


# killed for real

SCRIPT = """
import importlib.util, json, sys
import torch

torch.set_num_threads(1)
spec = importlib.util.spec_from_file_location("tasks", sys.argv[2])
tasks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tasks)

from pathlib import Path
from unbraid.settings import Training
from unbraid.training import resume, train

out, task = Path(sys.argv[3]), tasks.fresh(tasks.TASKS[sys.argv[4]])()
training = Training(**json.loads(sys.argv[5]))
if sys.argv[1] == "train":
    train(task.model, task.objective, task.data, out, training, task.validation)
else:
    resume(out, task.data, task.validation)
"""


def start(*command: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
    )


def finish(*command: str) -> None:
    process = start(*command)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error


def kill_after(step: int, out: Path, *command: str) -> int:
    """Start, SIGKILL once a checkpoint of a step beyond `step` is there; the step that the run had come to."""
    process, deadline = start(*command), time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (out / "status.json").is_file() and Run(out).status["step"] > step:
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was to be killed half-way"
    status = Run(out).status
    assert status["status"] == "running"
    return status["step"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "patience"),
    [("CPVAE with batch norm", None), ("SR-VAE", None), ("VAE of vectors", 5), ("FactorVAE", None)],
    ids=["CPVAE with batch norm", "SR-VAE", "early stopping", "FactorVAE"],
)
def test_a_killed_run_resumes_to_the_same_weights(tasks: Any, tmp_path: Path, name: str, patience: int | None):
    steps = 200 if patience is None else 2000
    settings = {"steps": steps, "patience": patience, "batch_size": 8, "learning_rate": 1e-2, "device": "cpu"}
    settings |= {"log_every": 10, "validate_every": 25, "checkpoint_seconds": 0.02}
    one = whole(tasks.fresh(tasks.TASKS[name]), tmp_path / "whole", Training(**settings))
    last = one.status["step"]
    assert (last < steps) is (patience is not None)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    rest = (tasks.__file__, str(tmp_path / "killed"), name, json.dumps(settings))
    assert 0 < kill_after(last // 3, tmp_path / "killed", str(script), "train", *rest) < last
    finish(str(script), "resume", *rest)
    assert_same(Run(tmp_path / "killed"), one)


@pytest.mark.slow
def test_a_killed_command_resumes_to_the_same_weights(tmp_path: Path):
    """The command line's own way, with data that the run folder itself rebuilds."""
    options = {"steps": 300, "log_every": 20, "validate_every": 100, "checkpoint_seconds": 0.02, "device": "cpu"}
    flags = [f"--training.{name}={value}" for name, value in options.items()]
    train_in = ["-m", "unbraid", "train", "vectors", "--count=500", *flags]
    finish(*train_in, str(tmp_path / "whole"))
    assert 0 < kill_after(100, tmp_path / "killed", *train_in, str(tmp_path / "killed")) < 300
    finish("-m", "unbraid", "resume", str(tmp_path / "killed"))
    one, two = Run(tmp_path / "whole"), Run(tmp_path / "killed")
    assert_same(one, two)
    assert json.dumps(one.record["data"]) == json.dumps(two.record["data"])
