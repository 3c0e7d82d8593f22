"""Objectives: what is minimised."""

from unbraid.objectives.capacity import Capacity
from unbraid.objectives.contract import Adversarial, Objective
from unbraid.objectives.contrastive import ContrastiveMMD
from unbraid.objectives.dip import DIP1, DIP2
from unbraid.objectives.elbo import ELBO, BetaELBO
from unbraid.objectives.factor import FactorVAE
from unbraid.objectives.importance import ImportanceWeighted
from unbraid.objectives.info import InfoVAE
from unbraid.objectives.population import CrossPopulation
from unbraid.objectives.schedules import Constant, Exponential, Linear, Schedule
from unbraid.objectives.total_correlation import BetaTC, MinibatchSampling, Stratified, Weighted

__all__ = [
    "DIP1",
    "DIP2",
    "ELBO",
    "Adversarial",
    "BetaELBO",
    "BetaTC",
    "Capacity",
    "Constant",
    "ContrastiveMMD",
    "CrossPopulation",
    "Exponential",
    "FactorVAE",
    "ImportanceWeighted",
    "InfoVAE",
    "Linear",
    "MinibatchSampling",
    "Objective",
    "Schedule",
    "Stratified",
    "Weighted",
]
