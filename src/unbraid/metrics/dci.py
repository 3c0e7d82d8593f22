"""DCI: does a dimension speak of one factor, is a factor in one dimension, and can it be read at all?"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Real
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Lasso

from unbraid.configuration import Plain
from unbraid.metrics._boosting import boosted
from unbraid.metrics.labelled import Labelled, labelled, train_and_test
from unbraid.metrics.mutual_information import varying
from unbraid.metrics.result import Result


@dataclass(frozen=True)
class FactorFit:
    """How one factor was read: what each dimension gave to it, and how well it was read."""

    importance: Float[np.ndarray, " latent"]
    train: float
    test: float


@runtime_checkable
class DCIProtocol(Protocol):
    """How factors are read from codes: a frozen dataclass, whose fields are reported.

    workers: how many fits may run side by side in threads.
    continuous: whether factors may be real numbers.
    """

    workers: ClassVar[int]
    continuous: ClassVar[bool]

    @property
    def name(self) -> str:
        """What results are reported under."""
        ...

    def fit(self, train: Labelled, test: Labelled, factor: int, seed: int) -> FactorFit:
        """Reads one factor, by its place in `train.factors`."""
        ...


@dataclass(frozen=True)
class DCIBoosting:
    """One gradient-boosted classifier a factor; it is read as well as the share of rows classified rightly.

    stages, depth, rate: trees a class, splits from root to leaf, and what each tree is multiplied by.
    bins: of a code's histogram, where thresholds are first looked for.

    Raises:
        ValueError: one of them is not positive, or there are fewer than two bins or more than seven levels.
    """

    stages: int = 100
    depth: int = 3
    rate: float = 0.1
    bins: int = 256
    name: str = "custom"
    workers: ClassVar[int] = 2  # more only wait for each other
    continuous: ClassVar[bool] = False  # a class for every value

    def __post_init__(self) -> None:
        if not (self.stages > 0 and 1 <= self.depth <= 7 and self.rate > 0 and self.bins > 1):
            raise ValueError(f"expected positive stages and rate, depth from 1 to 7 and at least 2 bins, got {self}")

    def fit(self, train: Labelled, test: Labelled, factor: int, seed: int) -> FactorFit:
        """Reads one factor, by its place in `train.factors`."""
        settings = (self.stages, self.depth, self.rate, self.bins, seed)
        trees = boosted(train.codes, train.factors[:, factor], *settings)
        train_right, test_right = (
            float((found == rows.factors[:, factor]).mean())
            for found, rows in ((trees.fitted, train), (trees.predict(test.codes), test))
        )
        return FactorFit(trees.importance, train_right, test_right)


@dataclass(frozen=True)
class DCILasso:
    """One lasso a factor, both standardised; its error is the normalised root mean squared one.

    alpha: weight of the sum of absolute coefficients.

    Raises:
        ValueError: it is not positive.
    """

    alpha: float = 0.02
    name: str = "custom"
    workers: ClassVar[int] = 1  # scikit-learn's fits set the warnings of the whole process
    continuous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise ValueError(f"expected a positive alpha, got {self.alpha}")

    def fit(self, train: Labelled, test: Labelled, factor: int, seed: int) -> FactorFit:
        """Reads one factor, by its place in `train.factors`."""
        reader = Lasso(self.alpha, random_state=seed)  # else it advances the global state
        errors = _regression(reader.fit, reader.predict, train, test, factor)
        return FactorFit(np.abs(np.asarray(reader.coef_)), *errors)


@dataclass(frozen=True)
class DCIForest:
    """One random forest a factor, both standardised; its error is the normalised root mean squared one.

    trees: of each forest.
    depths: most splits from root to leaf, for each factor as given, or one for all.

    Raises:
        ValueError: there are no trees, or a depth is not positive.
    """

    trees: int = 10
    depths: tuple[int, ...] = (12,)
    name: str = "custom"
    workers: ClassVar[int] = 1  # scikit-learn's fits set the warnings of the whole process
    continuous: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.trees < 1 or not self.depths or min(self.depths) < 1:
            raise ValueError(f"expected at least one tree and depths of at least 1, got {self.trees}, {self.depths}")

    def fit(self, train: Labelled, test: Labelled, factor: int, seed: int) -> FactorFit:
        """Reads one factor, by its place in `train.factors`.

        Raises:
            ValueError: there is no depth for it.
        """
        column, last = train.columns[factor], len(self.depths) - 1
        if 0 < last < column:
            raise ValueError(f"expected a depth for each factor, got {last + 1} and none for factor {column}")
        depth = self.depths[min(column, last)]
        reader = RandomForestRegressor(self.trees, max_depth=depth, random_state=seed)
        errors = _regression(reader.fit, reader.predict, train, test, factor)
        return FactorFit(np.asarray(reader.feature_importances_), *errors)


DCI_DLIB = DCIBoosting(name="dlib")
DCI_QEDR_LASSO = DCILasso(name="qedr-lasso")
DCI_QEDR_RF = DCIForest(name="qedr-rf")


@dataclass(frozen=True)
class _Scores:
    importance: Float[np.ndarray, "latent factor"]
    disentangled: Float[np.ndarray, " latent"]
    complete: Float[np.ndarray, " factor"]
    train: Float[np.ndarray, " factor"]
    test: Float[np.ndarray, " factor"]

    def three(self) -> tuple[float, float, float]:
        """Disentanglement, completeness, informativeness."""
        of_latents, of_factors = self.importance.sum(axis=1), self.importance.sum(axis=0)
        total = self.importance.sum() or 1
        disentanglement = float(self.disentangled @ of_latents / total)
        return disentanglement, float(self.complete @ of_factors / total), float(self.test.mean())


def dci(
    codes: Real[np.ndarray, "n latent"],
    factors: Real[np.ndarray, "n factor"],
    test_from: int | None = None,
    protocol: DCIProtocol = DCI_DLIB,
    seed: int = 0,
    shuffles: int = 1,
) -> dict[str, Result]:
    """Disentanglement, completeness and informativeness (Eastwood & Williams 2018, section 2).

    Each factor is predicted from all dimensions, which gives the importance R[latent, factor]. With its lines as
    shares, a dimension's disentanglement is 1 minus their entropy to base "number of factors", a factor's completeness
    the same down the columns to base "number of dimensions". Both are averaged with the share of all importance as
    weight, so a line or column of zeros weighs nothing.

    Protocol `DCI_DLIB` is disentanglement_lib's: gradient-boosted trees with scikit-learn's defaults, R the decrease of
    squared error, informativeness the accuracy on held-out rows. Ours are grown for all classes at once, thresholds
    being found through histograms; where dimensions split equally well they share the importance, which scikit-learn
    leaves to chance. `DCI_QEDR_LASSO` (R: absolute coefficients) and `DCI_QEDR_RF` (R: as scikit-learn's forest gives
    it, depth 12 for every factor unless `depths` says otherwise) are the paper's regressions of standardised factors;
    informativeness is the root mean squared error on held-out rows over the factor's deviation there: *0 is best*,
    and 1 is what the mean alone gets. These two take real factors as well, as the paper's are, at their own values: an
    angle is read as a number, though its two ends are the same direction.

    A constant dimension changes neither disentanglement nor informativeness. As in the paper and the reference it does
    count as a dimension in the base of completeness; `detail["completeness_of_active"]` is that without it.

    Args:
        codes: `[n, latent]`, finite.
        factors: `[n, factor]` integers, any values, or real numbers if the protocol regresses; a factor with one value
            is left out.
        test_from: rows before it are fitted on and those from it on are scored; None holds out a random third.
        protocol: the readers, and the name they are reported under.
        seed: of the held-out rows, the readers and the shuffles.
        shuffles: how often the readers are fitted to codes with their rows permuted, for the chance level; each costs
            as much as the value itself. 0 leaves chance and ceiling out.

    Returns:
        `dci_disentanglement`, `dci_completeness` and `dci_informativeness`. `chance`: mean over the shuffles.
        `ceiling`: with the factors as the code. `detail`: R, the value of each dimension or factor, and for
        informativeness that on the fitted rows.

    Raises:
        ValueError: codes are not a finite matrix, factors not as many rows of integers (or real numbers) of which a
            column varies, fewer than two rows are on a side of `test_from`, or `shuffles` is negative.

    >>> import numpy as np
    >>> factors = np.random.default_rng(0).integers(0, (2, 3), size=(300, 2))
    >>> few = DCIBoosting(stages=20)
    >>> [round(result.value, 2) for result in dci(factors.astype(float), factors, protocol=few).values()]  # perfect
    [1.0, 1.0, 1.0]
    >>> permuted = -3.0 * factors[:, ::-1] + 1  # as good
    >>> [round(result.value, 2) for result in dci(permuted, factors, protocol=few).values()]
    [1.0, 1.0, 1.0]
    >>> noise = np.random.default_rng(1).normal(size=(300, 3))  # bad
    >>> max(result.value for result in dci(noise, factors, protocol=few).values()) < 0.6
    True
    """
    if shuffles < 0:
        raise ValueError(f"expected shuffles of at least 0, got {shuffles}")
    if not protocol.continuous and np.asarray(factors).dtype.kind == "f":
        raise ValueError(
            f"expected factors as integers for the protocol {protocol.name}, which has a class for every value, got "
            f"{np.asarray(factors).dtype}; number their values, or take DCI_QEDR_LASSO or DCI_QEDR_RF for real factors"
        )
    given, rng = labelled(codes, factors, continuous=protocol.continuous), np.random.default_rng(seed)
    train, test = train_and_test(len(given.codes), test_from, seed)
    shuffled = [rng.permutation(given.codes) for _ in range(shuffles)]
    perfect = [given.values] if shuffles else []
    value, *levels = _all_scores([given.codes, *shuffled, *perfect], given, train, test, protocol, seed)
    chance = np.mean([level.three() for level in levels[:-1]], axis=0) if shuffles else (None,) * 3
    ceiling = levels[-1].three() if shuffles else (None,) * 3
    parameters = _parameters(protocol, len(train), len(test), shuffles)
    names = ("dci_disentanglement", "dci_completeness", "dci_informativeness")
    details = _details(value, given, varying(given.codes[train]))
    return {
        name: Result(name, number, protocol.name, parameters, low, high, seed=seed, detail=detail)
        for name, number, low, high, detail in zip(names, value.three(), chance, ceiling, details, strict=True)
    }


def _parameters(protocol: DCIProtocol, train: int, test: int, shuffles: int) -> dict[str, Plain]:
    settings = {name: value for name, value in vars(protocol).items() if name != "name"}
    return {**settings, "train": train, "test": test, "shuffles": shuffles}


def _details(scores: _Scores, given: Labelled, active: Bool[np.ndarray, " latent"]) -> list[dict[str, Plain]]:
    shared: dict[str, Plain] = {"importance": scores.importance.tolist(), "factors": list(given.columns)}
    of_active = _concentration(scores.importance[active])
    weight = scores.importance.sum(axis=0) / (scores.importance.sum() or 1)
    return [
        {"latents": scores.disentangled.tolist(), "active": np.flatnonzero(active).tolist(), **shared},
        {"of_factors": scores.complete.tolist(), "completeness_of_active": float(of_active @ weight), **shared},
        {"of_factors": scores.test.tolist(), "train": float(scores.train.mean()), **shared},
    ]


def _all_scores(
    many: list[Float[np.ndarray, "n _"]],
    given: Labelled,
    train: Int[np.ndarray, " train"],
    test: Int[np.ndarray, " test"],
    protocol: DCIProtocol,
    seed: int,
) -> list[_Scores]:
    """The scores of several codes of the same observations, the fits of all of them in one queue."""
    actives = [varying(codes[train]) for codes in many]
    kept = [given.coded(codes[:, on]) for codes, on in zip(many, actives, strict=True)]
    sizes = given.factors.max(axis=0)
    jobs = [(code, factor) for factor in np.argsort(-sizes).tolist() for code in range(len(many))]  # the longest first

    def fit(job: tuple[int, int]) -> FactorFit:
        code, factor = kept[job[0]], int(job[1])
        return _fit(code.rows(train), code.rows(test), factor, protocol, seed)

    with ThreadPoolExecutor(protocol.workers) as pool:
        found = pool.map(fit, jobs) if protocol.workers > 1 else map(fit, jobs)
        fits = dict(zip(jobs, found, strict=True))
    return [
        _scores([fits[code, factor] for factor in range(len(sizes))], active) for code, active in enumerate(actives)
    ]


def _fit(train: Labelled, test: Labelled, factor: int, protocol: DCIProtocol, seed: int) -> FactorFit:
    """One factor read; a code that is all constant is read as one column of zeros, and nothing is important."""
    if train.codes.shape[1]:
        return protocol.fit(train, test, factor, seed)
    blank = [rows.coded(np.zeros((len(rows.codes), 1))) for rows in (train, test)]
    found = protocol.fit(blank[0], blank[1], factor, seed)
    return FactorFit(np.zeros(0), found.train, found.test)


def _scores(fits: list[FactorFit], active: Bool[np.ndarray, " latent"]) -> _Scores:
    importance = np.zeros((len(active), len(fits)))
    importance[active] = np.stack([fit.importance for fit in fits], axis=1)
    train, test = (np.array([getattr(fit, side) for fit in fits]) for side in ("train", "test"))
    return _Scores(importance, _concentration(importance.T), _concentration(importance), train, test)


def _concentration(importance: Float[np.ndarray, "part whole"]) -> Float[np.ndarray, " whole"]:
    """1 minus the entropy of each column as shares, to base "number of rows"; 1 with one row, 0 for a column of 0."""
    total = importance.sum(axis=0)
    shares = importance / np.where(total > 0, total, 1)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=0)
    return np.where(total > 0, 1 - entropy / (np.log(len(importance)) if len(importance) > 1 else 1), 0)


def _regression(
    fit: Callable[..., object],
    predict: Callable[..., Float[np.ndarray, " n"]],
    train: Labelled,
    test: Labelled,
    factor: int,
) -> tuple[float, float]:
    """Normalised root mean squared errors on both sides, of a regression of standardised values."""
    middle, spread = train.codes.mean(axis=0), train.codes.std(axis=0)
    codes = [(rows.codes - middle) / np.where(spread > 0, spread, 1) for rows in (train, test)]
    truth = [rows.values[:, factor] for rows in (train, test)]
    centre, width = truth[0].mean(), truth[0].std() or 1.0
    truth = [(values - centre) / width for values in truth]
    fit(codes[0], truth[0])
    errors = [np.sqrt(np.mean((predict(x) - y) ** 2)) / (y.std() or 1.0) for x, y in zip(codes, truth, strict=True)]
    return float(errors[0]), float(errors[1])
