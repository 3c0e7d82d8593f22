"""What is not finite stops the run, says so, and never reaches a checkpoint."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unbraid.data import Arrays
from unbraid.runs import Run
from unbraid.settings import Training
from unbraid.training import DivergedError, resume, train
from unbraid.training.batches import Batches


def diverging(make: Callable, out: Path, **training) -> tuple[str, Run]:
    """The message and the run of a training that does not end well."""
    task = make()
    settings = Training(**{"steps": 60, "batch_size": 8, "checkpoint_seconds": 0, "device": "cpu", **training})
    with pytest.raises(DivergedError) as caught:
        train(task.model, task.objective, task.data, out, settings, task.validation)
    return str(caught.value), Run(out)


def assert_checkpoint_is_good(run: Run) -> int:
    """The step of the last checkpoint, which loads and is finite."""
    state = run.load_checkpoint()
    assert state is not None
    assert all(value.isfinite().all() for value in state["model"].values())
    return state["step"]


@pytest.mark.parametrize("log_every", [1, 60])
def test_a_huge_learning_rate_is_found_out(task: Callable, tmp_path: Path, log_every: int):
    message, run = diverging(task, tmp_path / "run", learning_rate=1e12, log_every=log_every)
    saved = assert_checkpoint_is_good(run)
    assert f"the last good checkpoint is of step {saved} in '{run.path / 'checkpoint.pt'}'" in message
    assert "became NaN or infinite at step" in message
    assert "try a smaller learning rate" in message
    assert run.status["status"] == "failed"
    assert run.status["message"] == message
    assert not (run.path / "weights.safetensors").exists()


def test_the_term_and_the_step_are_named(vae: Callable, tmp_path: Path):
    """One observation's square is beyond single precision; the step that meets it is where it ends."""

    def overflowing():
        task = vae()
        x = task.data.x.copy()
        x[0] = 1e25
        task.data = Arrays(x)
        return task

    where = next(step for step in range(10) if 0 in Batches(overflowing().data, 8, 0)(step))
    message, run = diverging(overflowing, tmp_path / "run", log_every=1)
    assert message.startswith("kl/z, reconstruction, loss became") or message.startswith("reconstruction,")
    assert f"at step {where};" in message
    assert run.status["step"] == where + 1
    assert assert_checkpoint_is_good(run) == where


def test_weights_spoiled_after_a_finite_loss_are_not_saved(vae: Callable, tmp_path: Path):
    message, run = diverging(vae, tmp_path / "run", learning_rate=1e39, log_every=1)
    assert message.startswith("weight ")
    assert "at step 1;" in message
    assert assert_checkpoint_is_good(run) == 0


def test_weights_spoiled_by_the_last_update_are_no_result(vae: Callable, tmp_path: Path):
    message, run = diverging(vae, tmp_path / "run", learning_rate=1e39, steps=1, log_every=1)
    assert "at step 1;" in message
    assert run.status["status"] == "failed"
    assert not (run.path / "weights.safetensors").exists()


def test_a_validation_bound_that_is_none_stops_the_run(vae: Callable, tmp_path: Path):
    """With early stopping on, before anything was ever best."""
    message, run = diverging(
        vae, tmp_path / "run", learning_rate=1e12, patience=2, validate_every=4, log_every=60, checkpoint_seconds=1e9
    )
    assert message.startswith("validation ")
    assert "at step 4;" in message
    assert all(np.isfinite(line["bound"]) for line in run.metrics() if line["split"] == "valid")


def test_a_diverged_run_resumed_diverges_again(vae: Callable, tmp_path: Path):
    message, run = diverging(vae, tmp_path / "run", learning_rate=1e12, log_every=5)
    with pytest.raises(DivergedError) as again:
        resume(run.path, vae().data, vae().validation)
    assert str(again.value) == message
