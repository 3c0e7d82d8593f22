"""What every objective offers."""

from abc import ABC, abstractmethod

from unbraid.configuration import Configured
from unbraid.types import Batch, Forward, Progress, Terms


class Objective(Configured, ABC):
    """What is minimised: maps a forward pass to a loss and its named terms, in nats per observation."""

    @abstractmethod
    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        """The loss (to minimise) and the terms it is made of."""
