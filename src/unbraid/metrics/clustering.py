"""Do the clusters of a code agree with known classes?"""

import warnings
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int, Real
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    normalized_mutual_info_score,
    silhouette_score,
)
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

from unbraid.metrics.checks import NORMAL_95, integers, matrix
from unbraid.metrics.null import agreements, permutation_null
from unbraid.metrics.result import Result

_PROTOCOL = "k-means on posterior means"
_STANDARDISED = "k-means on standardised posterior means"
_NEGLIGIBLE = 0.01  # of the largest variance
_RESAMPLES = 100

_MEASURES = {"ari": adjusted_rand_score, "ami": adjusted_mutual_info_score, "nmi": normalized_mutual_info_score}


def clustering(
    codes: Real[np.ndarray, "n latent"],
    labels: Int[np.ndarray, " n"],
    seed: int = 0,
    restarts: int = 10,
    silhouette_samples: int = 2_000,
    shuffles: int = 500,
    standardised: bool = False,
) -> dict[str, Result]:
    """Agreement of k-means clusters with classes: ARI, AMI and NMI, and the silhouette of the clusters.

    k is the number of classes in `labels`. Codes are used as they are: a VAE's posterior means share the scale of the
    prior, more or less. Where they do not, one dimension of a large variance sets the clusters; `standardised` gives
    every dimension the variance 1. Those with less than a hundredth of the largest variance are left out there, for
    they would be blown up to the size of those that carry something.

    ARI (Hubert & Arabie 1985) and AMI (Vinh et al. 2010) are corrected for chance, NMI is not. The silhouette
    (Rousseeuw 1987) needs no labels; `detail["of_classes"]` is that of the classes themselves. Both are taken on at
    most `silhouette_samples` samples. Where only one cluster exists, as in a constant code, it is 0 by convention.

    Args:
        codes: `[n, latent]`.
        labels: `[n]` integer class of every code, at least two classes and fewer than n.
        seed: of k-means, resampling and shuffling.
        restarts: of k-means; the one with the smallest inertia counts.
        silhouette_samples: most samples that the silhouette is computed on (its cost is quadratic).
        shuffles: how often the labels are permuted for `detail["null"]`, with the clusters held (k-means sees no
            labels); all at once, so cheap: with 500, 1,000 codes of 8 dimensions
            take 0.1 s in all on one core.
        standardised: bring all dimensions to one variance first; another protocol.

    Returns:
        Results under "ari", "ami", "nmi" and "silhouette". `detail["null"]` is what the value would be if
        the labels meant nothing (see `permutation_null`); its mean is the chance level of NMI. `interval` is normal,
        from 100 bootstrap resamples of (cluster, class) pairs with the clusters held: it holds the samples' spread, not
        that of k-means or training (nor that of AMI's correction, which is held).

    Raises:
        ValueError: codes are not a finite matrix, or labels not n integers of two to n - 1 classes.

    >>> import numpy as np
    >>> labels = np.repeat([0, 1, 2], 30)
    >>> codes = 10.0 * np.eye(3)[labels] + np.random.default_rng(0).normal(size=(90, 3))
    >>> clustering(codes, labels)["ari"].value  # perfect
    1.0
    >>> clustering(codes, 2 - labels)["ari"].value  # permuted names: as good
    1.0
    >>> abs(clustering(codes, np.arange(90) % 3)["ari"].value) < 0.1  # bad
    True
    """
    codes = matrix(codes, "codes", least=3)
    labels = integers(labels, "labels", len(codes))
    classes = int(labels.max()) + 1
    if classes >= len(codes):
        raise ValueError(f"expected fewer classes than samples, got {classes} classes of {len(codes)} samples")
    parameters = {"clusters": classes, "restarts": restarts, "samples": len(codes)}
    protocol = _STANDARDISED if standardised else _PROTOCOL
    codes = _alike(codes) if standardised else codes
    found = _k_means(codes, classes, restarts, seed)
    rng = np.random.default_rng(seed)
    everyone = np.arange(len(codes))
    shuffled = _agreements(labels, found, ((rng.permutation(everyone), everyone) for _ in range(shuffles)))
    picks = rng.integers(len(codes), size=(_RESAMPLES, len(codes)))
    resampled = _agreements(labels, found, ((pick, pick) for pick in picks))
    about = protocol, parameters
    results = {
        name: _agreement(name, measure(labels, found), shuffled[name], resampled[name], found, *about, seed)
        for name, measure in _MEASURES.items()
    }
    return {**results, "silhouette": _silhouette(codes, found, labels, *about, silhouette_samples, seed)}


