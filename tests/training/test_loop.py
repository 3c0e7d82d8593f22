"""The loop: what it computes, what it logs, what it leaves behind."""

import copy
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unbraid.data import Arrays
from unbraid.objectives.contract import Adversarial
from unbraid.randomness import Purpose, derived_seed
from unbraid.runs import Run
from unbraid.settings import Training
from unbraid.training import train, validation_bound
from unbraid.training.batches import Batches
from unbraid.types import Progress

CPU = torch.device("cpu")
SHORT = Training(steps=12, batch_size=8, learning_rate=1e-2, log_every=4, validate_every=6, device="cpu")


def altered(**changes: Any) -> Training:
    return Training(**{**asdict(SHORT), **changes})


def trained(make: Callable, out: Path, training: Training = SHORT) -> Run:
    task = make()
    return train(task.model, task.objective, task.data, out, training, task.validation)


def same(one: Run, two: Run) -> bool:
    return (one.path / "weights.safetensors").read_bytes() == (two.path / "weights.safetensors").read_bytes()


def test_the_seed_decides_the_weights_bit_for_bit(task: Callable, tmp_path: Path):
    torch.manual_seed(1)
    one = trained(task, tmp_path / "one")
    torch.manual_seed(2)
    two = trained(task, tmp_path / "two")
    other = trained(task, tmp_path / "other", altered(seed=1))
    assert same(one, two)
    assert not same(one, other)


