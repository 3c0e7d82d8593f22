"""A run before it is made: all that `train` is given, as one value."""

from dataclasses import dataclass, field
from pathlib import Path

from unbraid.data.augmentation import Augmentation
from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.objectives.contract import Objective
from unbraid.settings import Training


@dataclass(frozen=True)
class Plan:
    """What to train, on what, how, and where to keep it; see `train` for each."""

    model: Model
    objective: Objective
    data: Data
    out: Path | str
    training: Training = field(default_factory=Training)
    validation: Data | None = None
    test: Data | None = None
    record: dict[str, object] | None = None
    augmentation: Augmentation | None = None
