"""Judging what a model says of the data's probability, and whose data its private codes know."""

from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from jaxtyping import Float, Float64, Int

from unbraid.metrics import PairedWeights, Result
from unbraid.metrics.evidence import evidence as evidence_of
from unbraid.metrics.evidence import evidence_classification as classification_of
from unbraid.metrics.private_information import private_information
from unbraid.models import CPVAE, Model, log_weights, paired_log_weights, pairs_apply, refined_log_weights
from unbraid.progress import ProgressBar
from unbraid.recipes.draws import Draws
from unbraid.recipes.judging import Subject
from unbraid.settings import WAYS, Computation
from unbraid.types import Batch

DECODED, LEAST, MOST, AT_ONCE = 40_000, 50, 500, 32
REFINED = "refined proposals"
AN_UPDATE = 3  # passes through the decoders that one of a proposal costs


@dataclass
class Weights:
    """Importance weights of some of the observations, computed when they are first asked for."""

    subject: Subject
    index: Int[np.ndarray, " n"]
    draws: Draws

    @property
    def values(self) -> Float64[np.ndarray, "n population sample"] | PairedWeights:
        """Log weights `[n, population, sample]` in nats, or what is needed of those of all pairs."""
        return self._of_all[0]

    @property
    def bounds(self) -> Float64[np.ndarray, "n population"]:
        """Mean log weights in nats: the evidence lower bound under every population."""
        return self._of_all[1]

    @cached_property
    def own(self) -> Float64[np.ndarray, "n one sample"]:
        """Log weights under each observation's own population, `[n, 1, sample]`, from refined proposals."""
        weights, _ = self._weighed(own=True)
        assert not isinstance(weights, PairedWeights)
        return weights

    @cached_property
    def _of_all(self) -> "_Weighed":
        return self._weighed(own=False)

    def _weighed(self, own: bool) -> "_Weighed":
        generator, parts = self.subject.generator(), []
        with ProgressBar(f"{self.subject.run.path.name}: evidence", len(self.index), "observations") as display:
            for first in range(0, len(self.index), AT_ONCE):
                batch = self.subject.data.batch(self.index[first : first + AT_ONCE])
                parts.append(self._of(batch, generator, own))
                display.show(min(first + AT_ONCE, len(self.index)))
        weights = [each for each, _ in parts]
        joined = PairedWeights.joined(weights) if self.paired else np.concatenate(weights)
        return joined, np.concatenate([bounds for _, bounds in parts])

    @property
    def paired(self) -> bool:
        """Whether they are of all pairs."""
        return self.draws.pairs and not self.draws.refine and pairs_apply(self.subject.model)

    def _of(self, batch: Batch, generator: torch.Generator, own: bool) -> "_Weighed":
        model, draws = self.subject.model, self.draws
        how = {"widen": draws.widen, "computation": Computation(WAYS[0], draws.precision)}
        if self.paired:
            pairs = paired_log_weights(model, batch, draws.samples, draws.samples, generator, **how).numpy()
            return PairedWeights.of(pairs), pairs.mean((2, 3))
        if draws.refine:
            weights = refined_log_weights(model, batch, draws.samples, generator, draws.refine, own, **how).numpy()
        else:
            weights = log_weights(model, batch, draws.samples, generator, **how).numpy()
        return weights, weights.mean(2)


_Weighed = tuple[Float64[np.ndarray, "n population sample"] | PairedWeights, Float64[np.ndarray, "n population"]]


