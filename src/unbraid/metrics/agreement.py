"""How much of one model's code another model's code knows."""

import numpy as np
from jaxtyping import Float, Real
from sklearn.model_selection import KFold

from unbraid.metrics.checks import NORMAL_95, matrix, same_length
from unbraid.metrics.leakage import RIDGE, Probe, predicted
from unbraid.metrics.result import Result

_RESAMPLES = 200


def code_agreement(
    codes: Real[np.ndarray, "n latent"],
    others: Real[np.ndarray, "n other"],
    probe: Probe = RIDGE,
    folds: int = 5,
    shuffles: int = 3,
    seed: int = 0,
) -> Result:
    """Share of the variance of `others` that a probe predicts from `codes`, on samples that it was not fitted on.

    Two seeds never have the same latents, but may have the same code up to a linear map: then this is 1. Dimensions of
    `others` count by their variance, so that latents that a model does not use hardly do beside others. `codes` have no
    scale: leave such latents out, as `unbraid agreement` does. It is directed: a code that knows more than the other
    predicts it, and not the other way round. Below 0 the probe does worse than the mean.

    `chance` is the mean over permutations of `others`; the interval is for samples drawn anew, with the fits held.

    Args:
        codes: `[n, latent]` of one model.
        others: `[n, other]` of another one, of the same samples.
        probe: `RIDGE` (penalty 1), `NEIGHBOURS_REGRESSION` or another.
        folds, shuffles, seed: of the cross-validation, of how many permutations, and of both.

    Raises:
        ValueError: codes are not finite matrices of one length, at least `folds`, fewer than 2 folds, or `others` are
            constant.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> codes = rng.normal(size=(500, 3))
    >>> round(code_agreement(codes, codes @ rng.normal(size=(3, 3))).value, 3)  # a rotation: the same
    1.0
    >>> round(code_agreement(codes, codes[:, :1]).value, 3), code_agreement(codes[:, :1], codes).value < 0.6  # directed
    (1.0, True)
    >>> abs(code_agreement(rng.normal(size=(500, 3)), codes).value) < 0.05  # bad
    True
    """
    codes, others = matrix(codes, "codes"), matrix(others, "others")
    same_length("others", len(others), "codes", len(codes))
    if not 2 <= folds <= len(codes):
        raise ValueError(f"expected 2 to {len(codes)} folds, as many as samples, got {folds}; pass more samples")
    deviations = ((others - others.mean(axis=0)) ** 2).sum(axis=1)
    if not deviations.sum() > 1e-20 * max(1.0, float((others**2).sum())):
        raise ValueError("expected other codes that vary, got constant ones; that model does not use them")
    splits, rng = KFold(folds, shuffle=True, random_state=seed), np.random.default_rng(seed)

    def errors(truth: Float[np.ndarray, "n other"]) -> Float[np.ndarray, " n"]:
        return ((predicted(probe, codes, truth, splits, seed).reshape(truth.shape) - truth) ** 2).sum(axis=1)

    own = errors(others)
    value = float(1 - own.sum() / deviations.sum())
    by_chance = [1 - errors(rng.permutation(others)).sum() / deviations.sum() for _ in range(shuffles)]
    weights = rng.multinomial(len(codes), np.full(len(codes), 1 / len(codes)), size=_RESAMPLES).astype(float)
    half = NORMAL_95 * float((1 - (weights @ own) / (weights @ deviations)).std(ddof=1))
    return Result(
        "code_agreement",
        value,
        f"{probe.name}, share of variance",
        {"folds": folds, "latents": codes.shape[1], "others": others.shape[1], "samples": len(codes)},
        float(np.mean(by_chance)) if by_chance else None,
        1.0,
        (value - half, min(value + half, 1.0)),
        seed,
        {"by_chance": [float(each) for each in by_chance]},
    )
