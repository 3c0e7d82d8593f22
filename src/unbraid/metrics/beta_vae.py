"""beta-VAE metric: can a linear classifier tell which factor pairs of observations share?"""

import warnings
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import LinAlgWarning
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from unbraid.metrics.checks import proportion_interval
from unbraid.metrics.result import Result
from unbraid.metrics.source import Source, chunks

_SHUFFLES = 5
_ITERATIONS = 1_000


@dataclass(frozen=True)
class BetaVAEProtocol:
    """How the points of the beta-VAE metric are drawn and classified.

    batch: pairs of observations a point, L in the paper.
    train_points: points that the classifier is fitted on.
    test_points: held-out points that it is scored on.
    standardise: give every feature mean 0 and deviation 1 on the training points, so that the classifier's penalty
        does not depend on the scale of the code.

    Raises:
        ValueError: a count is too small.
    """

    batch: int = 64
    train_points: int = 10_000
    test_points: int = 5_000
    standardise: bool = False
    name: str = "custom"

    def __post_init__(self) -> None:
        # fewer points to fit on may all share one factor
        for name, smallest in {"batch": 1, "train_points": 100, "test_points": 1}.items():
            if getattr(self, name) < smallest:
                raise ValueError(f"expected {name} of at least {smallest}, got {getattr(self, name)}")

    def settings(self) -> dict[str, int | bool]:
        """The values without the name."""
        return {name: value for name, value in asdict(self).items() if name != "name"}


BETA_VAE_DLIB = BetaVAEProtocol(name="dlib")
BETA_VAE_STANDARDISED = BetaVAEProtocol(standardise=True, name="standardised")

Points = Float[np.ndarray, "point latent"]
Labels = Int[np.ndarray, " point"]


def beta_vae(source: Source, protocol: BetaVAEProtocol = BETA_VAE_DLIB, seed: int = 0) -> Result:
    """Held-out accuracy with which a linear classifier names the shared factor (Higgins et al. 2017).

    A point fixes a factor; each of `batch` pairs of observations shares a value of it, drawn anew for every pair. The
    mean absolute difference of the codes over the pairs is classified by logistic regression with an L2 penalty of 1.

    `BETA_VAE_DLIB` is disentanglement_lib's protocol: features as they are, so that the penalty makes the value depend
    on the scale of the code; `BETA_VAE_STANDARDISED` (ours) does not. In both, the regression is fitted by Newton steps
    to convergence, where theirs stops after 100 iterations of L-BFGS. Neither sees whether one dimension stands for a
    factor: a rotated code scores nearly as high as its axes.

    Args:
        source: `grid_codes`, `row_codes`, `lazy_codes` or `continuous_codes`.
        protocol: the sizes, and the name they are reported under.
        seed: of all draws.

    Returns:
        Value in [0, 1]. `chance`: the mean score over 5 fits with the factors of all points permuted. `ceiling`: the
        score of the standardised factors themselves on the same draws. `interval`: Wilson's over the held-out points,
        for these codes.

    Raises:
        ValueError: the source gives anything but finite codes `[n, latent]`.

    >>> import numpy as np
    >>> from unbraid.metrics.source import grid_codes
    >>> few = BetaVAEProtocol(train_points=300, test_points=200)
    >>> sizes = (4, 5, 6)
    >>> factors = np.stack(np.unravel_index(np.arange(120), sizes), axis=1)
    >>> beta_vae(grid_codes(factors, sizes), few).value  # perfect
    1.0
    >>> beta_vae(grid_codes(factors[:, ::-1], sizes), few).value  # permuted: as good
    1.0
    >>> noise = np.random.default_rng(0).normal(size=(120, 1))
    >>> beta_vae(grid_codes(noise, sizes), few).value < 0.7  # bad
    True
    """
    rng = np.random.default_rng(seed)
    fixed = rng.choice(source.fixable, size=protocol.train_points + protocol.test_points)
    points, perfect = _points(source, fixed, protocol.batch, rng)
    right, train_accuracy = _classified(points, fixed, protocol)
    shuffled = [_classified(points, rng.permutation(fixed), protocol)[0].mean() for _ in range(_SHUFFLES)]
    ceiling = float(_classified(perfect, fixed, protocol)[0].mean())
    recalls = [float(right[fixed[protocol.train_points :] == factor].mean()) for factor in _seen(fixed, protocol)]
    return Result(
        "beta_vae",
        float(right.mean()),
        protocol.name,
        {**protocol.settings(), **source.parameters},
        float(np.mean(shuffled)),
        ceiling,
        proportion_interval(int(right.sum()), len(right)),
        seed,
        {"train_accuracy": train_accuracy, "factors": _seen(fixed, protocol), "recalls": recalls},
    )


def _points(
    source: Source, fixed: Labels, batch: int, rng: np.random.Generator
) -> tuple[Points, Float[np.ndarray, "point factor"]]:
    """Mean absolute differences of the codes and of the factors, over the pairs of every point."""
    differences: tuple[list[Points], list[Points]] = ([], [])
    for part in chunks(len(fixed), 2 * batch):
        drawn = source.groups(np.repeat(fixed[part], batch), 2, rng)
        for kept, values in zip(differences, (drawn.codes, drawn.factors.astype(np.float64)), strict=True):
            pairs = np.abs(values[:, 0] - values[:, 1])
            kept.append(pairs.reshape(-1, batch, pairs.shape[1]).mean(axis=1))
    codes, factors = (np.concatenate(kept) for kept in differences)
    typical = factors.mean(axis=0)
    return codes, factors / np.where(typical > 0, typical, 1)


def _classified(points: Points, labels: Labels, protocol: BetaVAEProtocol) -> tuple[Bool[np.ndarray, " test"], float]:
    """Which held-out points are named rightly, and the training accuracy."""
    train, test = slice(protocol.train_points), slice(protocol.train_points, None)
    if protocol.standardise:
        deviation = points[train].std(axis=0)
        points = (points - points[train].mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    # the same optimum in units of the largest feature: the penalty grows as the square of the scale
    scale = float(np.abs(points[train]).max()) or 1.0
    model = LogisticRegression(C=scale**2, solver="newton-cholesky", max_iter=_ITERATIONS)
    with warnings.catch_warnings():
        # features of very different scale: the best that could be found is what the protocol gives
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", LinAlgWarning)
        model.fit(points[train] / scale, labels[train])
    named = np.asarray(model.predict(points / scale)) == labels
    return named[test], float(named[train].mean())


def _seen(fixed: Labels, protocol: BetaVAEProtocol) -> list[int]:
    """Factors that a held-out point shares."""
    return np.unique(fixed[protocol.train_points :]).tolist()