def _alike(codes: Float[np.ndarray, "n latent"]) -> Float[np.ndarray, "n some"]:
    """Every dimension that carries something with mean 0 and variance 1; one constant where none does."""
    variances = codes.var(axis=0)
    kept = codes[:, variances > _NEGLIGIBLE * variances.max()]
    return (kept - kept.mean(axis=0)) / kept.std(axis=0) if kept.shape[1] else np.zeros((len(codes), 1))


def _k_means(codes: Float[np.ndarray, "n latent"], clusters: int, restarts: int, seed: int) -> Int[np.ndarray, " n"]:
    with warnings.catch_warnings():
        # fewer distinct codes than clusters: what a dead code gives, and its score says so
        warnings.simplefilter("ignore", ConvergenceWarning)
        # the type is inferred from the default, the text "auto"
        search = KMeans(clusters, n_init=restarts, random_state=seed)  # pyright: ignore[reportArgumentType]
        return search.fit_predict(codes).astype(np.int64)


def _agreements(
    labels: Int[np.ndarray, " n"], found: Int[np.ndarray, " n"], pairs: Iterable[tuple[np.ndarray, np.ndarray]]
) -> dict[str, Float[np.ndarray, " pair"]]:
    """The agreements of labels with clusters, each of some samples, from their contingency tables alone."""
    shape = (int(labels.max()) + 1, int(found.max()) + 1)
    cells = [labels[of_labels] * shape[1] + found[of_found] for of_labels, of_found in pairs]
    tables = np.array([np.bincount(cell, minlength=shape[0] * shape[1]) for cell in cells]).reshape(-1, *shape)
    expected = expected_mutual_information(contingency_matrix(labels, found, sparse=True), len(labels))
    return agreements(tables, float(expected))


def _agreement(
    name: str,
    value: float,
    shuffled: Float[np.ndarray, " shuffle"],
    resampled: Float[np.ndarray, " resample"],
    found: Int[np.ndarray, " n"],
    protocol: str,
    parameters: dict,
    seed: int,
) -> Result:
    half = NORMAL_95 * float(resampled.std(ddof=1))
    by_chance = float(shuffled.mean()) if len(shuffled) else None
    return Result(
        f"clustering_{name}",
        float(value),
        protocol,
        parameters,
        by_chance if name == "nmi" else 0.0,  # the others are corrected for it
        1.0,
        (value - half, min(value + half, 1.0)),
        seed,
        {"null": permutation_null(float(value), shuffled), "sizes": np.bincount(found).tolist()},
    )


def _silhouette(
    codes: Float[np.ndarray, "n latent"],
    found: Int[np.ndarray, " n"],
    labels: Int[np.ndarray, " n"],
    protocol: str,
    parameters: dict,
    most: int,
    seed: int,
) -> Result:
    pick = np.random.default_rng(seed).permutation(len(codes))[:most]
    value = _separation(codes[pick], found[pick])
    detail = {"of_classes": _separation(codes[pick], labels[pick]), "sizes": np.bincount(found).tolist()}
    parameters = {**parameters, "silhouette_samples": len(pick)}
    return Result("clustering_silhouette", value, protocol, parameters, None, 1.0, None, seed, detail)


def _separation(codes: Float[np.ndarray, "n latent"], groups: Int[np.ndarray, " n"]) -> float:
    return float(silhouette_score(codes, groups)) if 2 <= len(np.unique(groups)) < len(groups) else 0.0
