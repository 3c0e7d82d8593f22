"""Weights that change during training."""

import math
from abc import ABC, abstractmethod

from unbraid.configuration import Configured
from unbraid.types import Progress


class Schedule(Configured, ABC):
    """A weight as a function of progress."""

    @abstractmethod
    def __call__(self, progress: Progress) -> float:
        """The weight now."""


class Constant(Schedule):
    """The same weight throughout.

    Raises:
        ValueError: it is negative.
    """

    def __init__(self, value: float = 1.0):
        if not value >= 0:
            raise ValueError(f"expected a weight of at least 0, got {value}; a negative one would reward divergence")
        self.value = value

    def __call__(self, progress: Progress) -> float:
        """The value."""
        return self.value


class Exponential(Schedule):
    """min(start * rate ** e, maximum), e the number of whole epochs made (the first epoch has e = 0).

    Source: cross-population VAE, appendix B.1, whose values are the defaults.
    """

    def __init__(self, rate: float = 1.1, maximum: float = 1000.0, start: float = 1.0):
        if not (rate > 0 and maximum > 0 and start > 0):
            raise ValueError(f"expected rate, maximum and start above 0, got {rate}, {maximum}, {start}")
        self.rate, self.maximum, self.start = rate, maximum, start

    def __call__(self, progress: Progress) -> float:
        """The weight of this epoch."""
        # in logarithms, since the power itself overflows after some thousand epochs
        log = math.log(self.start) + progress.epoch * math.log(self.rate)
        return math.exp(log) if log < math.log(self.maximum) else self.maximum
