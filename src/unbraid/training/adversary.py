"""What an objective with an adversary needs of the loop: second batches, its update, its state."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from unbraid.data.augmentation import Augmentation
from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.nets import compute_as
from unbraid.objectives.contract import Adversarial
from unbraid.randomness import Purpose, derived_seed
from unbraid.settings import Computation, Training
from unbraid.training.batches import Supply
from unbraid.training.resident import Resident
from unbraid.types import Batch


class Adversary:
    """The adversary of a model: made anew for the training's seed, and updated after the model in every step.

    The second batch is drawn, balanced and changed as the model's is, in an order of its own.
    """

    def __init__(
        self,
        objective: Adversarial,
        model: Model,
        data: Data,
        training: Training,
        augmentation: Augmentation | None,
        device: torch.device,
        resident: Resident | None = None,
    ):
        self.objective, self.model, self.seed = objective, model, training.seed
        purposes = Purpose.ADVERSARY_ORDER, Purpose.ADVERSARY_AUGMENTATION
        self.supply = Supply(data, training, augmentation, objective.copies, device, *purposes, resident=resident)
        self.generator = torch.Generator(device)
        objective.prepare(model, device, derived_seed(training.seed, Purpose.ADVERSARY_WEIGHTS))
        compute_as(objective.network, Computation(precision=training.precision), device)

    def inputs(self, step: int) -> Batch:
        """The second batch of step number `step`, from 0; seeds the noise as well."""
        self.generator.manual_seed(derived_seed(self.seed, Purpose.ADVERSARY_NOISE, step))
        return self.supply(step)

    def compute(self, samples: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """One update on the latents of the model's batch and on those of a second batch; its terms."""
        with torch.no_grad(), still_buffers(self.model):
            others = self.model.samples(batch, self.generator)
        return self.objective.follow({name: z.detach() for name, z in samples.items()}, others, self.generator)

    def state_dict(self) -> dict[str, Any]:
        """What resuming needs."""
        return self.objective.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
        self.objective.load_state_dict(state)


@contextmanager
def still_buffers(model: Model) -> Iterator[None]:
    """Put the buffers back afterwards, so that running averages are of the batches that the model learns from."""
    before = [buffer.clone() for buffer in model.buffers()]
    yield
    for buffer, value in zip(model.buffers(), before, strict=True):
        buffer.copy_(value)
