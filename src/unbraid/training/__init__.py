"""Training: the loop, checkpoints, validation."""

from unbraid.training.loop import DivergedError
from unbraid.training.plan import Plan
from unbraid.training.several import resume_together, train_together
from unbraid.training.start import resume, same_data, train, train_plan
from unbraid.training.validation import validation_bound

__all__ = [
    "DivergedError",
    "Plan",
    "resume",
    "resume_together",
    "same_data",
    "train",
    "train_plan",
    "train_together",
    "validation_bound",
]
