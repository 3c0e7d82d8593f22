"""Vectors of two populations whose shared and private factors are known: a truth to check models against."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int

from unbraid.data._split import SPLITS, Split, split_number
from unbraid.data.card import Card
from unbraid.data.contract import Data
from unbraid.types import Batch

HIDDEN = 16  # width of the non-linear maps
CARD = Card(
    name="vectors",
    title="vectors of two populations with known factors",
    licence="generated; Apache-2.0, as this package",
    citation="this package",
    homepage="",
)
GAIN = 1.5  # of their tanh: clearly curved, not yet a step


class TwoPopulationVectors(Data):
    """Samples of x = f_s(z) + f_k(t) + noise for populations k = 'first', 'second', with z and t standard normal.

    This is the generative process of the cross-population VAE with known maps. Each map contributes a variance of
    about 1 to every feature. The maps depend on the seed and the sizes alone; the samples on the split too.

    split: which part of the samples.
    counts: samples of each population; they come mixed.
    features, shared, private: sizes of x, z and t.
    nonlinear: False makes f a matrix, True a fixed random layer of tanh units and a matrix.
    noise: standard deviation of the Gaussian noise.
    seed: of everything random.

    x: `[n, features]` float32.
    shared_factors, private_factors: the true z `[n, shared]` and t `[n, private]`, float32.
    shared_loadings, private_loadings: matrices of the linear maps, `[features, shared]` and
        `[2, features, private]`, else None; population k is then exactly
        N(0, shared shared^T + private_k private_k^T + noise^2 I).

    Raises:
        ValueError: an unknown split, not two counts, a count or size below 1, noise negative or not finite.
    """

    populations = ("first", "second")
    card = CARD

    def __init__(
        self,
        split: Split = "train",
        counts: Sequence[int] = (1000, 1000),
        features: int = 20,
        shared: int = 2,
        private: int = 2,
        nonlinear: bool = False,
        noise: float = 0.1,
        seed: int = 0,
    ):
        _check(counts, features=features, shared=shared, private=private, noise=noise)
        self.split: Split = split
        self.counts = tuple(counts)
        self.features, self.shared, self.private = features, shared, private
        self.nonlinear, self.noise, self.seed = nonlinear, noise, seed
        self.shape = (features,)
        rng = np.random.default_rng([seed, split_number(split)])
        self.population = rng.permutation(np.repeat([0, 1], counts))
        z, t, error = (rng.standard_normal((len(self), width)) for width in (shared, private, features))
        f_s, *f = _maps(np.random.default_rng([seed, len(SPLITS)]), features, shared, private, nonlinear)
        by_population = np.where(self.population[:, None] == 0, f[0](t), f[1](t))
        self.x = (f_s(z) + by_population + noise * error).astype(np.float32)
        self.shared_factors, self.private_factors = z.astype(np.float32), t.astype(np.float32)
        self.shared_loadings = None if nonlinear else f_s.output
        self.private_loadings = None if nonlinear else np.stack([each.output for each in f])

    def __len__(self) -> int:
        return sum(self.counts)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The vectors at `index`, `[batch, features]`, with their populations.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """
        index = self.checked(index)
        assert self.population is not None
        return Batch(torch.from_numpy(self.x[index]), torch.from_numpy(self.population[index]))


class _Map:
    """f(a) = output @ a, or output @ tanh(hidden @ a), with Gaussian weights scaled to unit variance of f."""

    def __init__(self, rng: np.random.Generator, size: int, features: int, nonlinear: bool):
        self.hidden = GAIN * rng.standard_normal((HIDDEN, size)) / np.sqrt(size) if nonlinear else None
        width = HIDDEN / 2 if nonlinear else size  # the square of tanh(GAIN * normal) is 0.5 on average
        self.output = rng.standard_normal((features, HIDDEN if nonlinear else size)) / np.sqrt(width)

    def __call__(self, a: Float[np.ndarray, "n size"]) -> Float[np.ndarray, "n feature"]:
        return (a if self.hidden is None else np.tanh(a @ self.hidden.T)) @ self.output.T


def _maps(rng: np.random.Generator, features: int, shared: int, private: int, nonlinear: bool) -> list[_Map]:
    """The shared map, then one for each population."""
    return [_Map(rng, size, features, nonlinear) for size in (shared, private, private)]


def _check(counts: Sequence[int], features: int, shared: int, private: int, noise: float) -> None:
    if len(counts) != 2:
        raise ValueError(f"expected two counts, one a population, got {list(counts)}")
    sizes = {"each of counts": min(counts), "features": features, "shared": shared, "private": private}
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"expected {name} to be at least 1, got {size}")
    if not 0 <= noise < float("inf"):
        raise ValueError(f"expected noise to be finite and at least 0, got {noise}")
