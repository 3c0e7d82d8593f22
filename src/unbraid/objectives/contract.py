"""What every objective offers."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from unbraid.configuration import Configured
from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.types import Batch, Forward, Progress, Terms


class Objective(Configured, ABC):
    """What is minimised: maps a forward pass to a loss and its named terms, in nats per observation.

    copies: how often every observation stands in the batch it is called with, its copies one after the other
        (`x.repeat_interleave(copies)`), each with noise of its own.
    """

    copies: int = 1

    @abstractmethod
    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        """The loss (to minimise) and the terms it is made of."""

    def check(self, model: Model, data: Data) -> None:
        """Refuse, before training, a model or data that the objective cannot work with.

        Raises:
            ValueError: it cannot.
        """


def check_all_present(data: Data) -> None:
    """Refuse data of which populations are absent on purpose, for an objective that compares populations.

    Raises:
        ValueError: some are.
    """
    if data.absent:
        raise ValueError(
            f"expected observations of every population, which this objective compares, got none of {data.absent}; "
            "use the ELBO objective to learn from one population alone"
        )


class Adversarial(Objective):
    """An objective with a network of its own, trained beside the model on what the model makes of a second batch.

    Its network must neither be trained by the model's loss nor train the model: `__call__` holds the network still,
    and `follow` is given latents without their history.
    """

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """Its network, once it is prepared."""

    @abstractmethod
    def prepare(self, model: Model, device: torch.device, seed: int) -> None:
        """Make the network (its initial weights depend on `seed` alone) and its optimiser, before the first step."""

    @abstractmethod
    def follow(
        self, samples: dict[str, Tensor], others: dict[str, Tensor], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """One update of the network after the model's, and its terms by name.

        Args:
            samples: latents of the batch that the model was just updated on, `[batch, latent]` a block, detached.
            others: latents of a second batch, drawn independently of the first.
            generator: of everything random in it.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """What resuming needs, as tensors and plain values."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""
