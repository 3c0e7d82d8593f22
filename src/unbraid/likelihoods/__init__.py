"""p(x | decoder output): what a decoder's output means as a distribution of the data."""

from unbraid.likelihoods.bernoulli import Bernoulli
from unbraid.likelihoods.categorical import Categorical
from unbraid.likelihoods.contract import Likelihood
from unbraid.likelihoods.gaussian import Gaussian
from unbraid.likelihoods.missing import IgnoreMissing
from unbraid.likelihoods.negative_binomial import NegativeBinomial

__all__ = ["Bernoulli", "Categorical", "Gaussian", "IgnoreMissing", "Likelihood", "NegativeBinomial"]
