"""How often a class is named rightly, and how well the probabilities that go with it mean what they say."""

import numpy as np
from jaxtyping import Int, Real
from scipy.special import log_softmax

from unbraid.metrics._decisions import Decisions
from unbraid.metrics.checks import indices, matrix, mean_interval
from unbraid.metrics.result import Result

BINS = 15


def classification(log_probabilities: Real[np.ndarray, "n class"], labels: Int[np.ndarray, " n"]) -> Result:
    """Accuracy of naming the class with the largest log p(class | x).

    Args:
        log_probabilities: `[n, class]` nats, or logits: each row is normalised.
        labels: `[n]` index of each observation's true class.

    Returns:
        Value in [0, 1]; `chance`: the share of the largest class. `interval`: Wilson's, over observations. `detail`:
        `recalls` of every class (None for one without observations), `confusion` (true class, then named),
        `confidence`, the mean probability of what was named, and `cross_entropy`, minus the mean log-probability of
        the true class in nats, with its `cross_entropy_interval` (normal, over observations).

    Raises:
        ValueError: the log-probabilities are not finite numbers, of two observations and classes at least, or labels
            are not n indices of classes.

    >>> import numpy as np
    >>> labels = np.array([0, 1, 2, 0, 1, 2])
    >>> right = 5.0 * np.eye(3)[labels]
    >>> classification(right, labels).value  # perfect
    1.0
    >>> classification(right[:, ::-1].copy(), 2 - labels).value  # permuted classes: as good
    1.0
    >>> classification(0 * right, labels).value  # bad: all the same
    0.3333333333333333
    """
    decided = _decided(log_probabilities, labels)
    lost = -log_softmax(decided.scores, axis=1)[np.arange(len(decided.scores)), decided.labels]
    detail = {"cross_entropy": float(lost.mean()), "cross_entropy_interval": list(mean_interval(lost))}
    return decided.result("classification", "likeliest class", decided.parameters, detail)


def calibration_error(
    log_probabilities: Real[np.ndarray, "n class"], labels: Int[np.ndarray, " n"], bins: int = BINS
) -> Result:
    """Expected calibration error: how far the probability of what is named is from how often it is right.

    Observations are put into bins of equal width by that probability; the value is the mean over observations of the
    absolute difference between accuracy and mean probability of their bin. Few observations a bin raise it by chance.
    Source: Guo et al. 2017 (On calibration of modern neural networks), eq. 3, there with 15 bins too.

    Args:
        log_probabilities: `[n, class]` nats, or logits: each row is normalised.
        labels: `[n]` index of each observation's true class.
        bins: of equal width between 0 and 1, open below.

    Returns:
        Value in [0, 1], `ceiling` 0. `detail`, one value a bin: `counts`, `accuracy` and `confidence` (None if empty).

    Raises:
        ValueError: as for `classification`, or there is no bin.

    >>> import numpy as np
    >>> labels = np.array([0, 1, 0, 1])
    >>> calibration_error(np.log([[1.0, 1e-12]] * 4), labels).value.__round__(6)  # sure of what is right half the time
    0.5
    >>> calibration_error(np.log([[0.5, 0.5]] * 4), labels).value  # as sure as right
    0.0
    """
    if bins < 1:
        raise ValueError(f"expected at least 1 bin, got {bins}; 15 are usual")
    decided = _decided(log_probabilities, labels)
    sure, right = decided.confidence, decided.named == decided.labels
    within = np.clip(np.ceil(sure * bins).astype(np.int64) - 1, 0, bins - 1)
    counts, *sums = (np.bincount(within, weights, bins) for weights in (None, right, sure))
    shares = [
        [float(total / count) if count else None for total, count in zip(each, counts, strict=True)] for each in sums
    ]
    return Result(
        "calibration_error",
        float(np.abs(sums[0] - sums[1]).sum() / len(sure)),
        "expected, equal-width bins",
        {"bins": bins, **decided.parameters},
        ceiling=0.0,
        detail={"counts": counts.tolist(), "accuracy": shares[0], "confidence": shares[1]},
    )


def _decided(log_probabilities: Real[np.ndarray, "n class"], labels: Int[np.ndarray, " n"]) -> Decisions:
    scores = matrix(log_probabilities, "log_probabilities")
    count, classes = scores.shape
    if classes < 2:
        raise ValueError(f"expected log_probabilities of at least two classes, got {classes}")
    return Decisions(scores, indices(labels, "labels", count, classes, "classes of the log_probabilities"))
