"""Judging what a model says of the data's probability, and whose data its private codes know."""

from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from jaxtyping import Float64, Int

from unbraid.metrics import PairedWeights, Result
from unbraid.metrics.evidence import evidence as evidence_of
from unbraid.metrics.evidence import evidence_classification as classification_of
from unbraid.metrics.private_information import private_information
from unbraid.models import CPVAE, Model, log_weights, paired_log_weights, pairs_apply
from unbraid.progress import ProgressBar
from unbraid.recipes.draws import Draws
from unbraid.recipes.judging import Subject
from unbraid.settings import WAYS, Computation
from unbraid.types import Batch

DECODED, LEAST, MOST, AT_ONCE = 40_000, 50, 500, 32


@dataclass
class Weights:
    """Importance weights of some of the observations, computed when they are first asked for."""

    subject: Subject
    index: Int[np.ndarray, " n"]
    draws: Draws

    @cached_property
    def values(self) -> Float64[np.ndarray, "n population sample"] | PairedWeights:
        """Log weights `[n, population, sample]` in nats, or what is needed of those of all pairs."""
        generator, parts = self.subject.generator(), []
        with ProgressBar(f"{self.subject.run.path.name}: evidence", len(self.index), "observations") as display:
            for first in range(0, len(self.index), AT_ONCE):
                batch = self.subject.data.batch(self.index[first : first + AT_ONCE])
                parts.append(self._of(batch, generator))
                display.show(min(first + AT_ONCE, len(self.index)))
        return PairedWeights.joined(parts) if self.paired else np.concatenate(parts)

    @property
    def paired(self) -> bool:
        """Whether they are of all pairs."""
        return self.draws.pairs and pairs_apply(self.subject.model)

    def _of(
        self, batch: Batch, generator: torch.Generator
    ) -> Float64[np.ndarray, "n population sample"] | PairedWeights:
        model, draws = self.subject.model, self.draws
        how = {"widen": draws.widen, "computation": Computation(WAYS[0], draws.precision)}
        if not self.paired:
            return log_weights(model, batch, draws.samples, generator, **how).numpy()
        return PairedWeights.of(
            paired_log_weights(model, batch, draws.samples, draws.samples, generator, **how).numpy()
        )


def judge_evidence(subject: Subject, draws: Draws = Draws()) -> None:  # noqa: B008 (frozen)
    """log p(x), classification by it, and private information, as far as model and data have them."""
    model, population = subject.model, subject.data.population
    if model.defines_density:
        index = subject.some(draws.observations or min(observations(model, draws.samples), len(subject.index)))
        weights = Weights(subject, index, draws)
        own = population[index] if population is not None and model.populations else None
        subject.judge("model", partial(evidence, weights, own, how=str(draws)))
        if own is not None and len(model.populations) > 1:
            subject.judge("model", partial(evidence_classification, weights, own, how=str(draws)))
    if isinstance(model, CPVAE) and population is not None and len(model.populations) > 1:
        heads = [model.posteriors(batch.x)[1] for batch in subject.batches(subject.index)]
        means, log_variances = (
            torch.cat([getattr(each, name) for each in heads]).numpy() for name in ("mean", "log_variance")
        )
        of = population[subject.index]
        subject.judge("private code", partial(private_information, means, log_variances, of, seed=subject.seed))


def observations(model: Model, samples: int) -> int:
    """How many the evidence is estimated of, unless somebody says."""
    decoders = len(model.populations) + isinstance(model, CPVAE) if model.populations else 1
    return min(MOST, max(LEAST, DECODED // (samples * decoders)))


def evidence(weights: Weights, population: Int[np.ndarray, " n"] | None, how: str) -> Result:
    """Mean log p(x) of the observations, each under its own population."""
    return _with(weights.draws, evidence_of(weights.values, population))


def evidence_classification(weights: Weights, population: Int[np.ndarray, " n"], how: str) -> Result:
    """Accuracy of telling the population by log p(x)."""
    return _with(weights.draws, classification_of(weights.values, population))


def _with(draws: Draws, result: Result) -> Result:
    """The result with what else its value depends on, where that is not as usual."""
    usual = Draws()
    more = {name: getattr(draws, name) for name in ("widen", "precision")}
    told = {name: value for name, value in more.items() if value != getattr(usual, name)}
    return replace(result, parameters={**result.parameters, **told})
