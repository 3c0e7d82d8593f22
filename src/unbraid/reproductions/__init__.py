"""The papers' experiments as tables of runs, each one call; importing this is quick."""

from unbraid.reproductions.experiment import Claim, Experiment, Measure, Method, Scale, Size, Task
from unbraid.reproductions.papers import EXPERIMENTS
from unbraid.reproductions.running import Listed, Reproduced, reproduce, reproductions

__all__ = [
    "EXPERIMENTS",
    "Claim",
    "Experiment",
    "Listed",
    "Measure",
    "Method",
    "Reproduced",
    "Scale",
    "Size",
    "Task",
    "reproduce",
    "reproductions",
]
