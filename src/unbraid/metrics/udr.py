"""UDR: do models trained from different seeds find the same latents? Model selection without labels."""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso

from unbraid.metrics.checks import finite, matrix, same_length
from unbraid.metrics.result import Result

_SHUFFLES = 5

Codes = Float[np.ndarray, "_ _"]  # standardised, of informative latents, whose number differs between models
Similarity = Float[np.ndarray, "other own"]


@dataclass(frozen=True)
class UDRProtocol:
    """How similar two latents are, and which count.

    alpha: L1 penalty of the regression whose coefficients are the similarities, below 1; 0 takes rank correlations.
    informative: latents whose mean KL divergence in nats is not above this are left out.

    Raises:
        ValueError: a number is negative, or alpha not below 1, where no coefficient is left.
    """

    alpha: float = 0.1
    informative: float = 0.01
    name: str = "custom"

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < 1:
            raise ValueError(f"expected alpha from 0 to below 1, got {self.alpha}")
        if not self.informative >= 0:
            raise ValueError(f"expected informative of at least 0, got {self.informative}")

    def settings(self) -> dict[str, float]:
        """The numbers without the name."""
        return {name: value for name, value in asdict(self).items() if name != "name"}


UDR_LASSO = UDRProtocol(name="lasso")
UDR_SPEARMAN = UDRProtocol(alpha=0.0, name="spearman")


def udr(
    codes: Mapping[str, Real[np.ndarray, "_ _"]],
    kl: Mapping[str, Real[np.ndarray, " _"]],
    protocol: UDRProtocol = UDR_LASSO,
    seed: int = 0,
) -> dict[str, Result]:
    """Unsupervised disentanglement ranking: how far a model's latents are those of models like it (Duan et al. 2020).

    For two models, R is the absolute similarity of every informative latent of one and of the other. A latent adds its
    largest similarity squared over the sum of its similarities; the pair's score is the mean over each model's latents,
    then over the two. A model's score is the median over the other models, each of which predicts its latents.

    `UDR_LASSO`: R are the coefficients of a lasso from the other model's standardised latents to its own;
    `UDR_SPEARMAN`: rank correlations. As in the authors' code, in disentanglement_lib; where theirs has no value (no
    informative latent), ours is 0.

    Args:
        codes: `[n, latent]` posterior means by name of the model, of the same observations in the same order: models
            that differ by their seed alone.
        kl: `[latent]` mean KL divergence of every latent from its prior in nats, by the same names.
        protocol: the similarity, and the name it is reported under.
        seed: of the permutations.

    Returns:
        A result for each name. `chance`: with the rows of every model permuted. `ceiling`: of models with the same
        independent latents in any order, sign and scale: the own latents, each with its rows permuted, against
        themselves, mean over 5 permutations. A model without informative latents scores 0, and `detail` says so.

    Raises:
        ValueError: fewer than two models, names that differ, codes that are not finite matrices of one length, or not
            one KL divergence a latent.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> latents, kl = rng.normal(size=(1000, 3)), np.ones(3)
    >>> found = udr({"a": latents, "b": -2 * latents[:, ::-1]}, {"a": kl, "b": kl})  # permuted, flipped: the same
    >>> round(found["a"].value, 2), found["a"].ceiling
    (0.9, 0.9)
    >>> noise = rng.normal(size=(1000, 3))
    >>> udr({"a": latents, "b": noise}, {"a": kl, "b": kl})["a"].value  # bad
    0.0
    """
    given = {name: matrix(values, f"codes of '{name}'") for name, values in codes.items()}
    means = _divergences(given, kl)
    informative = {name: _informative(given[name], means[name], protocol) for name in given}
    standard = {name: _standardised(values[:, informative[name]]) for name, values in given.items()}
    rng = np.random.default_rng(seed)
    shuffled = {name: rng.permutation(values) for name, values in standard.items()}
    pairs, guesses = _pairs(standard, protocol), _pairs(shuffled, protocol)
    length = len(next(iter(given.values())))
    parameters = {**protocol.settings(), "models": len(given), "samples": length}
    return {
        name: Result(
            "udr",
            float(np.median(list(pairs[name].values()))),
            protocol.name,
            parameters,
            float(np.median(list(guesses[name].values()))),
            _ceiling(standard[name], protocol, rng),
            seed=seed,
            detail={"informative": informative[name].tolist(), "pairs": pairs[name], **_note(informative[name])},
        )
        for name in given
    }


