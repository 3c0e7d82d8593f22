"""The contrastive VAE: a shared latent block, and a salient one that a background population lacks."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unbraid.likelihoods import Likelihood
from unbraid.models.contract import Model, Noise, check_shapes, draw
from unbraid.models.population import known_population
from unbraid.nets.contract import Decoder, Trunk
from unbraid.types import Batch, Forward, Normal


class ContrastiveVAE(Model):
    """Contrastive VAE: x ~ p(x | f(z, s)) with z and s standard normal, and s = 0 for the background population.

    All other populations are targets and have one salient block, s, between them. One trunk pass gives q(z | x) and
    q(s | x) of every sample. The private posterior of a background sample is the prior: s does not reach x, so its
    KL is 0. The head of the background is the prior for every sample, the head of a target is q(s | x), of background
    samples too.

    Source: contrastive VAE, Abid & Zou 2019, without their total-correlation penalty; one trunk with two heads instead
    of two encoders.

    Args:
        trunk: observations to features, with `features` and `shape`.
        decoder: f, of shared + private latents in this order, with `latents` and `shape`.
        likelihood: p(x | output).
        populations: their names, in the order of the data's population index, at least two.
        background: name of the population without salient latents.
        shared: number of shared latents.
        private: number of salient latents.

    Raises:
        ValueError: shapes differ, names repeat, the background is none of them, or the decoder has not
            shared + private latents, at least one each.
    """

    def __init__(
        self,
        trunk: Trunk,
        decoder: Decoder,
        likelihood: Likelihood,
        populations: Sequence[str],
        background: str,
        shared: int,
        private: int,
    ):
        super().__init__()
        if len(set(populations)) != len(populations) or len(populations) < 2 or background not in populations:
            raise ValueError(
                f"expected at least two distinct populations, the background among them, got {tuple(populations)} "
                f"and the background '{background}'"
            )
        if min(shared, private) < 1 or decoder.latents != shared + private:
            raise ValueError(
                f"expected at least 1 shared and 1 private latent and a decoder of as many as both, got {shared} "
                f"shared, {private} private and {decoder.latents} in {decoder}"
            )
        check_shapes(trunk, decoder)
        self.trunk, self.decoder, self.likelihood = trunk, decoder, likelihood
        self.populations, self.background = tuple(populations), background
        self.shared, self.private, self.shape = shared, private, trunk.shape
        self.background_index = self.populations.index(background)
        self.shared_head = nn.Linear(trunk.features, 2 * shared)
        self.private_head = nn.Linear(trunk.features, 2 * private)

    def forward(self, batch: Batch, generator: Noise | None = None) -> Forward:
        """Infer both blocks, sample, and decode; the salient sample of a background observation is not looked at."""
        population = known_population(batch, self.populations)
        shared, heads = self.posteriors(batch.x)
        own = self.own(heads, population)
        z = shared.sample(draw(generator, tuple(shared.mean.shape), batch.x))
        s = own.sample(draw(generator, tuple(own.mean.shape), batch.x))
        output = self.decode(z, s, population)
        return Forward(
            output,
            self.likelihood.log_prob(batch.x, output, batch.library),
            {"shared": shared, "private": own},
            {"shared": z, "private": s},
            heads=heads,
        )

    def posteriors(self, x: Float[Tensor, "batch *shape"]) -> tuple[Normal, Normal]:
        """q(z | x) `[batch, shared]`, and the salient posterior as each population `[batch, population, private]`.

        As a target it is q(s | x), whichever population x is of; as the background it is the prior.
        """
        features = self.trunk(x)
        shared = Normal(*self.shared_head(features).chunk(2, dim=1))
        target = self._targets(x)[:, None]
        mean, log_variance = (part[:, None] * target for part in self.private_head(features).chunk(2, dim=1))
        return shared, Normal(mean, log_variance)

    def own(self, heads: Normal, population: Int[Tensor, " batch"]) -> Normal:
        """The head of each sample's own population, `[batch, private]`."""
        rows = torch.arange(len(population), device=population.device)
        return Normal(heads.mean[rows, population], heads.log_variance[rows, population])

    def decode(
        self,
        z: Float[Tensor, "batch shared"],
        s: Float[Tensor, "batch private"],
        population: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch *shape"]:
        """f(z, s), and f(z, 0) for the background: what the likelihood reads."""
        return self.decoder(torch.cat([z, s * self._targets(s)[population, None]], dim=1))

    def encode(self, x: Float[Tensor, "batch *shape"]) -> dict[str, Float[Tensor, "batch *code"]]:
        """Posterior means: `shared` `[batch, shared]`, `private` `[batch, population, private]`.

        The private code as a target is that of every sample, of background samples too; as the background it is 0.
        """
        shared, heads = self.posteriors(x)
        return {"shared": shared.mean, "private": heads.mean}

    def parts(self, batch: Batch) -> dict[str, Float[Tensor, "batch *shape"]]:
        """Mean observations from posterior means: `full`, `private_only` and `shared_only`, each `[batch, *shape]`.

        There is one decoder, so a part that is left out stands at the mean of its prior, 0: `private_only` is f(0, s),
        which still shows an average background.
        """
        population = known_population(batch, self.populations)
        shared, heads = self.posteriors(batch.x)
        z, s = shared.mean, self.own(heads, population).mean
        pairs = {"full": (z, s), "private_only": (torch.zeros_like(z), s), "shared_only": (z, torch.zeros_like(s))}
        outputs = {name: self.decode(*pair, population) for name, pair in pairs.items()}
        return {name: self.likelihood.mean(output, batch.library) for name, output in outputs.items()}

    def outputs(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch population *shape"]:
        """What the likelihood reads for each x decoded as every population: f(z, s), as the background f(z, 0)."""
        shared, heads = self.posteriors(x)
        return torch.stack([self.decoder(torch.cat([shared.mean, s], dim=1)) for s in heads.mean.unbind(1)], dim=1)

    def transfer(
        self, x: Float[Tensor, "batch *shape"], library: Float[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch population *shape"]:
        """Each x decoded as every population, mean observations: a target with or without its salient part.

        library: total counts, for likelihoods of counts; without it they answer for their reference.
        """
        return self.likelihood.mean(self.outputs(x), library)

    def generate(
        self, z: Float[Tensor, "batch shared"], t: Float[Tensor, "batch private"], population: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch *shape"]:
        """Mean observations of given latents."""
        return self.likelihood.mean(self.decode(z, t, population))

    def _targets(self, like: Float[Tensor, "..."]) -> Float[Tensor, " population"]:
        """0 for the background, 1 for every target."""
        # not by writing a zero, for which the host would wait
        return (torch.arange(len(self.populations), device=like.device) != self.background_index).to(like.dtype)
