"""A number that says what it is: its metric, protocol, parameters, chance level, ceiling and interval."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from unbraid.configuration import Plain


@dataclass(frozen=True)
class Result:
    """One measured value; a bare number is never reported, since protocols of one metric differ.

    metric: what was measured.
    value: the number.
    protocol: name of the exact procedure; values of different protocols are not comparable.
    parameters: plain values that the procedure was run with.
    chance: what a representation that knows nothing gets, or None where there is no such level.
    ceiling: what a perfect representation gets under this very procedure, or None.
    interval: 95% interval of `value`, or None; every metric says what varies in it.
    seed: seed of everything random in it, or None if nothing is.
    detail: plain values and lists behind the number, such as one value a latent.

    Raises:
        ValueError: a number in any field is NaN or infinite, or a value in `parameters` or `detail` is not plain.
    """

    metric: str
    value: float
    protocol: str
    parameters: dict[str, Plain] = field(default_factory=dict)
    chance: float | None = None
    ceiling: float | None = None
    interval: tuple[float, float] | None = None
    seed: int | None = None
    detail: dict[str, Plain] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("value", "chance", "ceiling"):
            number = getattr(self, name)
            object.__setattr__(self, name, None if number is None else float(_plain(number, name)))
        if self.interval is not None:
            low, high = (float(_plain(end, "interval")) for end in self.interval)
            object.__setattr__(self, "interval", (low, high))
        for name in ("parameters", "detail"):
            object.__setattr__(self, name, _plain(getattr(self, name), name))

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        beside = [f"95% {self.interval[0]:.4g} to {self.interval[1]:.4g}"] if self.interval else []
        levels = {"chance": self.chance, "ceiling": self.ceiling}
        beside += [f"{name} {level:.4g}" for name, level in levels.items() if level is not None]
        beside += [] if self.seed is None else [f"seed {self.seed}"]
        protocol = f"{self.protocol}: {settings}" if settings else self.protocol
        return f"{self.metric} [{protocol}] = {self.value:.4g}" + (f" ({', '.join(beside)})" if beside else "")

    def to_dict(self) -> dict[str, Plain]:
        """Every field as JSON can hold it."""
        return {**asdict(self), "interval": None if self.interval is None else list(self.interval)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Result":
        """The result that `to_dict` made `plain` from.

        Raises:
            ValueError: a field is missing or unknown.
        """
        fields = dict(plain)
        known = set(cls.__dataclass_fields__)
        unknown, missing = sorted(set(fields) - known), sorted({"metric", "value", "protocol"} - set(fields))
        if unknown or missing:
            raise ValueError(
                f"expected the fields of a result, got unknown {unknown} and missing {missing}; "
                "the dictionary was written by another version or is no result"
            )
        interval = fields.get("interval")
        return cls(**{**fields, "interval": None if interval is None else tuple(interval)})


def _plain(value: Any, where: str) -> Any:
    """NumPy values as Python's, tuples as lists, and a refusal of everything that JSON cannot hold."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}['{key}']") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, where) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected a finite number as {where} of a result, got {value}; a metric must say why instead")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(f"expected a plain value (number, text, list) as {where} of a result, got {type(value).__name__}")
