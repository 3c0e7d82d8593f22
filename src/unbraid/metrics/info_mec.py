"""InfoM, InfoE and InfoC: modularity, explicitness and compactness of a code, in units of information."""

import warnings
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.special import digamma
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score

from unbraid.metrics.labelled import labelled
from unbraid.metrics.result import Result

_SHUFFLES = 5
_NOISE = 1e-10  # of a standardised code: breaks ties, as the estimator needs
_EPSILON = np.finfo(np.float64).eps

Codes = Float[np.ndarray, "n latent"]
Information = Float[np.ndarray, "active factor"]


@dataclass(frozen=True)
class InfoMECProtocol:
    """How information between a code and factors is estimated.

    discrete: the distinct values of every dimension are symbols (a quantised code); otherwise they are continuous.
    neighbours: of the estimator for continuous codes.
    prune: dimensions whose range is not above this share of the largest range are inactive.
    iterations: of the regression that explicitness is read from.

    Raises:
        ValueError: a count is below 1, or `prune` is not in [0, 1).
    """

    discrete: bool = False
    neighbours: int = 10
    prune: float = 0.05
    iterations: int = 100
    name: str = "custom"

    def __post_init__(self) -> None:
        for name in ("neighbours", "iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1, got {getattr(self, name)}")
        if not 0 <= self.prune < 1:
            raise ValueError(f"expected prune from 0 to below 1, got {self.prune}")

    def settings(self) -> dict[str, int | float | bool]:
        """The values without the name."""
        return {name: value for name, value in asdict(self).items() if name != "name"}


INFO_MEC = InfoMECProtocol(name="latent-quantization")
INFO_MEC_DISCRETE = InfoMECProtocol(discrete=True, prune=0.0, name="latent-quantization-discrete")


def info_mec(
    codes: Real[np.ndarray, "n latent"],
    factors: Int[np.ndarray, "n factor"],
    protocol: InfoMECProtocol = INFO_MEC,
    seed: int = 0,
) -> dict[str, Result]:
    """InfoModularity, InfoExplicitness and InfoCompactness (Hsu et al. 2023).

    N is the mutual information of active dimension and factor over the entropy of the factor. InfoM: the largest share
    that one factor has of a dimension's N, mean over dimensions, rescaled so that equal shares give 0. InfoC: the same
    for the shares that dimensions have of a factor's N. InfoE: 1 - H(factor | code) / log(number of values), mean over
    factors, H by an unpenalised logistic regression with balanced classes on all dimensions, standardised.

    `INFO_MEC` follows the authors' code: information between a continuous dimension and a factor by nearest neighbours
    (Ross 2014; here by sorting, equal to scikit-learn's estimate but for rounding and the noise that breaks ties), a
    regression of 100 L-BFGS iterations scored on the rows it was fitted on, inactive dimensions left out of InfoM and
    InfoC only. `INFO_MEC_DISCRETE` counts symbols instead. Ours: a dimension (factor) without any information counts as
    one with equal shares, where theirs divides 0 by 0; InfoM of one factor and InfoC of one dimension are 0.

    Args:
        codes: `[n, latent]`.
        factors: `[n, factor]` integers; constant ones are left out.
        protocol: the estimator, and the name it is reported under.
        seed: of the noise and the permutations.

    Returns:
        Results under "info_m", "info_e" and "info_c". `chance`: with the rows of the codes permuted (InfoM and InfoC:
        mean over 5 permutations, well above 0, since the noise of the estimates has no equal shares). `ceiling`: the
        factors themselves, scaled to one range.

    Raises:
        ValueError: codes are not a finite matrix, factors not as many rows of integers, or a discrete code has more
            distinct values than rows.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> factors = rng.integers(4, size=(600, 3))
    >>> [round(result.value, 1) for result in info_mec(factors, factors).values()]  # perfect
    [1.0, 1.0, 1.0]
    >>> [round(result.value, 1) for result in info_mec(factors[:, ::-1], factors).values()]  # permuted: as good
    [1.0, 1.0, 1.0]
    >>> info_mec(rng.normal(size=(600, 3)), factors)["info_e"].value < 0.1  # bad
    True
    """
    given = labelled(codes, factors)
    if protocol.discrete:
        _check_symbols(given.codes)
    rng = np.random.default_rng(seed)
    active = _active(given.codes, protocol)
    information = _information(given.codes[:, active], given.factors, protocol, rng)
    explicit = _explicitness(given.codes, given.factors, protocol)
    values = _scores(information, explicit)
    shuffled = [rng.permutation(given.codes) for _ in range(_SHUFFLES)]
    guessed = [_information(codes[:, active], given.factors, protocol, rng) for codes in shuffled]
    guess = _explicitness(shuffled[0], given.factors, protocol)
    null = np.array([_scores(some, guess) for some in guessed])
    perfect = given.factors / given.factors.max(axis=0)
    ceiling = _scores(
        _information(perfect, given.factors, protocol, rng), _explicitness(perfect, given.factors, protocol)
    )
    parameters = {**protocol.settings(), "samples": len(given.codes), "latents": given.codes.shape[1]}
    about = {"active": active.tolist(), "columns": given.columns, "normalised_information": information.tolist()}
    details = {
        "info_m": {**about, **_note(len(given.columns), "factor")},
        "info_e": {"columns": given.columns, "explicitness": explicit},
        "info_c": {**about, **_note(len(active), "active dimension")},
    }
    return {
        name: Result(
            name, value, protocol.name, parameters, float(low.mean()), high, None, seed, {**detail, "shuffled": low}
        )
        for (name, detail), value, low, high in zip(details.items(), values, null.T, ceiling, strict=True)
    }