def judge_evidence(subject: Subject, draws: Draws = Draws()) -> None:  # noqa: B008 (frozen)
    """log p(x), classification by it, and private information, as far as model and data have them."""
    model, population = subject.model, subject.data.population
    if model.defines_density:
        index = subject.some(draws.observations or min(observations(model, passes(draws)), len(subject.index)))
        weights = Weights(subject, index, draws)
        own = population[index] if population is not None and model.populations else None
        subject.judge("model", partial(evidence, weights, own, how=str(draws)))
        if own is not None and len(model.populations) > 1:
            subject.judge("model", partial(evidence_classification, weights, own, how=str(draws)))
            subject.judge("model", partial(bound_classification, weights, own, how=str(draws)))
    if isinstance(model, CPVAE) and population is not None and len(model.populations) > 1:
        heads = [model.posteriors(batch.x)[1] for batch in subject.batches(subject.index)]
        means, log_variances = (
            torch.cat([getattr(each, name) for each in heads]).numpy() for name in ("mean", "log_variance")
        )
        of = population[subject.index]
        subject.judge("private code", partial(private_information, means, log_variances, of, seed=subject.seed))
        subject.judge("private code", partial(divergence_classification, means, log_variances, of))


def passes(draws: Draws) -> int:
    """Passes through each decoder that an observation costs."""
    return draws.samples + AN_UPDATE * draws.refine


def observations(model: Model, samples: int) -> int:
    """How many the evidence is estimated of, unless somebody says."""
    decoders = len(model.populations) + isinstance(model, CPVAE) if model.populations else 1
    return min(MOST, max(LEAST, DECODED // (samples * decoders)))


def evidence(weights: Weights, population: Int[np.ndarray, " n"] | None, how: str) -> Result:
    """Mean log p(x) of the observations, each under its own population."""
    if weights.draws.refine:
        return _with(weights.draws, evidence_of(weights.own))
    return _with(weights.draws, evidence_of(weights.values, population))


def evidence_classification(weights: Weights, population: Int[np.ndarray, " n"], how: str) -> Result:
    """Accuracy of telling the population by log p(x)."""
    return _with(weights.draws, classification_of(weights.values, population))


def bound_classification(weights: Weights, population: Int[np.ndarray, " n"], how: str) -> Result:
    """Accuracy of telling the population by the evidence lower bound, the mean log weight of the same draws.

    What one draw would say on average. Where an encoder fits its own population only, the others' bounds are low, and
    many draws make up for some of that: then this may name more observations rightly, though it says less of densities.
    """
    samples = weights.draws.samples
    drawn = {"shared_samples": samples, "private_samples": samples} if weights.paired else {"samples": samples}
    kind = ", all pairs" if weights.paired else f", {REFINED}" if weights.draws.refine else ""
    found = _of_scores("bound_classification", f"mean log weight{kind}", weights.bounds, population)
    told = _with(weights.draws, found).parameters
    return replace(found, parameters={**told, **drawn})


def divergence_classification(
    means: Float[np.ndarray, "n population latent"],
    log_variances: Float[np.ndarray, "n population latent"],
    population: Int[np.ndarray, " n"],
) -> Result:
    """Accuracy of naming the population whose private posterior is farthest from the prior: whose head answers.

    No decoder is asked. The mutual-information objective trains heads to be silent on other populations' data.
    """
    divergences = 0.5 * (means**2 + np.exp(log_variances) - 1 - log_variances).sum(2, dtype=np.float64)
    return _of_scores("divergence_classification", "largest private divergence", divergences, population)


def _of_scores(
    metric: str, protocol: str, scores: Float64[np.ndarray, "n population"], population: Int[np.ndarray, " n"]
) -> Result:
    """Accuracy of the largest score, which is no evidence: it has no posterior probabilities, nor their errors."""
    found = classification_of(scores[..., None], population)
    parameters = {name: value for name, value in found.parameters.items() if name not in ("samples", "prior")}
    detail = {name: value for name, value in found.detail.items() if name not in ("confidence", "uncertain")}
    return replace(found, metric=metric, protocol=protocol, parameters=parameters, detail=detail)


def _with(draws: Draws, result: Result) -> Result:
    """The result with what else its value depends on, where that is not as usual."""
    usual = Draws()
    more = {name: getattr(draws, name) for name in ("widen", "precision", "refine")}
    told = {name: value for name, value in more.items() if value != getattr(usual, name)}
    protocol = f"{result.protocol}, {REFINED}" if draws.refine else result.protocol
    return replace(result, protocol=protocol, parameters={**result.parameters, **told})
