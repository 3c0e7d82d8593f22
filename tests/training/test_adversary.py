"""An objective with a network of its own: trained beside the model, kept apart from it, and resumed with it."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from unbraid.data import Data, Translate
from unbraid.models import Classifier, Model
from unbraid.objectives import ELBO
from unbraid.objectives.contract import Objective
from unbraid.objectives.factor import FactorVAE
from unbraid.randomness import Purpose
from unbraid.runs import Run
from unbraid.settings import Training
from unbraid.training import DivergedError, resume, train
from unbraid.training.adversary import still_buffers
from unbraid.training.batches import Supply
from unbraid.types import Batch, Forward, Progress, Terms

SHORT = Training(steps=12, batch_size=8, learning_rate=1e-2, log_every=4, checkpoint_seconds=0, device="cpu")
CPU = torch.device("cpu")


def trained(make: Callable, out: Path, objective: Objective | None = None, **changes) -> Run:
    task, settings = make(), Training(**{**asdict(SHORT), **changes})
    return train(task.model, objective or task.objective, task.data, out, settings, task.validation)


def weights(run: Run) -> bytes:
    return (run.path / "weights.safetensors").read_bytes()


def test_without_weight_the_adversary_leaves_the_elbo_as_it_is(factor_vae: Callable, tmp_path: Path):
    """Bit for bit, running averages of batch norm included: nothing of the second batch comes to the model."""
    objective = FactorVAE(0.0, (8, 8), learning_rate=1e-2)
    one = trained(factor_vae, tmp_path / "factor", objective)
    assert weights(one) == weights(trained(factor_vae, tmp_path / "elbo", ELBO()))
    assert weights(one) != weights(trained(factor_vae, tmp_path / "weighted"))
    losses = [line["adversary/loss"] for line in one.metrics() if line["split"] == "train"]
    assert len(set(losses)) == 3


def test_every_term_is_logged_and_the_weights_are_the_models_alone(factor_vae: Callable, tmp_path: Path):
    run, task = trained(factor_vae, tmp_path / "run"), factor_vae()
    (first, *_) = run.metrics()
    assert {"loss", "reconstruction", "kl/z", "total_correlation", "adversary/loss", "adversary/accuracy"} < set(first)
    assert 0 <= first["adversary/accuracy"] <= 1
    expected = first["reconstruction"] + first["kl/z"] + 5 * first["total_correlation"]
    assert first["loss"] == pytest.approx(expected, rel=1e-5)
    assert run.load_weights().keys() == task.model.state_dict().keys()


def test_an_objective_is_prepared_anew_for_every_run(factor_vae: Callable, tmp_path: Path):
    task = factor_vae()
    assert weights(trained(factor_vae, tmp_path / "one", task.objective)) == weights(
        trained(factor_vae, tmp_path / "two", task.objective)
    )


def test_the_second_batch_is_changed_and_drawn_on_its_own(factor_vae: Callable):
    task = factor_vae()
    supplies = [
        Supply(task.data, SHORT, augmentation, 1, CPU, order, change)
        for augmentation in (None, Translate(0.25))
        for order, change in (
            (Purpose.ORDER, Purpose.AUGMENTATION),
            (Purpose.ADVERSARY_ORDER, Purpose.ADVERSARY_AUGMENTATION),
        )
    ]
    plain, second, moved, second_moved = (supply(3) for supply in supplies)
    assert not torch.equal(plain.x, second.x)
    assert plain.population is not None
    assert second.population is not None
    assert torch.equal(plain.population, second.population)  # balanced, population by population
    assert not torch.equal(moved.x, plain.x)
    assert not torch.equal(second_moved.x, second.x)
    again = Supply(task.data, SHORT, Translate(0.25), 1, CPU, Purpose.ADVERSARY_ORDER, Purpose.ADVERSARY_AUGMENTATION)
    assert torch.equal(again(3).x, second_moved.x)
    assert not torch.equal(again(4).x, second_moved.x)
    otherwise = Supply(task.data, SHORT, Translate(0.25), 1, CPU, Purpose.ADVERSARY_ORDER)
    assert not torch.equal(otherwise(3).x, second_moved.x)


def test_running_averages_are_put_back(factor_vae: Callable):
    task = factor_vae()
    before = [buffer.clone() for buffer in task.model.buffers()]
    batch, generator = task.data.batch(np.arange(8)), torch.Generator()
    with torch.no_grad(), still_buffers(task.model):
        task.model.samples(batch, generator)
        assert not all(torch.equal(*pair) for pair in zip(task.model.buffers(), before, strict=True))
    assert before
    assert all(torch.equal(*pair) for pair in zip(task.model.buffers(), before, strict=True))


# resuming: interrupted and killed runs are in test_resume.py


def interrupted(make: Callable, out: Path) -> Run:
    """A run that Ctrl-C ended when it asked for its 13th batch."""
    task = make()
    task.data.batch = stopping(task.data.batch, 13)
    with pytest.raises(KeyboardInterrupt):
        train(task.model, task.objective, task.data, out, SHORT, task.validation)
    assert 0 < Run(out).status["step"] < 12
    return Run(out)


def stopping(batch: Callable, left: int) -> Callable:
    calls = iter(range(left))

    def asked(index) -> Batch:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return batch(index)

    return asked


def test_the_checkpoint_holds_the_adversary(factor_vae: Callable, tmp_path: Path):
    run, task = interrupted(factor_vae, tmp_path / "cut"), factor_vae()
    state = run.load_checkpoint()
    assert state is not None
    assert set(state["adversary"]) == {"network", "optimizer"}
    torch.save({key: value for key, value in state.items() if key != "adversary"}, run.path / "checkpoint.pt")
    with pytest.raises(ValueError, match="expected a checkpoint of the run's own model"):
        resume(run.path, task.data, task.validation)
    torch.save(state, run.path / "checkpoint.pt")
    assert weights(resume(run.path, task.data, task.validation)) == weights(trained(factor_vae, tmp_path / "whole"))


def test_a_checkpoint_from_before_there_were_adversaries_still_loads(vae: Callable, tmp_path: Path):
    run, task = interrupted(vae, tmp_path / "cut"), vae()
    state = run.load_checkpoint()
    assert state is not None
    assert "adversary" not in state
    assert weights(resume(run.path, task.data, task.validation)) == weights(trained(vae, tmp_path / "whole"))


# divergence


def test_a_diverged_adversary_is_named(factor_vae: Callable, tmp_path: Path):
    with pytest.raises(
        DivergedError, match=r"^(total_correlation|adversary/loss).* became NaN or infinite at step"
    ) as e:
        trained(factor_vae, tmp_path / "run", FactorVAE(5.0, (8, 8), learning_rate=1e20), log_every=60, steps=60)
    run = Run(tmp_path / "run")
    assert run.status["message"] == str(e.value)
    state = run.load_checkpoint()
    assert state is not None
    assert all(value.isfinite().all() for value in state["adversary"]["network"].values())


def test_an_adversary_with_spoiled_weights_is_not_saved(factor_vae: Callable, tmp_path: Path):
    with pytest.raises(DivergedError, match=r"^adversary network \d+\.\w+ became NaN or infinite at step 1;"):
        trained(factor_vae, tmp_path / "run", FactorVAE(5.0, (8, 8), learning_rate=1e39), log_every=1)
    state = Run(tmp_path / "run").load_checkpoint()
    assert state is not None
    assert state["step"] == 0


# copies, and what an objective refuses


class Thrice(ELBO):
    """An objective that looks at every observation three times, and notes whether it saw three latents."""

    copies = 3

    def __init__(self):
        self.distinct: list[bool] = []

    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        rows = batch.x.unflatten(0, (-1, 3))
        assert torch.equal(rows[:, 0], rows[:, 1])
        assert torch.equal(rows[:, 0], rows[:, 2])
        if batch.population is not None:
            assert torch.equal(batch.population, batch.population[::3].repeat_interleave(3))
        latents = [z.unflatten(0, (-1, 3)) for z in forward.samples.values()]
        self.distinct.append(all(bool((z[:, 0] != z[:, 1]).all() and (z[:, 1] != z[:, 2]).all()) for z in latents))
        return super().__call__(forward, batch, progress)


def test_every_observation_stands_in_the_batch_as_often_as_the_objective_asks(task: Callable, tmp_path: Path):
    made, objective = task(), Thrice()
    augmentation = Translate(0.25) if len(made.data.shape) == 3 else None
    run = train(made.model, objective, made.data, tmp_path / "run", SHORT, made.validation, augmentation=augmentation)
    none = isinstance(made.model, Classifier)  # no latents: nothing that could be the same
    assert objective.distinct == [none] + [True] * 12  # the check before training takes posterior means
    assert run.metrics()[-1]["epoch"] == 12 * 8 // len(made.data)  # of observations, not copies


def test_the_objective_sees_model_and_data_before_training(vae: Callable, tmp_path: Path):
    class Refusing(ELBO):
        def check(self, model: Model, data: Data) -> None:
            raise ValueError(f"expected other data than {len(data)} for {type(model).__name__}")

    with pytest.raises(ValueError, match="expected other data than 41 for SequentialVAE"):
        trained(vae, tmp_path / "run", Refusing())
    assert not (tmp_path / "run").exists()
