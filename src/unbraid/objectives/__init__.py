"""Objectives: what is minimised."""

from unbraid.objectives.contract import Objective
from unbraid.objectives.elbo import ELBO, BetaELBO
from unbraid.objectives.population import CrossPopulation
from unbraid.objectives.schedules import Constant, Exponential, Schedule

__all__ = ["ELBO", "BetaELBO", "Constant", "CrossPopulation", "Exponential", "Objective", "Schedule"]
