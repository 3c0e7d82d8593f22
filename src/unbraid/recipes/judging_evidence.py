"""Judging what a model says of the data's probability, and whose data its private codes know."""

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from jaxtyping import Float64, Int

from unbraid.metrics import Result
from unbraid.metrics.evidence import evidence as evidence_of
from unbraid.metrics.evidence import evidence_classification as classification_of
from unbraid.metrics.private_information import private_information
from unbraid.models import CPVAE, Model
from unbraid.models.evidence import log_weights
from unbraid.progress import ProgressBar
from unbraid.randomness import Purpose
from unbraid.recipes.judging import Subject

SAMPLES, DECODED, MOST, AT_ONCE = 64, 40_000, 500, 32


@dataclass
class Weights:
    """Log importance weights of some of the observations, computed when they are first asked for."""

    subject: Subject
    index: Int[np.ndarray, " n"]
    samples: int

    @cached_property
    def values(self) -> Float64[np.ndarray, "n population sample"]:
        """`[n, population, sample]` nats."""
        model, generator, found = self.subject.model, self.subject.generator(), []
        with ProgressBar(f"{self.subject.run.path.name}: evidence", len(self.index), "observations") as display:
            for first in range(0, len(self.index), AT_ONCE):
                batch = self.subject.data.batch(self.index[first : first + AT_ONCE])
                found.append(log_weights(model, batch, self.samples, generator))
                display.show(first + len(batch))
        return torch.cat(found).numpy()


def judge_evidence(subject: Subject) -> None:
    """log p(x), classification by it, and private information, as far as model and data have them.

    64 draws for each of at most 500 observations, fewer where there are many populations to decode: 40,000 passes
    through a decoder, or 50 observations, are the limit.
    """
    model, population = subject.model, subject.data.population
    if model.defines_density:
        rng = np.random.default_rng([subject.seed, Purpose.EVALUATION, 3])
        index = np.sort(rng.permutation(subject.index)[: observations(model)])
        weights = Weights(subject, index, SAMPLES)
        own = population[index] if population is not None and model.populations else None
        subject.judge("model", partial(evidence, weights, own, samples=SAMPLES))
        if own is not None and len(model.populations) > 1:
            subject.judge("model", partial(evidence_classification, weights, own, samples=SAMPLES))
    if isinstance(model, CPVAE) and population is not None and len(model.populations) > 1:
        heads = [model.posteriors(batch.x)[1] for batch in subject.batches(subject.index)]
        means, log_variances = (
            torch.cat([getattr(each, name) for each in heads]).numpy() for name in ("mean", "log_variance")
        )
        of = population[subject.index]
        subject.judge("private code", partial(private_information, means, log_variances, of, seed=subject.seed))


def observations(model: Model) -> int:
    """How many the evidence is estimated of."""
    decoders = len(model.populations) + isinstance(model, CPVAE) if model.populations else 1
    return min(MOST, max(50, DECODED // (SAMPLES * decoders)))


def evidence(weights: Weights, population: Int[np.ndarray, " n"] | None, samples: int) -> Result:
    """Mean log p(x) of the observations, each under its own population."""
    return evidence_of(weights.values, population)


def evidence_classification(weights: Weights, population: Int[np.ndarray, " n"], samples: int) -> Result:
    """Accuracy of telling the population by log p(x)."""
    return classification_of(weights.values, population)
