"""A tighter bound on the evidence from several samples an observation."""

import math

import torch

from unbraid.objectives.blocks import check_latents
from unbraid.objectives.contract import Objective
from unbraid.types import LOG_2PI, Batch, Forward, Progress, Terms


class ImportanceWeighted(Objective):
    """Minus the mean over observations of `log 1/K sum_k w_k`, w = p(x | z) p(z) / q(z | x) of its K copies.

    The batch holds every observation K times in a row, each with noise of its own; training sees to that. Any number of
    blocks; each enters w with its own prior and posterior. K = 1 is the ELBO, its KL estimated from the sample.

    Bounds log p(x) for VAE, CPVAE and SeqVAE. The noise of SeqVAE's earlier steps is an auxiliary variable: whatever it
    was, E[w] over the last step's noise is p(x). For SR-VAE and ResVAE it bounds nothing.
    Source: Burda et al. 2016 (Importance weighted autoencoders), eq. 8, whose smallest K above 1 is the default.

    Args:
        copies: K, samples an observation. A step costs as much as one with K times the batch.

    Raises:
        ValueError: copies is below 1.
    """

    def __init__(self, copies: int = 5):
        if copies < 1:
            raise ValueError(f"expected at least 1 copy of every observation, got {copies}; the paper has 5 and 50")
        self.copies = copies

    def __call__(self, forward: Forward, batch: Batch, progress: Progress) -> Terms:
        """Loss, `reconstruction`, `kl/<block>`, `gain` and `effective_samples`.

        The first two are means over the copies, with the KL estimated from the samples. `gain`, at least 0, is what the
        copies add to the bound, so that the loss is reconstruction + KL - gain. `effective_samples` is
        (sum w)^2 / sum w^2, between 1 and K.

        Raises:
            ValueError: the batch is no multiple of `copies`, or the model has no latents.
        """
        check_latents(forward)
        if len(batch) % self.copies:
            raise ValueError(
                f"expected every observation {self.copies} times in a row, got a batch of {len(batch)}; "
                f"repeat it with x.repeat_interleave({self.copies}, 0)"
            )
        ratios = {
            f"kl/{name}": normal.log_prob(forward.samples[name])
            + 0.5 * (forward.samples[name].square() + LOG_2PI).sum(-1)
            for name, normal in forward.posteriors.items()
        }
        log_weights = forward.log_likelihood - torch.stack(list(ratios.values())).sum(0)
        grouped = log_weights.unflatten(0, (-1, self.copies))
        bounds = grouped.logsumexp(1) - math.log(self.copies)
        with torch.no_grad():
            centred = grouped - grouped.mean(1, keepdim=True)  # small numbers, whose differences are exact enough
            gain = centred.logsumexp(1).mean() - math.log(self.copies)
            effective = (2 * centred.logsumexp(1) - (2 * centred).logsumexp(1)).exp().mean()
        parts = {
            "reconstruction": -forward.log_likelihood.mean(),
            **{name: ratio.mean() for name, ratio in ratios.items()},
            "gain": gain,
            "effective_samples": effective,
        }
        return Terms(-bounds.mean(), parts)
