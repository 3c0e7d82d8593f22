"""Training: the loop, checkpoints, validation."""

from unbraid.training.loop import DivergedError, resume, same_data, train
from unbraid.training.validation import validation_bound

__all__ = ["DivergedError", "resume", "same_data", "train", "validation_bound"]
