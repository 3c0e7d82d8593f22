"""One loop for every model and objective; what it computes depends on seed and step alone."""

import copy
import math
import time
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.data.augmentation import Augmentation
from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.nets import compute_as
from unbraid.objectives.contract import Adversarial, Objective
from unbraid.progress import ProgressBar
from unbraid.runs import Run
from unbraid.settings import Training
from unbraid.training.adversary import Adversary
from unbraid.training.batches import Supply
from unbraid.training.capture import Captured, obstacle
from unbraid.training.computation import chosen
from unbraid.training.device import bring_back, follow_weights, lay_out, training_on, usable
from unbraid.training.interruption import StopRequest
from unbraid.training.resident import resident
from unbraid.training.update import Update
from unbraid.training.validation import validation_bound
from unbraid.types import Progress


class DivergedError(ArithmeticError):
    """A loss term became NaN or infinite."""


class Loop:
    """The state of a training run and the steps that change it."""

    run: Run

    def __init__(
        self,
        model: Model,
        objective: Objective,
        data: Data,
        validation: Data | None,
        training: Training,
        augmentation: Augmentation | None = None,
    ):
        self.device = usable(training.device)
        self.model, self.objective = model.to(self.device), objective
        self.computation = chosen(training, self.model, self.device, training.batch_size * objective.copies)
        lay_out(self.model, self.computation, self.device)
        self.data, self.validation, self.training = data, validation, training
        self.resident = resident(data, training, self.device)
        self.supply = Supply(data, training, augmentation, objective.copies, self.device, resident=self.resident)
        self.adversary = None
        if isinstance(objective, Adversarial):
            given = self.model, data, training, augmentation, self.device, self.resident
            self.adversary = Adversary(objective, *given)
        learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(learned, training.learning_rate, fused=True)
        self.eager = Update(self.model, objective, self.optimizer, self.supply, training, self.adversary)
        self.generator = self.eager.generator
        self.make: Update | Captured = self.eager
        self.step, self.seconds, self.stopped, self.metrics_bytes = 0, 0.0, False, 0
        self.best, self.waited = math.inf, 0
        self.window: list[dict[str, Tensor]] = []
        self.saved_step, self.saved_at = 0, time.monotonic()

    def __call__(self) -> Run:
        """Train to the end; leaves a checkpoint behind whatever happens, except that a diverged one is not saved."""
        with self.run.locked():
            self.run.cut_metrics(self.metrics_bytes)
            self.run.set_status("running", self.step, self.seconds)
            try:
                self.work()
                self.finish()
            except KeyboardInterrupt:
                self.run.set_status("interrupted", self.saved_step, self.seconds, "stopped from outside")
                raise
            except Exception as error:
                self.run.set_status("failed", self.step, self.seconds, str(error))
                raise
            self.tidy()
        return self.run

    def work(self) -> None:
        """All updates, and what goes with them."""
        began = time.monotonic() - self.seconds
        self.model.train()
        compute_as(self.model, self.computation, self.device)
        with training_on(self.device), StopRequest() as request, self.progress_bar() as display:
            if self.obstacle is None:
                self.make = Captured(self.eager)
            while self.step < self.training.steps and not self.stopped:
                self.update()
                self.seconds = time.monotonic() - began
                self.follow_up(display)
                if request.wanted:
                    self.save()
                    raise KeyboardInterrupt

    def update(self) -> None:
        """One update, of the model and then of its adversary if it has one."""
        self.window.append(self.make(self.step))
        self.step += 1

    def progress_bar(self) -> ProgressBar:
        """How far training is, for whoever waits."""
        return ProgressBar(self.run.path.name, self.training.steps, "steps", every=30.0, start=self.step)

    def progress(self) -> Progress:
        """Steps and passes over the data so far."""
        return self.eager.progress(self.step)

    @cached_property
    def obstacle(self) -> str | None:
        """Why updates are not made as one CUDA graph; None if they are."""
        return obstacle(self.eager)

    def notes(self) -> dict[str, object]:
        """What a run on a GPU keeps about it."""
        if self.device.type != "cuda":
            return {}
        bits = None if self.resident is None else f"{self.resident.packed.bits} bits a value"
        return {"capture": self.obstacle or "one CUDA graph", "resident": bits}

    def follow_up(self, display: ProgressBar) -> None:
        """Log, validate and save when it is time."""
        last = self.step == self.training.steps
        if last or self.step % self.training.log_every == 0:
            values = self.log_window()
            display.show(self.step, f"loss {values['loss']:.1f}")
        if self.validation is not None and (last or self.step % self.training.validate_every == 0):
            self.validate()
        if self.stopped and self.window:  # the last, shorter one
            self.log_window()
        self.snapshot()
        if time.monotonic() - self.saved_at >= self.training.checkpoint_seconds:
            self.save()

    def snapshot(self) -> None:
        """Keep a copy of the weights if it is time."""
        every = self.training.snapshots
        if every is not None and (self.step % every == 0 or self.step == self.training.steps):
            self.run.save_snapshot(self.step, self.model.state_dict())

    def log_window(self) -> dict[str, float]:
        """Log the means since the last time, after making sure that they are finite."""
        names, table = self.checked_window()
        means = dict(zip(names, table.mean(0).tolist(), strict=True))
        self.write("train", means)
        self.window.clear()
        return means

    def checked_window(self) -> tuple[list[str], Float[Tensor, "step term"]]:
        """Names and values of the terms since the last logged line, all finite."""
        names = list(self.window[0])
        values = torch.stack([torch.stack([entry[name].to(self.device) for name in names]) for entry in self.window])
        table = values.cpu().double()
        self.check_terms(names, table)
        return names, table

    def check_terms(self, names: list[str], table: Float[Tensor, "step term"]) -> None:
        """Make sure that the terms of the last steps are finite."""
        bad = ~table.isfinite()
        if bad.any():
            row = int(bad.any(1).nonzero()[0])
            step = self.step - len(table) + row
            wrong = [name for name, is_bad in zip(names, bad[row].tolist(), strict=True) if is_bad]
            # a term explains more than the loss that it is part of
            raise self.diverged(sorted(wrong, key=lambda name: name == "loss"), step)

    def diverged(self, names: list[str], step: int) -> DivergedError:
        """The error that names what is not finite, when, and what can be gone back to."""
        return DivergedError(
            f"{', '.join(names)} became NaN or infinite at step {step}; the last good checkpoint is of step "
            f"{self.saved_step} in '{self.run.path / 'checkpoint.pt'}'; try a smaller learning rate"
        )

    def validate(self) -> None:
        """Log the un-annealed bound on held-out data; stop if it has not improved for long enough."""
        assert self.validation is not None
        values = validation_bound(self.model, self.validation, self.training.seed, self.device)
        wrong = [f"validation {name}" for name, value in values.items() if not math.isfinite(value)]
        if wrong:
            raise self.diverged(wrong, self.step)
        self.write("valid", values)
        if self.training.patience is None:
            return
        if values["bound"] < self.best:
            self.best, self.waited = values["bound"], 0
            self.run.save_weights(self.model.state_dict(), "best.safetensors")
        else:
            self.waited += 1
        self.stopped = self.waited >= self.training.patience

    def write(self, split: str, values: dict[str, float]) -> None:
        """Append values to the run's metrics."""
        head = {"split": split, "step": self.step, "epoch": self.progress().epoch, "seconds": round(self.seconds, 3)}
        self.run.log({**head, **values})

    def check_weights(self) -> None:
        """Make sure that the weights are finite; an update can spoil them after a loss that still was."""
        state = {"weight": self.model.state_dict(), **self.opposed()}
        wrong = [name for name, value in tensors(state) if not value.isfinite().all()]
        if wrong:
            raise self.diverged(wrong[:1], self.step)

    def opposed(self) -> dict[str, Any]:
        """The adversary's part of a checkpoint, nothing where there is no adversary."""
        return {"adversary": self.adversary.state_dict()} if self.adversary else {}

    def save(self) -> None:
        """Write a checkpoint."""
        if self.window:
            self.checked_window()
        self.check_weights()
        state = {
            "window": self.window,
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "waited": self.waited,
            "stopped": self.stopped,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            **self.opposed(),
        }
        self.run.save_checkpoint(owned(state))
        self.saved_step, self.saved_at = self.step, time.monotonic()
        self.run.set_status("running", self.step, self.seconds)

    def save_to(self, run: Run) -> None:
        """Write a checkpoint into `run`."""
        self.run = run
        self.save()

    def load(self, state: dict) -> None:
        """Take up a checkpoint.

        Raises:
            ValueError: it is another model's.
        """
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            follow_weights(self.optimizer)
            if self.adversary:
                self.adversary.load_state_dict(state["adversary"])
            self.step, self.seconds, self.window = state["step"], state["seconds"], state["window"]
            self.best, self.waited, self.stopped = state["best"], state["waited"], state["stopped"]
            self.saved_step, self.metrics_bytes = self.step, state["metrics_bytes"]
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(
                f"expected a checkpoint of the run's own model in '{self.run.path}', got another's; "
                "put the run's own checkpoint back, or delete the folder and train again"
            ) from error

    def finish(self) -> None:
        """Write the final weights: the best ones if training watched for them."""
        message = ""
        if self.training.patience is not None:
            self.model.load_state_dict(self.run.load_weights("best.safetensors"))
            message = f"weights of the best validation bound, {self.best:.2f}"
        self.check_weights()
        compute_as(self.model)
        bring_back(self.model.eval())
        self.run.save_weights(self.model.state_dict())
        self.run.set_status("finished", self.step, self.seconds, message)

    def tidy(self) -> None:
        """Remove what only resuming needed; the status says finished by now, so that nothing asks for it."""
        for name in ("checkpoint.pt", "checkpoint.previous.pt", "best.safetensors"):
            (self.run.path / name).unlink(missing_ok=True)


def tensors(state: dict[Any, Any], name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested dictionaries, named by its keys."""
    for key, value in state.items():
        if isinstance(value, dict):
            yield from tensors(value, f"{name}{key} ")
        elif isinstance(value, Tensor):
            yield f"{name}{key}", value


def owned(state: Any) -> Any:
    """The same with tensors of their own where they are parts of larger ones, which would be saved whole."""
    if isinstance(state, dict):
        same = copy.copy(state)  # with its attributes: modules keep versions in those of their state
        same.update((key, owned(value)) for key, value in state.items())
        return same
    if isinstance(state, list):
        return [owned(value) for value in state]
    part = isinstance(state, Tensor) and state.untyped_storage().nbytes() > state.nbytes
    return state.clone() if part else state