def test_the_loop_is_plain_gradient_descent(task: Callable, tmp_path: Path):
    """Against a loop written out here, with PyTorch's unfused Adam."""
    run, literal = trained(task, tmp_path / "run"), task()
    optimizer = torch.optim.Adam(literal.model.parameters(), 1e-2, betas=(0.9, 0.999))
    batches, generator, losses = Batches(literal.data, 8, 0), torch.Generator(), []
    second = Batches(literal.data, 8, 0, purpose=Purpose.ADVERSARY_ORDER)
    if isinstance(literal.objective, Adversarial):
        literal.objective.prepare(literal.model, CPU, derived_seed(0, Purpose.ADVERSARY_WEIGHTS))
    for step in range(12):
        batch = literal.data.batch(batches(step))
        generator.manual_seed(derived_seed(0, Purpose.NOISE, step))
        progress = Progress(step, step * 8 // len(literal.data))
        forward = literal.model(batch, generator)
        terms = literal.objective(forward, batch, progress)
        optimizer.zero_grad()
        terms.loss.backward()
        optimizer.step()
        if isinstance(literal.objective, Adversarial):
            generator.manual_seed(derived_seed(0, Purpose.ADVERSARY_NOISE, step))
            # by a copy, whose running averages alone move
            others = copy.deepcopy(literal.model)(literal.data.batch(second(step)), generator).samples
            literal.objective.follow(forward.samples, others, generator)
        losses.append(terms.loss.item())
    torch.testing.assert_close(run.load_weights(), dict(literal.model.state_dict()), rtol=1e-4, atol=1e-5)
    logged = [line["loss"] for line in run.metrics() if line["split"] == "train"]
    assert logged == pytest.approx(np.reshape(losses, (3, 4)).mean(1).tolist(), rel=1e-4)


def test_metrics_are_lines_with_every_term_named(task: Callable, tmp_path: Path):
    run, made = trained(task, tmp_path / "run"), task()
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert lines == run.metrics()
    assert [(line["split"], line["step"]) for line in lines] == [
        ("train", 4), ("valid", 6), ("train", 8), ("train", 12), ("valid", 12),
    ]  # fmt: skip
    batch = made.data.batch(np.arange(4))
    terms = {*made.model.likelihood.reported()}
    if isinstance(made.objective, Adversarial):
        made.objective.prepare(made.model, CPU, 0)
        terms |= {"adversary/loss", "adversary/accuracy"}
    terms |= {*made.objective(made.model(batch), batch, Progress()).named()}
    head = {"split", "step", "epoch", "seconds"}
    for line in lines:
        assert line["epoch"] == line["step"] * 8 // len(made.data)
        assert 0 <= line["seconds"] < 600
        assert all(math.isfinite(value) for key, value in line.items() if key != "split")
        if line["split"] == "train":
            assert set(line) == head | terms
        else:
            assert ("negative_elbo" in line) == made.model.defines_density
            assert {"bound", "reconstruction"} < set(line)
            parts = sum(value for key, value in line.items() if key.startswith("kl/"))
            assert line["bound"] == pytest.approx(line["reconstruction"] + parts, rel=1e-5)


def test_the_validation_bound_is_that_of_the_weights(task: Callable, tmp_path: Path):
    run = trained(task, tmp_path / "run")
    model = run.rebuild("model")
    model.load_state_dict(run.load_weights())
    expected = validation_bound(model, task().validation, 0, CPU)
    logged = run.metrics()[-1]
    assert {key: logged[key] for key in expected} == pytest.approx(expected, rel=1e-6)


def test_the_validation_bound_leaves_the_model_as_it_was(task: Callable):
    made = task()
    before = {name: value.clone() for name, value in made.model.state_dict().items()}
    one, two = (validation_bound(made.model, made.validation, 0, CPU) for _ in range(2))
    assert one == two
    assert made.model.training
    assert all(torch.equal(value, before[name]) for name, value in made.model.state_dict().items())


def test_the_validation_bound_weighs_every_observation_equally(vae: Callable):
    """More than one chunk, and the last one shorter."""
    made = vae()
    x = np.random.default_rng(0).normal(size=(300, 4))
    whole = validation_bound(made.model, Arrays(x), 0, CPU)["kl/z"]
    kl = made.model(Arrays(x).batch(np.arange(300))).posteriors["z"].kl().sum(1).mean().item()
    assert whole == pytest.approx(kl, rel=1e-5)


def test_a_finished_run_is_complete_and_rebuilds(task: Callable, tmp_path: Path):
    made = task()
    record = {"recipe": "mine", "arguments": {"a": 1}}
    run = train(made.model, made.objective, made.data, tmp_path / "run", SHORT, made.validation, record=record)
    assert {file.name for file in run.path.iterdir()} == {
        "run.json", "status.json", "metrics.jsonl", "weights.safetensors",
    }  # fmt: skip
    assert [file.name for file in tmp_path.iterdir()] == ["run"]
    assert run.status["status"] == "finished"
    assert run.status["step"] == 12
    stored = Run(run.path).record
    assert stored["training"] == asdict(SHORT)
    assert stored["seed"] == 0
    assert stored["recipe"] == "mine"
    assert set(stored["versions"]) == {"python", "torch", "numpy"}
    assert repr(run.rebuild("objective")) == repr(made.objective)
    again, batch = run.rebuild("model").eval(), made.data.batch(np.arange(10))
    again.load_state_dict(run.load_weights())
    assert torch.equal(again(batch).output, made.model(batch).output)


def test_snapshots_are_the_weights_of_a_shorter_run(task: Callable, tmp_path: Path):
    run = trained(task, tmp_path / "long", altered(snapshots=5))
    assert run.snapshots() == {step: f"snapshots/step-{step:07d}.safetensors" for step in (5, 10, 12)}
    shorter = trained(task, tmp_path / "short", altered(steps=5))
    assert run.weights_checksum("snapshots/step-0000005.safetensors") == shorter.weights_checksum()
    assert run.weights_checksum("snapshots/step-0000012.safetensors") == run.weights_checksum()


def test_an_existing_folder_is_refused_and_nothing_is_lost(vae: Callable, tmp_path: Path):
    run = trained(vae, tmp_path / "run")
    before = {file: file.read_bytes() for file in run.path.iterdir()}
    with pytest.raises(ValueError, match=r"expected a new or empty folder.*got '.*run'.*resume.*or choose another"):
        trained(vae, tmp_path / "run")
    assert {file: file.read_bytes() for file in run.path.iterdir()} == before
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_an_empty_folder_is_used(vae: Callable, tmp_path: Path):
    (tmp_path / "run").mkdir()
    assert trained(vae, tmp_path / "run").status["status"] == "finished"


def test_unequal_populations_train_with_and_without_balance(cpvae: Callable, tmp_path: Path):
    balanced, plain = (trained(cpvae, tmp_path / str(on), altered(balanced=on)) for on in (True, False))
    assert not same(balanced, plain)


def test_a_batch_may_be_all_the_data(cpvae: Callable, tmp_path: Path):
    assert trained(cpvae, tmp_path / "run", altered(batch_size=30)).metrics()[0]["epoch"] == 4


# early stopping

EAGER = {"steps": 400, "patience": 3, "validate_every": 10, "log_every": 7, "batch_size": 41}


def overfitting(vae: Callable, steps: int = 400) -> tuple[Any, Training]:
    """Few observations and much freedom, so that the validation bound turns."""
    return vae(), altered(**{**EAGER, "steps": steps, "learning_rate": 0.05})


def test_early_stopping_stops_and_keeps_the_best_weights(vae: Callable, tmp_path: Path):
    task, training = overfitting(vae)
    run = train(task.model, task.objective, task.data, tmp_path / "run", training, task.validation)
    bounds = {line["step"]: line["bound"] for line in run.metrics() if line["split"] == "valid"}
    last, best = max(bounds), min(bounds, key=lambda step: bounds[step])
    assert last == best + 3 * 10 < 400
    assert run.status["step"] == last
    assert f"{bounds[best]:.2f}" in run.status["message"]
    restored = run.rebuild("model").eval()
    restored.load_state_dict(run.load_weights())
    assert validation_bound(restored, task.validation, 0, CPU)["bound"] == pytest.approx(bounds[best], rel=1e-6)
    # the model that was passed in has them too
    assert validation_bound(task.model, task.validation, 0, CPU)["bound"] == pytest.approx(bounds[best], rel=1e-6)
    # and the weights are those that training up to then gives
    shorter, training = overfitting(vae, best)
    until = train(shorter.model, shorter.objective, shorter.data, tmp_path / "until", training, shorter.validation)
    assert same(run, until)
    assert "best.safetensors" not in [file.name for file in run.path.iterdir()]


def test_every_step_is_logged_when_training_stops_early(vae: Callable, tmp_path: Path):
    task, training = overfitting(vae)
    run = train(task.model, task.objective, task.data, tmp_path / "run", training, task.validation)
    assert [line["step"] for line in run.metrics() if line["split"] == "train"][-1] == run.status["step"]


def test_without_patience_the_last_weights_are_kept(vae: Callable, tmp_path: Path):
    task = vae()
    training = altered(steps=100, learning_rate=0.05)
    run = train(task.model, task.objective, task.data, tmp_path / "run", training, task.validation)
    assert run.status["step"] == 100
    assert validation_bound(task.model, task.validation, 0, CPU)["bound"] == run.metrics()[-1]["bound"]