def _scores(information: Information, explicit: list[float]) -> list[float]:
    return [_concentration(information), float(np.mean(explicit)), _concentration(information.T)]


def _concentration(shares: Float[np.ndarray, "row column"]) -> float:
    """Largest share in a row, mean over rows: 0 for equal shares, 1 for all in one column, 0 if there is but one."""
    rows, columns = shares.shape
    if not rows or columns < 2:
        return 0.0
    total = shares.sum(axis=1)
    largest = np.where(total > 0, shares.max(axis=1) / np.where(total > 0, total, 1), 1 / columns)
    return float((largest.mean() - 1 / columns) / (1 - 1 / columns))


def _note(count: int, what: str) -> dict[str, str]:
    return {} if count > 1 else {"note": f"{count} {what}: shares need at least two, so the value is 0"}


def _active(codes: Codes, protocol: InfoMECProtocol) -> Int[np.ndarray, " active"]:
    """Dimensions with a range above rounding error and above the share of the largest."""
    ranges = np.ptp(codes, axis=0)
    ranges = np.where(ranges > 1e-12 * np.abs(codes).max(axis=0), ranges, 0)
    return np.flatnonzero(ranges > protocol.prune * ranges.max())


def _standardised(codes: Codes) -> Codes:
    """Mean 0 and deviation 1; a dimension that varies by rounding error only becomes 0."""
    deviation = codes.std(axis=0)
    varies = deviation > 1e-12 * np.abs(codes).max(axis=0)
    return (codes - codes.mean(axis=0)) / np.where(varies, deviation, 1) * varies


def _information(
    codes: Float[np.ndarray, "n active"],
    factors: Int[np.ndarray, "n factor"],
    protocol: InfoMECProtocol,
    rng: np.random.Generator,
) -> Information:
    """Mutual information of every dimension and factor over the entropy of the factor."""
    if protocol.discrete:
        codes = np.stack([np.unique(column, return_inverse=True)[1] for column in codes.T], axis=1)
        pairs = [[mutual_info_score(factor, column) for factor in factors.T] for column in codes.T]
    else:
        codes = _standardised(codes) + _NOISE * rng.standard_normal(codes.shape)
        pairs = [[_by_neighbours(column, factor, protocol.neighbours) for factor in factors.T] for column in codes.T]
    entropies = [mutual_info_score(factor, factor) for factor in factors.T]
    return np.maximum(np.array(pairs).reshape(-1, factors.shape[1]), 0) / entropies


def _by_neighbours(values: Float[np.ndarray, " n"], labels: Int[np.ndarray, " n"], most: int) -> float:
    """Mutual information in nats of a number without ties and a label (Ross 2014).

    How far every value is from its k-th neighbour with the same label, and how many values of any label are nearer;
    k is `most`, or all others with the label if they are fewer. Labels that occur once are left out.
    """
    counts = np.bincount(labels)[labels]
    values, labels, counts = values[counts > 1], labels[counts > 1], counts[counts > 1]
    if not len(values):
        return 0.0
    order = np.lexsort((values, labels))
    values, labels, counts = values[order], labels[order], counts[order]
    neighbours = np.minimum(most, counts - 1)
    reach = np.empty_like(values)
    for k in np.unique(neighbours).tolist():
        here = neighbours == k
        reach[here] = _distance(values[here], labels[here], k)
    reach -= 4 * _EPSILON * (np.abs(values) + reach)  # the k-th neighbour itself is not nearer
    ranked = np.sort(values)
    nearer = ranked.searchsorted(values + reach, "right") - ranked.searchsorted(values - reach, "left")
    terms = digamma(neighbours) - digamma(counts) - digamma(np.maximum(nearer, 1))
    return float(digamma(len(values)) + terms.mean())


def _distance(values: Float[np.ndarray, " n"], labels: Int[np.ndarray, " n"], k: int) -> Float[np.ndarray, " n"]:
    """Distance to the k-th nearest value with the same label; values are sorted within labels, which lie together."""
    below = [np.zeros(len(values))]  # distance to the j-th value below, and above
    above = [np.zeros(len(values))]
    for j in range(1, k + 1):
        gap = np.where(labels[j:] == labels[:-j], values[j:] - values[:-j], np.inf)
        below.append(np.concatenate([np.full(j, np.inf), gap]))
        above.append(np.concatenate([gap, np.full(j, np.inf)]))
    return np.min([np.maximum(below[k - j], above[j]) for j in range(k + 1)], axis=0)


def _explicitness(codes: Codes, factors: Int[np.ndarray, "n factor"], protocol: InfoMECProtocol) -> list[float]:
    """1 - cross-entropy of every factor given the code over that of a guess, on the rows of the fit."""
    if protocol.discrete:
        features = np.concatenate([column[:, None] == np.unique(column) for column in codes.T], axis=1).astype(float)
    else:
        features = _standardised(codes)
    model = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=protocol.iterations)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of iterations belongs to the protocol
        warnings.filterwarnings("ignore", "The number of unique classes")  # few rows of many values
        for factor in factors.T:
            predicted = model.fit(features, factor).predict_proba(features)[np.arange(len(factor)), factor]
            cross_entropy = -np.log(np.maximum(predicted, _EPSILON)).mean()
            found.append(float(1 - cross_entropy / np.log(factor.max() + 1)))
    return found


def _check_symbols(codes: Codes) -> None:
    symbols = sum(len(np.unique(column)) for column in codes.T)
    if symbols > len(codes):
        raise ValueError(
            f"expected a quantised code, with fewer distinct values in all dimensions than rows, got {symbols} values "
            f"in {len(codes)} rows; use the continuous protocol, or bin the code first"
        )
