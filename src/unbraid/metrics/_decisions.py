"""Which class each observation was named as, counted; for every metric that names classes by scores."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import softmax

from unbraid.configuration import Plain
from unbraid.metrics.checks import proportion_interval
from unbraid.metrics.result import Result


@dataclass(frozen=True)
class Decisions:
    """The class with the largest score is named.

    scores: `[n, class]` logarithms of each class's probability, but for a constant of the row.
    labels: `[n]` index of each observation's true class.
    """

    scores: Float[np.ndarray, "n class"]
    labels: Int[np.ndarray, " n"]

    @property
    def named(self) -> Int[np.ndarray, " n"]:
        """Index of the class that is named."""
        return self.scores.argmax(axis=1)

    @property
    def confidence(self) -> Float[np.ndarray, " n"]:
        """Its probability."""
        return softmax(self.scores, axis=1).max(axis=1)

    @property
    def parameters(self) -> dict[str, Plain]:
        """How many there were of what."""
        count, populations = self.scores.shape
        return {"observations": count, "populations": populations}

    def result(self, metric: str, protocol: str, parameters: dict[str, Plain], detail: Mapping[str, Plain]) -> Result:
        """The accuracy; `detail` is added to what all such metrics have in common."""
        count, classes = self.scores.shape
        confusion = np.zeros((classes, classes), dtype=np.int64)
        np.add.at(confusion, (self.labels, self.named), 1)
        each, hits = confusion.sum(axis=1), int(np.trace(confusion))
        recalls = [right / total if total else None for right, total in zip(confusion.diagonal(), each, strict=True)]
        common = {"recalls": recalls, "confidence": float(self.confidence.mean())}
        return Result(
            metric,
            hits / count,
            protocol,
            parameters,
            float(each.max() / count),
            1.0,
            proportion_interval(hits, count),
            detail={**common, **detail, "confusion": confusion.tolist()},
        )
