"""The sequential residual pass, and the three models that are one or two switches away from it."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from unbraid.likelihoods import Likelihood
from unbraid.models.contract import Model, Noise, check_shapes, draw
from unbraid.nets.contract import Decoder, Trunk
from unbraid.types import Batch, Forward, Normal, Steps


class SequentialVAE(Model):
    """VAE (both switches off), ResVAE (`skip`), SeqVAE (`sequential`) or SR-VAE (both, the default).

    Step i encodes the residual g_i, keeps component i of the posterior, decodes components 1..i (zeros after them,
    fresh noise for all of them) and subtracts the outcome from the residual. With `skip` the last residual is added
    to the output. The recursion runs on decoder outputs, before the likelihood reads them (logits, for Bernoulli).

    With `skip` the output is a function of x, so log p(x) is not defined and the objective bounds nothing.
    Source: sequential residual VAE, algorithm 1.

    Args:
        trunk: observations to features, with `features` and `shape`.
        decoder: latents to natural parameters, with `latents` and `shape`.
        likelihood: p(x | decoder output).
        sequential: one pass a latent instead of one for all.
        skip: add the last residual to the output.
        resampled: draw earlier latents anew at every step, as the paper does; else each keeps its first noise.
        shuffled: learn the latents in another random order at every forward pass that draws noise; without noise they
            come in their own order.

    Raises:
        ValueError: the networks' shapes differ, or the decoder has no latent.
    """

    def __init__(
        self,
        trunk: Trunk,
        decoder: Decoder,
        likelihood: Likelihood,
        sequential: bool = True,
        skip: bool = True,
        resampled: bool = True,
        shuffled: bool = False,
    ):
        super().__init__()
        check_shapes(trunk, decoder)
        self.trunk, self.decoder, self.likelihood = trunk, decoder, likelihood
        self.sequential, self.skip, self.resampled, self.shuffled = sequential, skip, resampled, shuffled
        self.shape, self.latents = trunk.shape, decoder.latents
        self.passes = self.latents if sequential else 1
        self.defines_density = not skip
        self.head = nn.Linear(trunk.features, 2 * self.latents)

    def forward(
        self,
        batch: Batch,
        generator: Noise | None = None,
        held: Float[Tensor, "batch latent"] | None = None,
        record: bool = False,
    ) -> Forward:
        """Run the pass.

        Args:
            batch: observations, their population is not looked at.
            generator: source of the noise; None takes posterior means.
            held: values that latents are set to from their own step on, NaN where a latent is free, `[batch, latent]`.
            record: keep every step's decoder output and residual.
        """
        x = residual = output = batch.x
        order = self._order(generator, x)
        draws = self.passes if self.resampled else 1
        noise = draw(generator, (draws, len(x), self.latents), x)
        z = x.new_zeros(len(x), 0)
        posterior = Normal(z, z)  # of the latents so far: none
        outputs, residuals = [], []
        for step in range(self.passes):
            new = slice(step, step + 1) if self.sequential else slice(None)
            posterior = _extend(posterior, self._posterior(residual, order), new)
            z = self._sample(posterior, None if noise is None else noise[step % draws], held, order)
            output = self.decoder(z)
            if record:
                outputs.append(output)
                residuals.append(residual)
            if step < self.passes - 1:
                residual = residual - output
        if self.skip:
            output = output + residual
        if order is not None:
            posterior = _ordered(posterior, order.argsort())
        steps = Steps(torch.stack(outputs), torch.stack(residuals)) if record else None
        log_likelihood = self.likelihood.log_prob(x, output, batch.library)
        return Forward(output, log_likelihood, {"z": posterior}, {"z": z}, steps=steps)

    def samples(self, batch: Batch, generator: Noise | None = None) -> dict[str, Float[Tensor, "batch code"]]:
        """The latents that `forward` would draw, `z`, `[batch, latent]`; one pass needs no decoder for them."""
        if self.sequential:
            return super().samples(batch, generator)
        noise = draw(generator, (1, len(batch), self.latents), batch.x)
        return {"z": self._posterior(batch.x).sample(None if noise is None else noise[0])}

    @staticmethod
    def constant_for(output: float, latents: int, sequential: bool = True, skip: bool = True) -> float:
        """What a decoder that knows nothing must answer at every step for the pass to end with x + `output`.

        Without skip it ends with `output` itself. With both switches and two latents every constant cancels: 0.
        """
        if not (sequential and skip):
            return output
        return -output / (latents - 2) if latents != 2 else 0.0

    def encode(self, x: Float[Tensor, "batch *shape"]) -> dict[str, Float[Tensor, "batch *code"]]:
        """Posterior means `z`, `[batch, latent]`, of a pass without noise."""
        return {"z": self.posterior(x).mean}

    def posterior(self, x: Float[Tensor, "batch *shape"]) -> Normal:
        """The posterior of `z` that a pass without noise ends with, `[batch, latent]`."""
        if not self.sequential:  # no output is needed
            return self._posterior(x)
        return self(Batch(x)).posteriors["z"]

    def _order(self, generator: Noise | None, x: Float[Tensor, "batch *shape"]) -> Int[Tensor, " latent"] | None:
        """Which latent each step learns; None for their own order."""
        noise = draw(generator, (self.latents,), x) if self.sequential and self.shuffled else None
        return None if noise is None else noise.argsort()

    def _posterior(
        self, residual: Float[Tensor, "batch *shape"], order: Int[Tensor, " latent"] | None = None
    ) -> Normal:
        """The posterior of all latents given a residual, those to be learned first in front."""
        posterior = Normal(*self.head(self.trunk(residual)).chunk(2, dim=1))
        return posterior if order is None else _ordered(posterior, order)

    def _sample(
        self,
        posterior: Normal,
        noise: Float[Tensor, "batch latent"] | None,
        held: Float[Tensor, "batch latent"] | None,
        order: Int[Tensor, " latent"] | None = None,
    ) -> Float[Tensor, "batch latent"]:
        width = posterior.mean.shape[1]
        z = posterior.sample(None if noise is None else noise[:, :width])
        if held is not None:
            held = held if order is None else held[:, order]
            z = torch.where(held[:, :width].isnan(), z, held[:, :width])
        z = F.pad(z, (0, self.latents - width))
        return z if order is None else z[:, order.argsort()]


def _ordered(posterior: Normal, order: Int[Tensor, " latent"]) -> Normal:
    return Normal(posterior.mean[:, order], posterior.log_variance[:, order])


def _extend(known: Normal, encoded: Normal, new: slice) -> Normal:
    pairs = ((known.mean, encoded.mean), (known.log_variance, encoded.log_variance))
    return Normal(*(torch.cat([before, now[:, new]], 1) for before, now in pairs))
