"""Models: a joint distribution and its posterior."""

from unbraid.models.classifier import Classifier
from unbraid.models.combination import Add, Combination, Multiply, Screen
from unbraid.models.contract import Model
from unbraid.models.contrastive import ContrastiveVAE
from unbraid.models.evidence import log_weights
from unbraid.models.extension import add_population, freeze_norms
from unbraid.models.pairs import paired_log_weights, pairs_apply
from unbraid.models.population import CPVAE
from unbraid.models.refined import refined_log_weights
from unbraid.models.sequential import SequentialVAE

__all__ = [
    "CPVAE",
    "Add",
    "Classifier",
    "Combination",
    "ContrastiveVAE",
    "Model",
    "Multiply",
    "Screen",
    "SequentialVAE",
    "add_population",
    "freeze_norms",
    "log_weights",
    "paired_log_weights",
    "pairs_apply",
    "refined_log_weights",
]