def _ceiling(own: Codes, protocol: UDRProtocol, rng: np.random.Generator) -> float:
    """The mean score of independent latents against themselves; in closed form where there are none."""
    if not own.shape[1]:
        return 1 - protocol.alpha
    drawn = [rng.permuted(own, axis=0) for _ in range(_SHUFFLES)]
    return float(np.mean([_pairs({"one": codes, "same": codes}, protocol)["one"]["same"] for codes in drawn]))


def _divergences(codes: Mapping[str, np.ndarray], kl: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """KL divergences by name, checked against the codes."""
    if len(codes) < 2:
        raise ValueError(f"expected at least two models to compare, got {list(codes)}; train more seeds")
    if set(codes) != set(kl):
        raise ValueError(f"expected codes and KL divergences of the same models, got {list(codes)} and {list(kl)}")
    first = next(iter(codes))
    found = {}
    for name, values in codes.items():
        same_length(f"codes of '{name}'", len(values), f"codes of '{first}'", len(codes[first]))
        found[name] = finite(kl[name], f"KL divergences of '{name}'")
        if found[name].shape != values.shape[1:]:
            raise ValueError(
                f"expected the mean KL divergence of each of {values.shape[1]} latents of '{name}', "
                f"got shape {found[name].shape}; average over observations first"
            )
    return found


def _informative(values: np.ndarray, divergences: np.ndarray, protocol: UDRProtocol) -> Int[np.ndarray, " latent"]:
    """Latents with a large enough KL divergence whose code varies beyond rounding error."""
    varies = values.std(axis=0) > 1e-12 * np.abs(values).max(axis=0)
    return np.flatnonzero((divergences > protocol.informative) & varies)


def _standardised(values: Codes) -> Codes:
    return (values - values.mean(axis=0)) / values.std(axis=0)


def _note(informative: np.ndarray) -> dict[str, str]:
    return {} if len(informative) else {"note": "no latent is informative, so the value is 0"}


def _pairs(codes: Mapping[str, Codes], protocol: UDRProtocol) -> dict[str, dict[str, float]]:
    """Scores of every model (first name) with every other."""
    if not protocol.alpha:  # a correlation of ranks is that of their standardised values
        codes = {name: _standardised(rankdata(values, axis=0)) for name, values in codes.items()}
    return {
        name: {other: _agreement(_similarity(codes[other], own, protocol.alpha)) for other in codes if other != name}
        for name, own in codes.items()
    }


def _similarity(other: Codes, own: Codes, alpha: float) -> Similarity:
    """Absolute similarity of every latent of the other model and every own one."""
    if not other.shape[1] or not own.shape[1]:
        return np.zeros((other.shape[1], own.shape[1]))
    if not alpha:
        return np.abs(other.T @ own) / len(own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # latents that repeat each other: any split will do
        fitted = Lasso(alpha, precompute=True, random_state=0).fit(other, own)  # None would use the global state
    return np.abs(np.atleast_2d(fitted.coef_)).T


def _agreement(similarity: Similarity) -> float:
    """Largest similarity squared over the sum of similarities: mean over each model's latents, then over the two."""
    if not similarity.size:
        return 0.0
    return float(_shares(similarity).mean() + _shares(similarity.T).mean()) / 2


def _shares(similarity: Float[np.ndarray, "row column"]) -> Float[np.ndarray, " column"]:
    total = similarity.sum(axis=0)
    return np.where(total > 0, similarity.max(axis=0) ** 2 / np.where(total > 0, total, 1), 0)
