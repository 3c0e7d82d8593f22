"""A network that names the population of an observation: what generative models are compared with as classifiers."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.likelihoods import Categorical
from unbraid.models.contract import Model, Noise
from unbraid.models.population import known_population
from unbraid.nets.contract import Trunk
from unbraid.types import Batch, Forward


class Classifier(Model):
    """p(population | x) by one network, without latents; of x itself it says nothing, so it defines no density.

    Under the ELBO, which has no divergence here, it is trained by cross-entropy. Populations that are drawn equally
    (`Training.balanced`) are equally probable to it beforehand.

    Args:
        network: observations to one logit a population, as many as it has `features`.
        populations: their names, in the order of the data's population index.

    Raises:
        ValueError: fewer than two populations, names repeat, or the network has not one feature a population.
    """

    defines_density = False

    def __init__(self, network: Trunk, populations: Sequence[str]):
        super().__init__()
        if len(populations) < 2 or len(set(populations)) != len(populations):
            raise ValueError(
                f"expected at least two distinct populations to tell apart, got {tuple(populations)}; name the groups"
            )
        if network.features != len(populations):
            raise ValueError(
                f"expected a network with one feature for each of {len(populations)} populations, got "
                f"{network.features} in {network}; give it {len(populations)} outputs"
            )
        self.network, self.populations = network, tuple(populations)
        self.likelihood, self.shape = Categorical(), network.shape

    def forward(self, batch: Batch, generator: Noise | None = None) -> Forward:
        """One logit a population, `[batch, population]`; there is nothing to infer or sample."""
        target = self.target(batch)
        output = self.network(batch.x)
        return Forward(output, self.likelihood.log_prob(target, output), {}, {})

    def target(self, batch: Batch) -> Float[Tensor, "batch population"]:
        """The own population of each observation: 1 there, 0 elsewhere."""
        population = known_population(batch, self.populations)
        return torch.nn.functional.one_hot(population, len(self.populations)).to(batch.x.dtype)

    def encode(self, x: Float[Tensor, "batch *shape"]) -> dict[str, Float[Tensor, "batch *code"]]:
        """Nothing: there are no latents."""
        return {}

    def log_probabilities(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch population"]:
        """log p(population | x) in nats."""
        return torch.log_softmax(self.network(x), dim=1)
