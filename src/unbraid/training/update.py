"""One update of the weights, in two halves: what the host decides, and what the device computes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from unbraid.models.contract import Model
from unbraid.objectives.contract import Objective
from unbraid.randomness import Purpose, derived_seed
from unbraid.settings import Training
from unbraid.training.adversary import Adversary
from unbraid.training.batches import Supply
from unbraid.types import Batch, Forward, Progress, Terms


@dataclass(frozen=True)
class Inputs:
    """What an update computes with, beside the weights and the noise.

    second: the adversary's batch, None without an adversary.
    """

    batch: Batch
    progress: Progress
    second: Batch | None = None


class Update:
    """One update, of the model and then of its adversary if it has one; it depends on seed and step alone.

    Between the two halves stand the inputs and the seeds of the generators, nothing else. So the second half can be
    captured once and replayed on other inputs.
    """

    def __init__(
        self,
        model: Model,
        objective: Objective,
        optimizer: torch.optim.Optimizer,
        supply: Supply,
        training: Training,
        adversary: Adversary | None = None,
    ):
        self.model, self.objective, self.optimizer = model, objective, optimizer
        self.supply, self.training, self.adversary = supply, training, adversary
        self.renew()

    def renew(self) -> None:
        """New generators; every step seeds them, so that nothing changes."""
        self.generator = torch.Generator(self.supply.device)
        if self.adversary:
            self.adversary.generator = torch.Generator(self.supply.device)

    @property
    def generators(self) -> list[torch.Generator]:
        """What the second half draws from."""
        return [self.generator, *([self.adversary.generator] if self.adversary else [])]

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Make the update of step number `step`, from 0; every term by name."""
        return self.compute(self.inputs(step))

    def progress(self, step: int) -> Progress:
        """Steps and passes over the data before step number `step`."""
        return Progress(step, step * self.training.batch_size // len(self.supply.data))

    def inputs(self, step: int) -> Inputs:
        """The first half: batches of step number `step`, from 0, and the seeds of its noise."""
        self.generator.manual_seed(derived_seed(self.training.seed, Purpose.NOISE, step))
        second = self.adversary.inputs(step) if self.adversary else None
        return Inputs(self.supply(step), self.progress(step), second)

    def compute(self, inputs: Inputs) -> dict[str, Tensor]:
        """The second half: one step of the optimiser, or of both; every term by name, detached."""
        forward, terms = self.loss(inputs)
        self.optimizer.zero_grad(set_to_none=True)
        terms.loss.backward()
        self.optimizer.step()
        named = {**terms.named(), **self.model.likelihood.reported()}
        if self.adversary:
            assert inputs.second is not None
            named |= self.adversary.compute(forward.samples, inputs.second)
        return {name: value.detach() for name, value in named.items()}

    def loss(self, inputs: Inputs) -> tuple[Forward, Terms]:
        """What is minimised, before any gradient."""
        forward = self.model(inputs.batch, self.generator)
        return forward, self.objective(forward, inputs.batch, inputs.progress)
