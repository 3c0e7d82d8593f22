"""The cross-population VAE: a latent block shared by all populations and a private one for each."""

from collections.abc import Sequence
from itertools import chain

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from unbraid.likelihoods import Likelihood
from unbraid.models.combination import Add, Combination
from unbraid.models.contract import Model, Noise, check_shapes, draw
from unbraid.nets.contract import Decoder, Trunk
from unbraid.types import Batch, Forward, Normal


def known_population(batch: Batch, populations: Sequence[str]) -> Int[Tensor, " batch"]:
    """The population index of every observation; a batch that says its groups is believed.

    Raises:
        ValueError: the batch has none, or one that is no index into `populations`.
    """
    known = tuple(populations)
    if batch.population is None:
        raise ValueError(
            f"expected a population index for each observation (0..{len(known) - 1} for {known}), got none; use data "
            "with populations, or `encode` to see every head"
        )
    if batch.groups is not None and len(batch.groups) == len(known):
        return batch.population
    unseen = (batch.population < 0) | (batch.population >= len(known))
    if unseen.any():
        raise ValueError(
            f"expected population indices from 0 to {len(known) - 1} for {known}, got "
            f"{int(batch.population[unseen][0])}; the model has never seen that population"
        )
    return batch.population


class CPVAE(Model):
    """Cross-population VAE: x_k ~ p(x | g(f_s(z), f_k(t))) with z and t standard normal.

    One trunk pass a sample gives q(z | x) and q_k(t | x) for every k at once. Batch norm in trunk and shared decoder
    sees the mixed batch; a private decoder sees only its own population.
    Source: cross-population VAE, eq. 1 and 2.

    Args:
        trunk: observations to features, with `features` and `shape`.
        shared_decoder: f_s, with `latents` and `shape`.
        private_decoders: f_k, one a population, all with the same number of latents.
        likelihood: p(x | output).
        populations: their names, in the order of the data's population index.
        combine: the combination g.
        added: how many of the populations, the last ones, were added later (`add_population`): each has a head of its
            own, so that the product that gives the others' codes, and so its rounding, stays what it was.
        frozen: let the last population's own head and decoder learn, and hold all else still: no weight changes, and
            batch norms use their running averages in training too.

    Raises:
        ValueError: shapes or private latents differ, names repeat, there is not one decoder a name, or the model cannot
            have added so many populations, or be frozen without.
    """

    def __init__(
        self,
        trunk: Trunk,
        shared_decoder: Decoder,
        private_decoders: Sequence[Decoder],
        likelihood: Likelihood,
        populations: Sequence[str],
        combine: Combination | None = None,
        added: int = 0,
        frozen: bool = False,
    ):
        super().__init__()
        decoders = list(private_decoders)
        if len(decoders) != len(populations) or len(set(populations)) != len(populations) or not decoders:
            raise ValueError(
                f"expected one private decoder for each of the distinct names {tuple(populations)}, got {len(decoders)}"
            )
        if len({id(decoder) for decoder in (shared_decoder, *decoders)}) < 1 + len(decoders):
            raise ValueError("expected a decoder of its own for each population, got one object several times; copy it")
        check_shapes(trunk, shared_decoder, *decoders)
        if len({decoder.latents for decoder in decoders}) > 1:
            raise ValueError(
                f"expected private decoders with one number of latents, got {[d.latents for d in decoders]}"
            )
        if not frozen <= added < len(decoders):
            raise ValueError(
                f"expected from {int(frozen)} to {len(decoders) - 1} added populations for {len(decoders)} in all"
                f"{' of which the last alone learns' if frozen else ''}, got {added}; use add_population"
            )
        self.trunk, self.shared_decoder, self.private_decoders = trunk, shared_decoder, nn.ModuleList(decoders)
        self.likelihood, self.populations, self.combine = likelihood, tuple(populations), combine or Add()
        self.shape = trunk.shape
        self.shared, self.private = shared_decoder.latents, decoders[0].latents
        self.shared_head = nn.Linear(trunk.features, 2 * self.shared)
        self.private_head = nn.Linear(trunk.features, (len(decoders) - added) * 2 * self.private)
        self.added_heads = nn.ModuleList(nn.Linear(trunk.features, 2 * self.private) for _ in range(added))
        self.added, self.frozen = added, frozen
        for part in self.held:
            part.requires_grad_(False)

    @property
    def held(self) -> list[nn.Module]:
        """What is held still: nothing, or where the model is frozen all but the last population's own parts."""
        if not self.frozen:
            return []
        shared = [self.trunk, self.shared_head, self.shared_decoder, self.likelihood, self.private_head]
        return [*shared, *self.added_heads[:-1], *self.private_decoders[:-1]]

    def train(self, mode: bool = True) -> "CPVAE":
        """Set the training mode, but not of what is held still: batch norms there use and keep their averages."""
        super().train(mode)
        for part in self.held:
            part.eval()
        return self

    def forward(self, batch: Batch, generator: Noise | None = None) -> Forward:
        """Infer both blocks, sample, decode with the shared and the sample's own private decoder."""
        population = known_population(batch, self.populations)
        shared, heads = self.posteriors(batch.x)
        own = self.own(heads, population)
        z = shared.sample(draw(generator, tuple(shared.mean.shape), batch.x))
        t = own.sample(draw(generator, tuple(own.mean.shape), batch.x))
        output = self.combine(self.shared_decoder(z), self.decode_private(t, population, batch.groups))
        return Forward(
            output,
            self.likelihood.log_prob(batch.x, output, batch.library),
            {"shared": shared, "private": own},
            {"shared": z, "private": t},
            heads=heads,
        )

    def posteriors(self, x: Float[Tensor, "batch *shape"]) -> tuple[Normal, Normal]:
        """q(z | x) `[batch, shared]` and q_k(t | x) under every head `[batch, population, private]`."""
        features = self.trunk(x)
        shared = Normal(*self.shared_head(features).chunk(2, dim=1))
        flat = torch.cat([head(features) for head in chain([self.private_head], self.added_heads)], dim=1)
        heads = flat.unflatten(1, (len(self.populations), 2 * self.private))
        return shared, Normal(*heads.chunk(2, dim=2))

    def own(self, heads: Normal, population: Int[Tensor, " batch"]) -> Normal:
        """The head of each sample's own population, `[batch, private]`."""
        rows = torch.arange(len(population), device=population.device)
        return Normal(heads.mean[rows, population], heads.log_variance[rows, population])

    def decode_private(
        self,
        t: Float[Tensor, "batch private"],
        population: Int[Tensor, " batch"],
        groups: tuple[int, ...] | None = None,
    ) -> Float[Tensor, "batch *shape"]:
        """f_k(t) with each row's own k; every decoder runs once, on its own rows.

        groups: rows of each population, where they stand population by population; found out if nobody says.
        """
        if groups is None:
            order = population.argsort(stable=True)
            counts = torch.bincount(population, minlength=len(self.populations)).tolist()
            return self.decode_private(t[order], population, tuple(counts))[order.argsort()]
        rows = zip(self.private_decoders, t.split(list(groups)), strict=True)
        return torch.cat([decoder(part) for decoder, part in rows if len(part)])

    def encode(self, x: Float[Tensor, "batch *shape"]) -> dict[str, Float[Tensor, "batch *code"]]:
        """Posterior means: `shared` `[batch, shared]`, `private` `[batch, population, private]`, no head masked."""
        shared, heads = self.posteriors(x)
        return {"shared": shared.mean, "private": heads.mean}

    def parts(self, batch: Batch) -> dict[str, Float[Tensor, "batch *shape"]]:
        """Mean observations from posterior means: `full`, `private_only` and `shared_only`, each `[batch, *shape]`.

        A part that is left out is replaced by the combination's neutral output (zero for addition).
        """
        population = known_population(batch, self.populations)
        shared, heads = self.posteriors(batch.x)
        a = self.shared_decoder(shared.mean)
        b = self.decode_private(self.own(heads, population).mean, population)
        neutral = torch.full_like(a, self.combine.neutral)
        outputs = {"full": (a, b), "private_only": (neutral, b), "shared_only": (a, neutral)}
        return {name: self.likelihood.mean(self.combine(*pair), batch.library) for name, pair in outputs.items()}

    def transfer(
        self, x: Float[Tensor, "batch *shape"], library: Float[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch population *shape"]:
        """Each x decoded as every population: f_s(z) with f_j(t_j), t_j from q_j(t | x); mean observations.

        library: total counts, for likelihoods of counts; without it they answer for their reference.
        """
        shared, heads = self.posteriors(x)
        a = self.shared_decoder(shared.mean)
        codes = heads.mean.unbind(1)  # apart in memory: else how many there are decides how a product is computed
        decoded = [self.combine(a, f(t.contiguous())) for f, t in zip(self.private_decoders, codes, strict=True)]
        return self.likelihood.mean(torch.stack(decoded, dim=1), library)

    def generate(
        self, z: Float[Tensor, "batch shared"], t: Float[Tensor, "batch private"], population: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch *shape"]:
        """Mean observations of given latents."""
        return self.likelihood.mean(self.combine(self.shared_decoder(z), self.decode_private(t, population)))
