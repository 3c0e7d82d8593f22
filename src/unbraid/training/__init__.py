"""Training: the loop, checkpoints, validation."""

from unbraid.training.loop import DivergedError
from unbraid.training.start import resume, same_data, train
from unbraid.training.validation import validation_bound

__all__ = ["DivergedError", "resume", "same_data", "train", "validation_bound"]
