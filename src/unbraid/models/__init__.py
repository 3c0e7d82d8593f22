"""Models: a joint distribution and its posterior."""

from unbraid.models.contract import Model
from unbraid.models.population import CPVAE, Add, Combination
from unbraid.models.sequential import SequentialVAE

__all__ = ["CPVAE", "Add", "Combination", "Model", "SequentialVAE"]
