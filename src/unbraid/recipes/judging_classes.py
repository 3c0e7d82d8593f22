"""Judging a classifier: how often it is right, how sure it is, and where it is surest and wrong."""

from functools import partial

import numpy as np
from jaxtyping import Float, Int

from unbraid.metrics import Result
from unbraid.metrics import calibration_error as calibration_of
from unbraid.metrics import classification as classification_of
from unbraid.models import Classifier
from unbraid.progress import ProgressBar
from unbraid.recipes.judging import CHUNK, Arrays, Subject

MISTAKES = 8


def judge_classes(subject: Subject, count: int) -> Arrays:
    """Accuracy and calibration on so many observations, and the surest mistakes; nothing for other models."""
    model, population = subject.model, subject.data.population
    if not isinstance(model, Classifier):
        return {}
    assert population is not None
    index = subject.some(count)
    predicted, own = _predicted(subject, model, index), population[index]
    for metric in (classification, calibration_error):
        subject.judge("model", partial(metric, predicted, own, observations=len(index)))
    return _mistakes(subject, index, predicted, own)


def classification(
    predicted: Float[np.ndarray, "n population"], own: Int[np.ndarray, " n"], observations: int
) -> Result:
    """Accuracy of naming the population."""
    return classification_of(predicted, own)


def calibration_error(
    predicted: Float[np.ndarray, "n population"], own: Int[np.ndarray, " n"], observations: int
) -> Result:
    """How far its probabilities are from how often they are right."""
    return calibration_of(predicted, own)


def _predicted(subject: Subject, model: Classifier, index: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n population"]:
    """log p(population | x) of the observations at `index`."""
    parts, done = [], 0
    with ProgressBar(f"{subject.run.path.name}: classifying", len(index), "observations") as display:
        for part in np.array_split(index, -(-len(index) // CHUNK)):
            parts.append(model.log_probabilities(subject.data.batch(part).x).numpy())
            done += len(part)
            display.show(done)
    return np.concatenate(parts)


def _mistakes(
    subject: Subject,
    index: Int[np.ndarray, " n"],
    predicted: Float[np.ndarray, "n population"],
    own: Int[np.ndarray, " n"],
) -> Arrays:
    """The observations that were named wrongly with the largest probability, the surest first."""
    named, sure = predicted.argmax(axis=1), predicted.max(axis=1)
    wrong = np.flatnonzero(named != own)
    chosen = wrong[np.argsort(-sure[wrong], kind="stable")][:MISTAKES]
    if not len(chosen):
        return {}
    return {
        "mistakes": subject.data.batch(index[chosen]).x.numpy(),
        "mistakes_named": named[chosen],
        "mistakes_own": own[chosen],
        "mistakes_probability": np.exp(sure[chosen]),
    }
