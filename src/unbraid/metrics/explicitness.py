"""Explicitness: can a linear classifier read every value of every factor from the whole code?"""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from unbraid.configuration import Plain
from unbraid.metrics.labelled import labelled, train_and_test
from unbraid.metrics.mutual_information import varying
from unbraid.metrics.result import Result


@dataclass(frozen=True)
class ExplicitnessProtocol:
    """The logistic regression that reads factors from standardised codes.

    penalty: C, the inverse of the weight of the squared penalty.
    iterations: most iterations of its optimiser.

    Raises:
        ValueError: one of them is not positive.
    """

    penalty: float = 1.0
    iterations: int = 100
    name: str = "custom"

    def __post_init__(self) -> None:
        if not (self.penalty > 0 and self.iterations > 0):
            raise ValueError(f"expected positive penalty and iterations, got {self.penalty} and {self.iterations}")


EXPLICITNESS_DLIB = ExplicitnessProtocol(name="dlib")


def explicitness(
    codes: Real[np.ndarray, "n latent"],
    factors: Int[np.ndarray, "n factor"],
    test_from: int | None = None,
    protocol: ExplicitnessProtocol = EXPLICITNESS_DLIB,
    seed: int = 0,
) -> Result:
    """Mean area under the ROC curve of each value of each factor against its others (Ridgeway & Mozer 2018, 3).

    A multinomial logistic regression predicts the factor from all dimensions, standardised on the rows it is fitted on;
    its probability of a value ranks the held-out rows. Areas are averaged over the values of a factor, then over
    factors. Protocol `EXPLICITNESS_DLIB` is disentanglement_lib's (scikit-learn's regression with C = 1 and 100
    iterations, score on held-out rows). Ours leaves constant dimensions out (there: 0/0), and a value that the held-out
    rows have not, or only have, has no area and is not averaged.

    Args:
        codes: `[n, latent]`, finite.
        factors: `[n, factor]` integers; a factor with one value is left out.
        test_from: rows before it are fitted on and those from it on are scored; None holds out a random third.
        protocol: the regression, and the name it is reported under.
        seed: of the held-out rows; with `test_from` nothing is random.

    Returns:
        Value in [0, 1]. `chance`: 0.5 in closed form, the expected area of a ranking that knows nothing. `ceiling`: the
        score of the factors as the code. `detail`: the mean area of each factor, and on the fitted rows.

    Raises:
        ValueError: codes are not a finite matrix, factors not as many rows of integers of which a column varies, or
            fewer than two rows are on a side of `test_from`.

    >>> import numpy as np
    >>> factors = np.random.default_rng(0).integers(0, (2, 3), size=(300, 2))
    >>> round(explicitness(factors.astype(float), factors).value, 2)  # perfect
    1.0
    >>> round(explicitness(-3.0 * factors[:, ::-1] + 1, factors).value, 2)  # permuted, flipped, scaled: as good
    1.0
    >>> abs(explicitness(np.random.default_rng(1).normal(size=(300, 3)), factors).value - 0.5) < 0.1  # bad
    True
    """
    given = labelled(codes, factors)
    train, test = train_and_test(len(given.codes), test_from, seed)
    kept = varying(given.codes[train])
    areas = np.array([_areas(given.codes[:, kept], truth, train, test, protocol) for truth in given.factors.T])
    perfect = given.factors.astype(np.float64)
    perfect = perfect[:, varying(perfect[train])]
    ceiling = np.mean([_areas(perfect, truth, train, test, protocol)[0] for truth in given.factors.T])
    parameters: dict[str, Plain] = {
        "penalty": protocol.penalty,
        "iterations": protocol.iterations,
        "train": len(train),
        "test": len(test),
    }
    detail: dict[str, Plain] = {
        "active": np.flatnonzero(kept).tolist(),
        "factors": list(given.columns),
        "areas": areas[:, 0].tolist(),
        "train_areas": areas[:, 1].tolist(),
    }
    value = float(areas[:, 0].mean())
    return Result("explicitness", value, protocol.name, parameters, 0.5, float(ceiling), None, seed, detail)


def _areas(
    codes: Float[np.ndarray, "n latent"],
    truth: Int[np.ndarray, " n"],
    train: Int[np.ndarray, " train"],
    test: Int[np.ndarray, " test"],
    protocol: ExplicitnessProtocol,
) -> tuple[float, float]:
    """Mean area over the values of one factor, on the held-out and on the fitted rows; 0.5 where nothing can rank."""
    if codes.shape[1] == 0 or np.ptp(truth[train]) == 0:
        return 0.5, 0.5
    scaled = (codes - codes[train].mean(axis=0)) / codes[train].std(axis=0)
    reader = LogisticRegression(C=protocol.penalty, max_iter=protocol.iterations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as many iterations as the protocol says
        warnings.filterwarnings("ignore", "The number of unique classes")  # few rows of many values
        reader.fit(scaled[train], truth[train])
    held_out, fitted = (
        _area(reader.predict_proba(scaled[rows]), truth[rows], reader.classes_) for rows in (test, train)
    )
    return held_out, fitted


def _area(
    chances: Float[np.ndarray, "n value"], truth: Int[np.ndarray, " n"], values: Int[np.ndarray, " value"]
) -> float:
    """Mean over values of the chance that a row of the value is ranked above one of another, ties counted half."""
    own = truth[:, None] == values
    count = own.sum(axis=0)
    comparable = (count > 0) & (count < len(truth))
    if not comparable.any():
        return 0.5
    own, count, ranks = own[:, comparable], count[comparable], rankdata(chances[:, comparable], axis=0)
    above = (ranks * own).sum(axis=0) - count * (count + 1) / 2
    return float((above / (count * (len(truth) - count))).mean())
