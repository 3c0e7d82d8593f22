"""Time the metrics of codes beside factors against their plain definitions, on one thread.

10,000 codes of 10 dimensions with the factors of dSprites (5,000 more are held out where something is fitted). The
plain definition loops over pairs and calls scikit-learn or NumPy for each, as the published code does, and gives one
value; ours gives value, chance (the mean of ten more, on permuted rows) and ceiling. The ratio is for one value.
"""

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from harness import Effort, Entry, compared, interleaved, local, part
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from unbraid.metrics.explicitness import explicitness
from unbraid.metrics.irs import irs
from unbraid.metrics.mig import mig
from unbraid.metrics.modularity import modularity
from unbraid.metrics.result import Result
from unbraid.metrics.sap import SAP_DLIB_CONTINUOUS, sap
from unbraid.metrics.total_correlation import gaussian_total_correlation

SIZES, TRAIN, TEST = (3, 6, 40, 32, 32), 10_000, 5_000
QUICK = ("mig", "irs")


def measure(effort: Effort) -> list[Entry]:
    """Every metric and its plain definition in turn."""
    found, brief = [], replace(effort, seconds=effort.seconds / 20, least=1 if effort.quick else 3)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the plain classifiers do not converge, and say so
        for name, (ours, plain) in cases().items():
            if effort.quick and name not in QUICK:
                continue
            times = interleaved({"ours": local(ours), "plain": local(plain)}, brief)
            values = 2 if name == "explicitness" else 12  # its chance is in closed form
            one = [milliseconds / values for milliseconds in times["ours"]]
            known = {"values": values, "difference": abs(ours().value - plain())}
            found.append(compared(f"{name}_vs_plain", one, "plain definition", times["plain"], **known))
    return found


def cases() -> dict[str, tuple[Callable[[], Result], Callable[[], float]]]:
    """Every metric, ours and plain."""
    codes, factors = example()
    train = codes[:TRAIN], factors[:TRAIN]
    return {
        "mig": (lambda: mig(*train), lambda: plain_mig(*train)),
        "modularity": (lambda: modularity(*train), lambda: plain_modularity(*train)),
        "sap_continuous": (
            lambda: sap(*train, protocol=SAP_DLIB_CONTINUOUS),
            lambda: gap(pairwise(squared_correlation, *train)),
        ),
        "sap_discrete": (lambda: sap(codes, factors, TRAIN), lambda: gap(pairwise(accuracy, codes, factors))),
        "irs": (lambda: irs(*train), lambda: plain_irs(*train)),
        "total_correlation": (lambda: gaussian_total_correlation(train[0]), lambda: plain_correlation(train[0])),
        "explicitness": (lambda: explicitness(codes, factors, TRAIN), lambda: plain_explicitness(codes, factors)),
    }


def example() -> tuple[np.ndarray, np.ndarray]:
    """Five noisy copies of the factors, two mixtures of them and three dimensions of noise."""
    rng = np.random.default_rng(0)
    factors = rng.integers(0, SIZES, (TRAIN + TEST, len(SIZES)))
    scaled = factors / factors.std(axis=0)
    mixed = scaled @ rng.normal(size=(len(SIZES), 2))
    return np.hstack([scaled, mixed, np.zeros((len(factors), 3))]) + rng.normal(size=(len(factors), 10)) * 0.3, factors


def pairwise(score: Callable[[np.ndarray, np.ndarray], float], codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """The score of every dimension with every factor, one after the other."""
    return np.array([[score(code, factor) for factor in factors.T] for code in codes.T])


def gap(scores: np.ndarray) -> float:
    """Mean difference of the two largest of each column."""
    ordered = np.sort(scores, axis=0)
    return float((ordered[-1] - ordered[-2]).mean())


def twenty(codes: np.ndarray) -> np.ndarray:
    """Each dimension in 20 bins."""
    return np.stack([np.digitize(code, np.histogram(code, 20)[1][:-1]) for code in codes.T], axis=1)


def plain_mig(codes: np.ndarray, factors: np.ndarray) -> float:
    """One call of scikit-learn a pair."""
    entropies = np.array([mutual_info_score(factor, factor) for factor in factors.T])
    return gap(pairwise(mutual_info_score, twenty(codes), factors) / entropies)


def plain_modularity(codes: np.ndarray, factors: np.ndarray) -> float:
    """One call of scikit-learn a pair."""
    squared = pairwise(mutual_info_score, twenty(codes), factors) ** 2
    best = squared.max(axis=1)
    return float((1 - (squared.sum(axis=1) - best) / (best * (len(SIZES) - 1))).mean())


def squared_correlation(code: np.ndarray, factor: np.ndarray) -> float:
    """One covariance a pair."""
    covariance = np.cov(code, factor)
    return float(covariance[0, 1] ** 2 / (covariance[0, 0] * covariance[1, 1]))


def accuracy(code: np.ndarray, factor: np.ndarray) -> float:
    """One support vector machine a pair."""
    machine = LinearSVC(C=0.01, class_weight="balanced", random_state=0).fit(code[:TRAIN, None], factor[:TRAIN])
    return float(machine.score(code[TRAIN:, None], factor[TRAIN:]))


def plain_irs(codes: np.ndarray, factors: np.ndarray) -> float:
    """One quantile a group."""
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0)
    moved = np.empty((codes.shape[1], len(SIZES)))
    for column, factor in enumerate(twenty(factors).T):
        groups = [codes[factor == value] for value in np.unique(factor)]
        moved[:, column] = np.mean([np.quantile(np.abs(g - g.mean(axis=0)), 0.99, axis=0) for g in groups], axis=0)
    return float(np.average((1 - moved / largest[:, None]).max(axis=1), weights=largest))


def plain_correlation(codes: np.ndarray) -> float:
    """Log determinant of the covariance."""
    covariance = np.cov(codes.T)
    return float(0.5 * (np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1]))


def plain_explicitness(codes: np.ndarray, factors: np.ndarray) -> float:
    """One regression a factor, one call of scikit-learn for its areas."""
    scaled, areas = (codes - codes[:TRAIN].mean(axis=0)) / codes[:TRAIN].std(axis=0), []
    for factor, size in zip(factors.T, SIZES, strict=True):
        reader = LogisticRegression().fit(scaled[:TRAIN], factor[:TRAIN])
        areas.append(roc_auc_score(np.eye(size)[factor[TRAIN:]], reader.predict_proba(scaled[TRAIN:])))
    return float(np.mean(areas))


if __name__ == "__main__":
    part("tables", __doc__, measure)
