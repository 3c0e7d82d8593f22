"""Separated attribute predictability: is each factor predicted by one code dimension more than by any other?"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from unbraid.configuration import Plain
from unbraid.metrics._margins import classes, line, separate
from unbraid.metrics.labelled import labelled, train_and_test
from unbraid.metrics.mutual_information import varying
from unbraid.metrics.result import Result

_SHUFFLES = 10
_CHUNK = 256  # rows predicted at once: their heights stay in the cache
_LEAST_VARIANCE = 1e-12  # disentanglement_lib's: the correlation of a dimension with less is 0

Scores = Float[np.ndarray, "latent factor"]
Predict = Callable[[Int[np.ndarray, "n factor"]], Scores]


@dataclass(frozen=True)
class SAPProtocol:
    """How well a factor is predicted from one dimension.

    continuous: by the squared correlation with the factor's values; else by a classifier's held-out accuracy.
    penalty: C of the linear support vector classifier; unused where `continuous`.

    Raises:
        ValueError: the penalty is not positive.
    """

    continuous: bool = False
    penalty: float = 0.01
    name: str = "custom"

    def __post_init__(self) -> None:
        if not self.penalty > 0:
            raise ValueError(f"expected a positive penalty, got {self.penalty}")


SAP_DLIB = SAPProtocol(name="dlib")
SAP_DLIB_CONTINUOUS = SAPProtocol(continuous=True, name="dlib-continuous")


def sap(
    codes: Real[np.ndarray, "n latent"],
    factors: Int[np.ndarray, "n factor"],
    test_from: int | None = None,
    protocol: SAPProtocol = SAP_DLIB,
    seed: int = 0,
) -> Result:
    """Mean over factors of the gap between the two best predictions of it from one dimension (Kumar et al. 2018, 3).

    `SAP_DLIB` is disentanglement_lib's for discrete factors: the prediction of a factor from one dimension is a linear
    support vector machine, one against the rest, C = .01 and balanced classes, and its score the accuracy on held-out
    rows. There liblinear's iterations end when they are close or exhausted; here the same objective is minimised
    exactly. `SAP_DLIB_CONTINUOUS` takes the squared correlation of a dimension with the factor's values instead, and
    nothing is fitted or held out. A constant dimension predicts nothing and scores 0, and so does the second best where
    there is only one dimension.

    Args:
        codes: `[n, latent]`, finite.
        factors: `[n, factor]` integers; a factor with one value is left out.
        test_from: rows before it are fitted on and those from it on are scored; None holds out a random third. The
            continuous protocol takes the rows before it, or all.
        protocol: the prediction, and the name it is reported under.
        seed: of the held-out rows and of the permutations behind `chance`.

    Returns:
        Value in [0, 1]. `chance`: the mean score of ten permutations of the rows of the factors. `ceiling`: the score
        of the factors as the code. The discrete protocol depends on the scale of the codes, and a perfect code of
        another scale may score above its ceiling. `detail`: scores `[latent, factor]`, and for each factor the gap, the
        best and the second latent.

    Raises:
        ValueError: codes are not a finite matrix, factors not as many rows of integers of which a column varies, or
            fewer than two rows are on a side of `test_from`.

    >>> import numpy as np
    >>> factors = np.stack(np.unravel_index(np.arange(120), (4, 5, 6)), axis=1)
    >>> round(sap(factors.astype(float), factors, protocol=SAP_DLIB_CONTINUOUS).value, 3)  # perfect
    1.0
    >>> permuted = -3.0 * factors[:, ::-1] + 1  # flipped, scaled and shifted too: as good
    >>> round(sap(permuted, factors, protocol=SAP_DLIB_CONTINUOUS).value, 3)
    1.0
    >>> sap(np.random.default_rng(0).normal(size=(120, 3)), factors, protocol=SAP_DLIB_CONTINUOUS).value < 0.1  # bad
    True
    """
    given = labelled(codes, factors)
    truth = np.asarray(factors)[:, given.columns].astype(np.int64) if protocol.continuous else given.factors
    everything = protocol.continuous and test_from is None
    whole = np.arange(len(truth))
    train, test = (whole, whole) if everything else train_and_test(len(truth), test_from, seed)

    def predictor(code: Float[np.ndarray, "n latent"]) -> Predict:
        return _correlations(code, train) if protocol.continuous else _accuracies(code, train, test, protocol.penalty)

    predict, rng = predictor(given.codes), np.random.default_rng(seed)
    scores = predict(truth)
    shuffled = [_gaps(predict(truth[rng.permutation(len(truth))])).mean() for _ in range(_SHUFFLES)]
    ceiling = _gaps(predictor(truth.astype(np.float64))(truth)).mean()
    ranked, gaps = np.argsort(-scores, axis=0, kind="stable"), _gaps(scores)
    parameters: dict[str, Plain] = {"rows": len(train)}
    if not protocol.continuous:
        parameters = {"penalty": protocol.penalty, "train": len(train), "test": len(test)}
    detail: dict[str, Plain] = {
        "active": np.flatnonzero(varying(given.codes)).tolist(),
        "factors": list(given.columns),
        "scores": scores.tolist(),
        "gaps": gaps.tolist(),
        "best": ranked[0].tolist(),
        "second": ranked[1].tolist() if len(ranked) > 1 else None,
    }
    chance = float(np.mean(shuffled))
    return Result("sap", float(gaps.mean()), protocol.name, parameters, chance, float(ceiling), None, seed, detail)


def _gaps(scores: Scores) -> Float[np.ndarray, " factor"]:
    ordered = np.sort(scores, axis=0)
    return ordered[-1] - ordered[-2] if len(ordered) > 1 else ordered[-1]


def _correlations(codes: Float[np.ndarray, "n latent"], rows: Int[np.ndarray, " row"]) -> Predict:
    """Squared correlation of every dimension with every factor in those rows; 0 where either is constant."""
    codes = codes[rows]
    counted = varying(codes) & (codes.var(axis=0, ddof=1) > _LEAST_VARIANCE)
    directions = _directions(codes, counted)

    def predict(factors: Int[np.ndarray, "n factor"]) -> Scores:
        values = factors[rows].astype(np.float64)
        return (directions.T @ _directions(values, varying(values))) ** 2

    return predict


def _directions(
    values: Float[np.ndarray, "n column"], kept: Bool[np.ndarray, " column"]
) -> Float[np.ndarray, "n column"]:
    """Columns centred and of length 1, those not kept of length 0."""
    centred = np.where(kept, values - values.mean(axis=0), 0.0)
    return centred / np.where(kept, np.linalg.norm(centred, axis=0), 1.0)


def _accuracies(
    codes: Float[np.ndarray, "n latent"],
    train: Int[np.ndarray, " train"],
    test: Int[np.ndarray, " test"],
    penalty: float,
) -> Predict:
    """Held-out accuracy of the classifier of every factor from every dimension; 0 for a constant dimension."""
    active = np.flatnonzero(varying(codes[train]))
    lines = [line(codes[train, latent]) for latent in active]

    def predict(factors: Int[np.ndarray, "n factor"]) -> Scores:
        given, truth = classes(factors[train], penalty), factors[test]
        scores = np.zeros((codes.shape[1], factors.shape[1]))
        for latent, along in zip(active, lines, strict=True):
            slopes, offsets = separate(along, given)
            predicted = _highest(codes[test, latent], slopes, offsets, given.factor)
            scores[latent] = (predicted == truth).mean(axis=0)
        return scores

    return predict


def _highest(
    values: Float[np.ndarray, " n"],
    slopes: Float[np.ndarray, " class"],
    offsets: Float[np.ndarray, " class"],
    factor: Int[np.ndarray, " class"],
) -> Int[np.ndarray, "n factor"]:
    """For every value and factor, the class whose line is highest there; the first of those that tie."""
    starts = np.flatnonzero(np.diff(factor, prepend=-1, append=factor[-1] + 1))
    predicted = np.empty((len(values), len(starts) - 1), dtype=np.int64)
    for start in range(0, len(values), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        heights = values[chunk, None] * slopes + offsets
        for column, (first, last) in enumerate(pairwise(starts)):
            predicted[chunk, column] = heights[:, first:last].argmax(axis=1)
    return predicted
