"""How well a probe reads from a code what should not be in it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from unbraid.metrics.checks import NORMAL_95, integers, matrix, proportion_interval, same_length
from unbraid.metrics.null import permutation_null
from unbraid.metrics.result import Result

_RESAMPLES = 200


@dataclass(frozen=True)
class Probe:
    """A predictor under a name; codes are standardised inside every fold before it sees them.

    make: seed to an unfitted scikit-learn classifier or regressor.
    """

    name: str
    make: Callable[[int], BaseEstimator]

    def standardised(self, seed: int) -> BaseEstimator:
        """A new predictor behind a scaler; a constant dimension becomes 0."""
        return make_pipeline(StandardScaler(), self.make(seed))


LOGISTIC = Probe("logistic regression", lambda seed: LogisticRegression(max_iter=1000, random_state=seed))
FOREST = Probe(
    "random forest", lambda seed: RandomForestClassifier(50, min_samples_leaf=5, max_samples=0.5, random_state=seed)
)
NEIGHBOURS = Probe("15 nearest neighbours", lambda seed: KNeighborsClassifier(15))
RIDGE = Probe("ridge regression", lambda seed: Ridge(1.0, random_state=seed))
NEIGHBOURS_REGRESSION = Probe("15 nearest neighbours", lambda seed: KNeighborsRegressor(15))


def population_leakage(
    codes: Real[np.ndarray, "n latent"],
    population: Int[np.ndarray, " n"],
    probe: Probe = LOGISTIC,
    folds: int = 5,
    shuffles: int = 20,
    seed: int = 0,
) -> dict[str, Result]:
    """How well a probe tells the population from a code: at chance for a shared code without leakage.

    Codes must be computed in the same way for every sample: those of a private head for *all* samples, not only its own
    population's, since masked codes give the label away. A linear probe at chance does not show that nothing leaks;
    run `NEIGHBOURS` or `FOREST` beside it (on 10,000
    codes of 25 dimensions, one core: 0.2 s linear, 1.2 s neighbours, 29 s forest).

    Args:
        codes: `[n, latent]`.
        population: `[n]` integer population of every code, each at least `folds` times.
        probe: `LOGISTIC`, `NEIGHBOURS`, `FOREST` or another.
        folds: of the stratified cross-validation; each sample is predicted once, by a probe that has not seen it.
        shuffles: how often the whole procedure is repeated with permuted populations for `detail["null"]`, each as dear
            as the value itself. Permuting the truth under the predictions that are there would cost nothing, but
            finds leakage too often where there is none: of 150 codes of noise (1,000 samples, 8 dimensions), 12%
            instead of 5% with `NEIGHBOURS`.
        seed: of folds, probe and permutations.

    Returns:
        Results under "accuracy" (chance: the largest population's share) and "balanced_accuracy" (mean recall over
        populations; chance 1/K). `interval`: Wilson's for the accuracy, normal with adjusted recalls (Agresti & Coull
        1998) for the balanced one; over samples, for these codes.

    Raises:
        ValueError: codes are not a finite matrix, or a population has fewer than `folds` samples.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> population = np.repeat([0, 1], 100)
    >>> codes = rng.normal(size=(200, 2)) + 10 * population[:, None]
    >>> population_leakage(codes, population)["accuracy"].value  # perfect for the probe: all leaks
    1.0
    >>> population_leakage(codes, 1 - population)["accuracy"].value  # permuted names: as much
    1.0
    >>> abs(population_leakage(codes, rng.permutation(population))["accuracy"].value - 0.5) < 0.12  # nothing leaks
    True
    """
    codes = matrix(codes, "codes")
    population = integers(population, "population", len(codes))
    counts = np.bincount(population)
    _require_folds(folds, int(counts.min()), "samples in the smallest population")
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    rng = np.random.default_rng(seed)
    nulls = [rng.permutation(population) for _ in range(shuffles)]
    hits = [_hits(predicted(probe, codes, truth, splits, seed), truth) for truth in (population, *nulls)]
    accuracies = [float(hit.sum() / len(codes)) for hit in hits]
    balanced = [float((hit / counts).mean()) for hit in hits]
    accuracy_interval = proportion_interval(int(hits[0].sum()), len(codes))
    values = {
        "accuracy": (accuracies, float(counts.max() / len(codes)), accuracy_interval),
        "balanced_accuracy": (balanced, 1 / len(counts), _balanced_interval(hits[0], counts)),
    }
    parameters = {"folds": folds, "populations": len(counts), "samples": len(codes), "standardised": True}
    recalls = (hits[0] / counts).tolist()
    return {
        name: Result(
            f"population_leakage_{name}",
            value,
            probe.name,
            parameters,
            chance,
            1.0,
            interval,
            seed,
            {"recalls": recalls, "null": permutation_null(value, np.array(shuffled))},
        )
        for name, ((value, *shuffled), chance, interval) in values.items()
    }


def regression_leakage(
    codes: Real[np.ndarray, "n latent"],
    factors: Real[np.ndarray, "n factor"],
    probe: Probe = RIDGE,
    folds: int = 5,
    shuffles: int = 20,
    seed: int = 0,
) -> Result:
    """R^2 of a probe that predicts continuous factors from a code, mean over factors; 0 means nothing can be read.

    R^2 is 1 - squared error / squared deviation from the mean over all cross-validated predictions, so that it falls
    below 0 where the probe is worse than the mean. `interval` is normal, from 200 bootstrap resamples of samples with
    the predictions held. Values per factor are in `detail["r2"]`, the value with permuted factors in `detail["null"]`.

    Args:
        codes: `[n, latent]`.
        factors: `[n, factor]` factors, each varying; those of a private part, to see whether the shared code has them.
        probe: `RIDGE` (penalty 1), `NEIGHBOURS_REGRESSION` or another.
        folds, shuffles, seed: as for `population_leakage`.

    Raises:
        ValueError: codes or factors are not finite matrices of one length, at least `folds`, or a factor is constant.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.normal(size=(500, 2))
    >>> round(regression_leakage(factors @ rng.normal(size=(2, 3)), factors).value, 3)  # all leaks
    1.0
    >>> round(regression_leakage(factors[:, ::-1].copy(), factors).value, 3)  # permuted: as much
    1.0
    >>> abs(regression_leakage(rng.normal(size=(500, 3)), factors).value) < 0.05  # nothing leaks
    True
    """
    codes, factors = matrix(codes, "codes"), matrix(factors, "factors")
    same_length("factors", len(factors), "codes", len(codes))
    _require_folds(folds, len(codes), "samples")
    constant = np.flatnonzero(np.ptp(factors, axis=0) <= 1e-12 * np.abs(factors).max(axis=0))
    if len(constant):
        raise ValueError(f"expected factors that vary, got constant columns {constant.tolist()}; drop them")
    splits = KFold(folds, shuffle=True, random_state=seed)
    rng = np.random.default_rng(seed)

    def errors(truth: Float[np.ndarray, "n factor"]) -> Float[np.ndarray, "n factor"]:
        return (predicted(probe, codes, truth, splits, seed).reshape(truth.shape) - truth) ** 2

    deviations = (factors - factors.mean(axis=0)) ** 2
    own = errors(factors)
    r2 = 1 - own.sum(axis=0) / deviations.sum(axis=0)
    shuffled = [(1 - errors(rng.permutation(factors)).sum(0) / deviations.sum(0)).mean() for _ in range(shuffles)]
    weights = rng.multinomial(len(codes), np.full(len(codes), 1 / len(codes)), size=_RESAMPLES).astype(float)
    half = NORMAL_95 * float((1 - (weights @ own) / (weights @ deviations)).mean(axis=1).std(ddof=1))
    value = float(r2.mean())
    return Result(
        "regression_leakage",
        value,
        f"{probe.name}, R^2",
        {"folds": folds, "factors": factors.shape[1], "samples": len(codes), "standardised": True},
        0.0,
        1.0,
        (value - half, min(value + half, 1.0)),
        seed,
        {"r2": r2.tolist(), "null": permutation_null(value, np.array(shuffled))},
    )


def predicted(
    probe: Probe,
    codes: Float[np.ndarray, "n latent"],
    truth: Real[np.ndarray, "n ..."],
    splits: KFold | StratifiedKFold,
    seed: int,
) -> Real[np.ndarray, "n ..."]:
    """What the probe says of every sample when it was fitted on the other folds."""
    return np.asarray(cross_val_predict(probe.standardised(seed), codes, truth, cv=splits))


def _balanced_interval(
    hits: Int[np.ndarray, " population"], counts: Int[np.ndarray, " population"]
) -> tuple[float, float]:
    smoothed = (hits + 2) / (counts + 4)
    variance = float((smoothed * (1 - smoothed) / (counts + 4)).sum()) / len(counts) ** 2
    value, half = float((hits / counts).mean()), NORMAL_95 * math.sqrt(variance)
    return max(value - half, 0.0), min(value + half, 1.0)


def _hits(predicted: Int[np.ndarray, " n"], truth: Int[np.ndarray, " n"]) -> Int[np.ndarray, " population"]:
    return np.bincount(truth[predicted == truth], minlength=int(truth.max()) + 1)


def _require_folds(folds: int, available: int, what: str) -> None:
    if not 2 <= folds <= available:
        raise ValueError(
            f"expected 2 to {available} folds, as many as {what}, got {folds}; pass more samples or fewer folds"
        )
