"""FactorVAE metric: can one see from a single code dimension which factor was held fixed?"""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int

from unbraid.metrics.checks import proportion_interval
from unbraid.metrics.result import Result
from unbraid.metrics.source import Source, chunks

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


FACTOR_VAE_DLIB = FactorVAEProtocol(name="dlib")
FACTOR_VAE_INFOGAN_CR = FactorVAEProtocol(batch=100, train_votes=500, test_votes=0, name="infogan-cr")


@dataclass(frozen=True)
class _Votes:
    """The factor that was fixed, and the code dimension that varied least, for every vote."""

    factor: Int[np.ndarray, " vote"]
    latent: Int[np.ndarray, " vote"]


def factor_vae(source: Source, protocol: FactorVAEProtocol = FACTOR_VAE_DLIB, seed: int = 0) -> Result:
    """Share of votes from which the fixed factor is recovered (Kim & Mnih 2018, section 4).

    A vote fixes one factor at a random value, draws `batch` observations that share it and names the dimension whose
    variance (ddof 1), divided by its global variance, is smallest. The rule "dimension to factor" is the majority of
    the training votes. A dimension is active, and votes, if its global standard deviation is at least `prune` and above
    rounding error. With all dimensions inactive the value is 0, and `detail` says so.

    The same codes score higher with a larger `batch`, so values are comparable within a protocol only. Protocol
    `FACTOR_VAE_DLIB` is disentanglement_lib's; `FACTOR_VAE_INFOGAN_CR` has that code's sizes and training accuracy,
    while the pruning is ours (none there: a constant dimension gives 0/0 and wins every vote).

    Args:
        source: `grid_codes`, `row_codes`, `lazy_codes` or `continuous_codes`.
        protocol: the sizes, and the name they are reported under.
        seed: of all draws.

    Returns:
        Value in [0, 1]. `chance`: the mean score with the factors of all votes permuted, 1 over the number of factors
        that can be fixed where no dimension votes. `ceiling`: the score of the factors themselves, each one a
        dimension, on the same draws. `interval`: Wilson's over the counted votes, for these codes; it does not hold
        the spread over training seeds.

    Raises:
        ValueError: the source gives anything but finite codes `[n, latent]`.

    >>> import numpy as np
    >>> from unbraid.metrics.source import grid_codes
    >>> few = FactorVAEProtocol(batch=32, train_votes=300, test_votes=200, samples=2000)
    >>> sizes = (4, 5, 6)
    >>> factors = np.stack(np.unravel_index(np.arange(120), sizes), axis=1)
    >>> factor_vae(grid_codes(factors, sizes), few).value  # perfect
    1.0
    >>> factor_vae(grid_codes(factors[:, ::-1], sizes), few).value  # permuted: as good
    1.0
    >>> noise = np.random.default_rng(0).normal(size=(120, 3))
    >>> factor_vae(grid_codes(noise, sizes), few).value < 0.6  # bad
    True
    """
    rng = np.random.default_rng(seed)
    codes = source.observations(protocol.samples, rng).codes
    deviation = codes.std(axis=0, ddof=1)
    active = np.flatnonzero((deviation >= protocol.prune) & (deviation > 1e-12 * np.abs(codes).max(axis=0)))
    chance = 1 / len(source.fixable)
    parameters = {**protocol.settings(), **source.parameters}
    about = {"active": active.tolist(), "deviations": deviation.tolist()}
    if not len(active):
        note = f"no dimension has a standard deviation of at least {protocol.prune}, so none can vote"
        _, perfect = _draw(source, np.arange(1), np.ones_like(deviation), protocol, rng)  # for the ceiling alone
        ceiling, detail = _share(perfect, (source.width, source.width), protocol.train_votes), {"note": note, **about}
        return Result("factor_vae", 0.0, protocol.name, parameters, chance, ceiling, None, seed, detail)
    votes, perfect = _draw(source, active, deviation, protocol, rng)
    shape = (len(active), source.width)
    hits, counted, table = _score(votes, shape, protocol.train_votes)
    chance = float(np.mean([_share(_permuted(votes, rng), shape, protocol.train_votes) for _ in range(_SHUFFLES)]))
    ceiling = _share(perfect, (source.width, source.width), protocol.train_votes)
    train_accuracy = float(table.max(axis=1).sum() / table.sum())
    interval = proportion_interval(hits, counted)
    rule = {"factor_of_active": table.argmax(axis=1).tolist(), "votes": table.tolist()}
    detail = {**about, **rule, "train_accuracy": train_accuracy}
    return Result("factor_vae", hits / counted, protocol.name, parameters, chance, ceiling, interval, seed, detail)


def _draw(
    source: Source,
    active: Int[np.ndarray, " active"],
    deviation: Float[np.ndarray, " latent"],
    protocol: FactorVAEProtocol,
    rng: np.random.Generator,
) -> tuple[_Votes, _Votes]:
    """All votes of the codes and, on the same draws, of a perfect code: its first dimension that does not vary."""
    fixed = rng.choice(source.fixable, size=protocol.train_votes + protocol.test_votes)
    latent, perfect = np.empty_like(fixed), np.empty_like(fixed)
    for part in chunks(len(fixed), protocol.batch):
        drawn = source.groups(fixed[part], protocol.batch, rng)
        latent[part] = (_variances(drawn.codes)[:, active] / deviation[active] ** 2).argmin(axis=1)
        constant = (drawn.factors == drawn.factors[:, :1]).all(axis=1)[:, source.fixable]
        perfect[part] = source.fixable[constant.argmax(axis=1)]
    return _Votes(fixed, latent), _Votes(fixed, perfect)


def _variances(codes: Float[np.ndarray, "vote batch latent"]) -> Float[np.ndarray, "vote latent"]:
    """Variance (ddof 1) in every vote; relative to its first code, so that a constant gives 0 and nothing cancels."""
    size, moved = codes.shape[1], codes - codes[:, :1]
    total, squares = np.einsum("vbl->vl", moved), np.einsum("vbl,vbl->vl", moved, moved)
    return (squares - total**2 / size) / (size - 1)


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
