"""DCI-ES: how simple a reader may be that finds the factors in a code, and how large the code is beside them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.linalg import cho_factor, cho_solve

from unbraid.configuration import Plain
from unbraid.metrics.labelled import Score, labelled, levels, train_and_test
from unbraid.metrics.mutual_information import varying
from unbraid.metrics.result import Result

_SHUFFLES = 2  # each costs as much as the value


@dataclass(frozen=True)
class ExplicitnessCurve:
    """Probes of growing capacity: ridge regressions on the code and on more and more random features of it.

    features: number of random Fourier features of each probe, growing; 0 is the linear probe.
    penalty: weight of the squared coefficients beside the mean squared error.

    Raises:
        ValueError: there are fewer than two probes, their features do not grow, or the penalty is not positive.
    """

    features: tuple[int, ...] = (0, 32, 128, 512)
    penalty: float = 1e-3
    name: str = "custom"

    def __post_init__(self) -> None:
        growing = all(a < b for a, b in zip((-1, *self.features), self.features, strict=False))
        if len(self.features) < 2 or not growing or not self.penalty > 0:
            raise ValueError(
                f"expected at least two growing numbers of features from 0 on and a positive penalty, "
                f"got {self.features} and {self.penalty}"
            )


FOURIER = ExplicitnessCurve(name="fourier")


def dci_es(
    codes: Real[np.ndarray, "n latent"],
    factors: Int[np.ndarray, "n factor"],
    test_from: int | None = None,
    protocol: ExplicitnessCurve = FOURIER,
    seed: int = 0,
) -> dict[str, Result]:
    """Explicitness and size (Eastwood et al. 2023), which go beside DCI.

    Explicitness reads the loss-capacity curve: the held-out squared error of each probe over the factor's variance, the
    least up to its capacity, at most 1. Its area, with the probes at equal steps from 0 to 1, is set against that of a
    straight fall from 1 to 0: E = 1 - area / 0.5. 1: a linear probe reads the factor without error. 0: the error falls
    evenly. -1: no probe reads anything. Size is the number of factors over that of the dimensions that vary.

    The paper leaves the probes open. Ours are ridge regressions of the standardised factor on the standardised code and
    random Fourier features of it, of one width, the square root of its dimensions. The least error is taken to be 0,
    which integer factors allow, where the paper takes the least that was found: so a code that tells little has a low
    explicitness. `detail["curves"]` allows for the other reading. Factors are read as numbers, in the order of values.

    Args:
        codes: `[n, latent]`, finite.
        factors: `[n, factor]` integers; a factor with one value is left out.
        test_from: rows before it are fitted on and those from it on are scored; None holds out a random third.
        protocol: the probes, and the name they are reported under.
        seed: of the held-out rows, the random features and the shuffles.

    Returns:
        `dci_es_explicitness` in [-1, 1] with `chance`, the mean over two codes with their rows permuted, and `ceiling`,
        with the factors as the code; `dci_es_size`, where 1 is one dimension a factor and 0 an all constant code.

    Raises:
        ValueError: codes are not a finite matrix, factors not as many rows of integers of which a column varies, or
            fewer than two rows are on a side of `test_from`.

    >>> import numpy as np
    >>> factors = np.random.default_rng(0).integers(0, 6, size=(600, 2))
    >>> [round(result.value, 2) for result in dci_es(factors.astype(float), factors).values()]  # perfect
    [1.0, 1.0]
    >>> [round(result.value, 2) for result in dci_es(factors @ np.array([[-1, 2], [3, 1]]), factors).values()]  # mixed
    [1.0, 1.0]
    >>> wound = np.hstack([np.cos(4 * factors), np.sin(4 * factors)])  # all is there, but not for a linear probe
    >>> [round(result.value, 1) for result in dci_es(wound, factors).values()]
    [0.7, 0.5]
    """
    given = labelled(codes, factors)
    rows = train_and_test(len(given.codes), test_from, seed)
    count = given.factors.shape[1]

    def curves(values: Float[np.ndarray, "n _"]) -> Float[np.ndarray, "probe factor"]:
        return _curves(values, given.factors.astype(np.float64), rows, protocol, seed)

    score: Score = lambda values, _: float(_explicitness(curves(values)).mean())  # noqa: E731
    chance, ceiling = levels(score, given, seed, _SHUFFLES)
    losses = curves(given.codes)
    each, active = _explicitness(losses), int(varying(given.codes[rows[0]]).sum())
    parameters: dict[str, Plain] = {
        "features": list(protocol.features),
        "penalty": protocol.penalty,
        "train": len(rows[0]),
        "test": len(rows[1]),
    }
    shown: dict[str, Plain] = {"curves": losses.tolist(), "of_factors": each.tolist(), "factors": list(given.columns)}
    sizes: dict[str, Plain] = {"factors": count, "active": active, "latents": given.codes.shape[1]}
    first, second = "dci_es_explicitness", "dci_es_size"
    return {
        first: Result(first, float(each.mean()), protocol.name, parameters, chance, ceiling, seed=seed, detail=shown),
        second: Result(second, count / active if active else 0.0, protocol.name, ceiling=1.0, detail=sizes),
    }


def _curves(
    codes: Float[np.ndarray, "n latent"],
    factors: Float[np.ndarray, "n factor"],
    rows: tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]],
    protocol: ExplicitnessCurve,
    seed: int,
) -> Float[np.ndarray, "probe factor"]:
    """Held-out squared error over variance, of every probe on every factor."""
    x, truth = (_standardised(values, rows[0]) for values in (codes[:, varying(codes[rows[0]])], factors))
    features = _standardised(np.hstack([x, _fourier(x, protocol.features[-1], seed)]), rows[0])
    (train, test), (known, asked) = ([values[part] for part in rows] for values in (features, truth))
    gram, aim = train.T @ train / len(train), train.T @ known / len(train)
    spread = np.mean((asked - known.mean(axis=0)) ** 2, axis=0)
    losses = []
    for size in (min(x.shape[1] + more, len(aim)) for more in protocol.features):
        penalised = gram[:size, :size] + protocol.penalty * np.eye(size)
        weights = cho_solve(cho_factor(penalised), aim[:size]) if size else np.zeros((0, truth.shape[1]))
        losses.append(np.mean((test[:, :size] @ weights - asked) ** 2, axis=0) / np.where(spread > 0, spread, 1))
    return np.stack(losses)


def _explicitness(losses: Float[np.ndarray, "probe factor"]) -> Float[np.ndarray, " factor"]:
    """1 minus twice the area under the least loss so far, the probes at equal steps."""
    least = np.minimum.accumulate(np.minimum(losses, 1), axis=0)
    return 1 - (least[:-1] + least[1:]).sum(axis=0) / (len(least) - 1)


def _standardised(values: Float[np.ndarray, "n _"], train: Int[np.ndarray, " train"]) -> Float[np.ndarray, "n _"]:
    """Mean 0 and deviation 1 on the rows that are fitted on; a column that does not vary there is 0 on them."""
    spread = values[train].std(axis=0)
    return (values - values[train].mean(axis=0)) / np.where(spread > 0, spread, 1)


def _fourier(x: Float[np.ndarray, "n latent"], count: int, seed: int) -> Float[np.ndarray, "n _"]:
    """Random features of a Gaussian kernel (Rahimi & Recht 2007)."""
    if not x.shape[1]:
        return np.zeros((len(x), 0))
    rng = np.random.default_rng(seed)
    frequencies = rng.normal(size=(count, x.shape[1])) / np.sqrt(x.shape[1])
    return np.cos(x @ frequencies.T + rng.uniform(0, 2 * np.pi, count))
