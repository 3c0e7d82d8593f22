"""Weights that change during training."""

import math
from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor

from unbraid.configuration import Configured
from unbraid.types import Progress


class Schedule(Configured, ABC):
    """A weight as a function of progress."""

    @abstractmethod
    def __call__(self, progress: Progress) -> float | Float[Tensor, ""]:
        """The weight now: a number, or a tensor in double precision where progress is made of tensors."""

    def like(self, value: Float[Tensor, "..."], progress: Progress) -> Float[Tensor, ""]:
        """The weight now with the device and precision of `value`; no device is waited for."""
        weight = self(progress)
        return weight.to(value) if isinstance(weight, Tensor) else value.new_full((), weight)


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


class Linear(Schedule):
    """From `start` to `end` in equal steps, and `end` from step number `steps` on.

    Source: Burgess et al. 2018, whose capacity on dSprites, 0 to 25 nats in 100,000 steps, is the default.

    Raises:
        ValueError: start or end is negative or infinite, or steps is below 1.
    """

    def __init__(self, start: float = 0.0, end: float = 25.0, steps: int = 100_000):
        if not (0 <= start < math.inf and 0 <= end < math.inf and steps >= 1):
            raise ValueError(
                f"expected finite start and end of at least 0, and at least 1 step, got {start}, {end}, {steps}"
            )
        self.start, self.end, self.steps = start, end, steps

    def __call__(self, progress: Progress) -> float | Float[Tensor, ""]:
        """The weight of this step."""
        part = progress.step / self.steps
        part = part.clamp(max=1.0) if isinstance(part, Tensor) else min(part, 1.0)
        return (1 - part) * self.start + part * self.end


class Exponential(Schedule):
    """min(start * rate ** e, maximum), e the number of whole epochs made (the first epoch has e = 0).

    Source: cross-population VAE, appendix B.1, whose values are the defaults.
    """

    def __init__(self, rate: float = 1.1, maximum: float = 1000.0, start: float = 1.0):
        if not (rate > 0 and maximum > 0 and start > 0):
            raise ValueError(f"expected rate, maximum and start above 0, got {rate}, {maximum}, {start}")
        self.rate, self.maximum, self.start = rate, maximum, start

    def __call__(self, progress: Progress) -> float | Float[Tensor, ""]:
        """The weight of this epoch."""
        # in logarithms, since the power itself overflows after some thousand epochs
        log = math.log(self.start) + progress.epoch * math.log(self.rate)
        if isinstance(log, Tensor):
            return log.clamp(max=math.log(self.maximum)).exp()
        return math.exp(log) if log < math.log(self.maximum) else self.maximum
