"""FactorVAE metric: can one see from a single code dimension which factor was held fixed?"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int, Real

from unbraid.metrics.checks import matrix, proportion_interval, same_length
from unbraid.metrics.result import Result

CodesOf = Callable[[Int[np.ndarray, "n factor"]], Real[np.ndarray, "n latent"]]

_CHUNK = 500  # votes drawn at once: bounds the memory, and an encoder sees batches of 500 L
_SHUFFLES = 20


@dataclass(frozen=True)
class FactorVAEProtocol:
    """How the votes of the FactorVAE metric are drawn and counted.

    batch: observations a vote, L in the paper.
    train_votes: votes that the majority rule is fitted on.
    test_votes: held-out votes that it is scored on; 0 scores it on the training votes.
    samples: observations that the global variance is taken from.
    prune: code dimensions with a global standard deviation below this are left out.

    Raises:
        ValueError: a count is too small, or `prune` is negative.
    """

    batch: int = 64
    train_votes: int = 10_000
    test_votes: int = 5_000
    samples: int = 10_000
    prune: float = 0.05
    name: str = "custom"

    def __post_init__(self) -> None:
        least = {"batch": 2, "train_votes": 1, "test_votes": 0, "samples": 2, "prune": 0}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise ValueError(f"expected {name} of at least {smallest}, got {getattr(self, name)}")

    def settings(self) -> dict[str, int | float]:
        """The numbers without the name."""
        return {name: value for name, value in asdict(self).items() if name != "name"}


DLIB = FactorVAEProtocol(name="dlib")
INFOGAN_CR = FactorVAEProtocol(batch=100, train_votes=500, test_votes=0, name="infogan-cr")


@dataclass(frozen=True)
class _Votes:
    """The factor that was fixed, and the code dimension that varied least, for every vote."""

    factor: Int[np.ndarray, " vote"]
    latent: Int[np.ndarray, " vote"]


def factor_vae(
    codes_of: CodesOf, factor_sizes: Sequence[int], protocol: FactorVAEProtocol = DLIB, seed: int = 0
) -> Result:
    """Share of votes from which the fixed factor is recovered (Kim & Mnih 2018, section 4).

    A vote fixes one factor at a random value, draws the others uniformly for `batch` observations and names the
    dimension whose variance (ddof 1), divided by its global variance, is smallest. The rule "dimension to factor"
    is the majority of the training votes. A dimension is active, and votes, if its global standard deviation is
    at least `prune` and above rounding error. With all dimensions inactive the value is 0, and `detail` says so.

    The same codes score higher with a larger `batch`, so values are comparable within a protocol only. Protocol
    `DLIB` is disentanglement_lib's; `INFOGAN_CR` has that code's sizes and training accuracy, while the pruning is
    ours (none there: a constant dimension gives 0/0 and wins every vote).

    Args:
        codes_of: `[n, factor]` integer factor values to finite codes `[n, latent]`; for codes of a whole grid see
            `grid_codes`. It is called with up to `500 * batch` rows, so an encoder must split them itself.
        factor_sizes: number of values of each factor; a factor with one value is never the fixed one.
        protocol: the sizes, and the name they are reported under.
        seed: of all draws.

    Returns:
        Value in [0, 1]. `chance`: the mean score with the factors of all votes permuted, 1 over the number of varying
        factors where no dimension votes. `ceiling`: the score of the factors themselves, each one a dimension, on the
        same draws. `interval`: Wilson's over the counted votes, for these codes; it does not hold the spread over
        training seeds.

    Raises:
        ValueError: fewer than two factors vary, or `codes_of` gives anything but finite codes `[n, latent]`.

    >>> import numpy as np
    >>> few = FactorVAEProtocol(batch=32, train_votes=300, test_votes=200, samples=2000)
    >>> factor_vae(lambda factors: factors.astype(float), (4, 5, 6), few).value  # perfect
    1.0
    >>> factor_vae(lambda factors: factors[:, ::-1].astype(float), (4, 5, 6), few).value  # permuted: as good
    1.0
    >>> noise = grid_codes(np.random.default_rng(0).normal(size=(120, 3)), (4, 5, 6))  # bad
    >>> factor_vae(noise, (4, 5, 6), few).value < 0.6
    True
    """
    sizes = _sizes(factor_sizes)
    rng = np.random.default_rng(seed)
    codes = _codes(codes_of, rng.integers(sizes, size=(protocol.samples, len(sizes))))
    deviation = codes.std(axis=0, ddof=1)
    active = np.flatnonzero((deviation >= protocol.prune) & (deviation > 1e-12 * np.abs(codes).max(axis=0)))
    chance = 1 / np.count_nonzero(sizes > 1)
    parameters = {**protocol.settings(), "factor_sizes": sizes.tolist()}
    about = {"active": active.tolist(), "deviations": deviation.tolist()}
    if not len(active):
        note = f"no dimension has a standard deviation of at least {protocol.prune}, so none can vote"
        return Result("factor_vae", 0.0, protocol.name, parameters, chance, seed=seed, detail={"note": note, **about})
    votes, perfect = _draw(codes_of, sizes, active, deviation, protocol, rng)
    shape = (len(active), len(sizes))
    hits, counted, table = _score(votes, shape, protocol.train_votes)
    chance = float(np.mean([_share(_permuted(votes, rng), shape, protocol.train_votes) for _ in range(_SHUFFLES)]))
    ceiling = _share(perfect, (len(sizes), len(sizes)), protocol.train_votes)
    train_accuracy = float(table.max(axis=1).sum() / table.sum())
    interval = proportion_interval(hits, counted)
    rule = {"factor_of_active": table.argmax(axis=1).tolist(), "votes": table.tolist()}
    detail = {**about, **rule, "train_accuracy": train_accuracy}
    return Result("factor_vae", hits / counted, protocol.name, parameters, chance, ceiling, interval, seed, detail)


def grid_codes(codes: Real[np.ndarray, "n latent"], factor_sizes: Sequence[int]) -> CodesOf:
    """Looks factor values up in the codes of a whole grid, so that every observation is encoded only once.

    Args:
        codes: `[n, latent]`, one row a cell of the grid, the last factor varying fastest.
        factor_sizes: number of values of each factor; their product is n.

    Raises:
        ValueError: there is not one code a cell, or a code is not finite.
    """
    sizes = tuple(int(size) for size in factor_sizes)
    table = matrix(codes, "codes", least=1)
    same_length("codes", len(table), "cells of the grid", int(np.prod(sizes)))
    return lambda factors: table[np.ravel_multi_index(tuple(factors.T), sizes)]


def _sizes(factor_sizes: Sequence[int]) -> Int[np.ndarray, " factor"]:
    sizes = np.asarray(factor_sizes, dtype=np.int64)
    if sizes.ndim != 1 or (sizes < 1).any() or np.count_nonzero(sizes > 1) < 2:
        raise ValueError(f"expected the sizes of at least two factors that vary, got {list(factor_sizes)}")
    return sizes


def _codes(codes_of: CodesOf, factors: Int[np.ndarray, "n factor"]) -> Float[np.ndarray, "n latent"]:
    codes = matrix(np.asarray(codes_of(factors)), "codes", least=1)
    same_length("codes", len(codes), "rows of factors", len(factors))
    return codes


def _draw(
    codes_of: CodesOf,
    sizes: Int[np.ndarray, " factor"],
    active: Int[np.ndarray, " active"],
    deviation: Float[np.ndarray, " latent"],
    protocol: FactorVAEProtocol,
    rng: np.random.Generator,
) -> tuple[_Votes, _Votes]:
    """All votes of the codes and, on the same draws, of a perfect code (the standardised factors)."""
    fixed_at, latents, perfect = [], [], []
    spread = np.sqrt(np.maximum(sizes.astype(float) ** 2 - 1, 0) / 12)  # of a uniform integer
    varying = np.flatnonzero(sizes > 1)
    total = protocol.train_votes + protocol.test_votes
    for start in range(0, total, _CHUNK):
        count = min(_CHUNK, total - start)
        fixed = rng.choice(varying, size=count)
        factors = rng.integers(sizes, size=(count, protocol.batch, len(sizes)))
        rows = np.arange(count)
        factors[rows, :, fixed] = factors[rows, 0, fixed][:, None]
        codes = _codes(codes_of, factors.reshape(-1, len(sizes)))[:, active]
        codes = codes.reshape(count, protocol.batch, len(active))
        fixed_at.append(fixed)
        latents.append((codes.var(axis=1, ddof=1) / deviation[active] ** 2).argmin(axis=1))
        perfect.append(varying[(factors[..., varying].std(axis=1) / spread[varying]).argmin(axis=1)])
    factor = np.concatenate(fixed_at)
    return _Votes(factor, np.concatenate(latents)), _Votes(factor, np.concatenate(perfect))


def _score(votes: _Votes, shape: tuple[int, int], train: int) -> tuple[int, int, Int[np.ndarray, "latent factor"]]:
    """Votes recovered, votes counted, and the table of training votes."""
    table = np.zeros(shape, dtype=np.int64)
    np.add.at(table, (votes.latent[:train], votes.factor[:train]), 1)
    held_out = slice(train, None) if len(votes.factor) > train else slice(None)
    right = table.argmax(axis=1)[votes.latent[held_out]] == votes.factor[held_out]
    return int(right.sum()), len(right), table


def _share(votes: _Votes, shape: tuple[int, int], train: int) -> float:
    hits, counted, _ = _score(votes, shape, train)
    return hits / counted


def _permuted(votes: _Votes, rng: np.random.Generator) -> _Votes:
    return _Votes(rng.permutation(votes.factor), votes.latent)
