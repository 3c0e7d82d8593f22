"""What every data set offers, so that training and evaluation need to know no data set by name."""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Float, Int, Real
from torch import Tensor

from unbraid.configuration import Configured, Plain
from unbraid.data.card import Card
from unbraid.types import Batch


class Data(Configured, ABC):
    """Indexable observations in memory or memory-mapped; a subclass keeps its constructor arguments under their names.

    shape: of one observation, `(channel, height, width)` or `(feature,)`.
    populations: names of the populations, empty if there is only one.
    population: index into `populations` for every observation, `[n]`, or None.
    absent: those of the populations of which there are no observations, on purpose; elsewhere an empty one is an error.
    labels: `[n]` integer class of every observation for judging (never for training), or None.
    classes: names of the classes, in the order of `labels`; empty if they have none.
    unit: `[n]` number of the unit that every observation was taken from (samples of one patient), or None where each is
        one of its own; units are independent of each other, observations of one are not.
    feature_names: names of the coordinates of vectors; empty if they have none.
    bounds: smallest and largest value an observation may have, or None.
    missing: whether coordinates may be missing (NaN).
    card: what the data are, whose, and under what terms; None for people's own.
    """

    shape: tuple[int, ...]
    populations: tuple[str, ...] = ()
    population: Int[np.ndarray, " n"] | None = None
    absent: tuple[str, ...] = ()
    labels: Int[np.ndarray, " n"] | None = None
    classes: tuple[str, ...] = ()
    unit: Int[np.ndarray, " n"] | None = None
    feature_names: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None
    missing: bool = False
    card: Card | None = None

    @abstractmethod
    def __len__(self) -> int:
        """Number of observations."""

    @abstractmethod
    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The observations at `index` as float32 on the CPU, in that order.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """

    def facts(self) -> dict[str, Plain]:
        """What a run should keep about the data beside their description: statistics, checksums; plain values."""
        return {}

    @property
    def held(self) -> int:
        """Bytes of the arrays in memory; memory-mapped ones, which the system may drop, do not count."""
        own = (value for value in vars(self).values() if isinstance(value, np.ndarray))
        return sum(array.nbytes for array in own if not _mapped(array)) + sum(part.held for part in self.inner)

    @property
    def inner(self) -> "list[Data]":
        """The data that these are made of, if any."""
        values = list(vars(self).values())
        values += [item for value in values if isinstance(value, dict) for item in value.values()]
        return [value for value in values if isinstance(value, Data)]

    @property
    def cards(self) -> list[Card]:
        """Cards of these data and of all that they are made of, each once."""
        found = ([self.card] if self.card else []) + [card for part in self.inner for card in part.cards]
        return list(dict.fromkeys(found))

    def checked(self, index: Int[np.ndarray, " batch"]) -> Int[np.ndarray, " batch"]:
        """The indices as they came, once all are known to be there; numpy would count negative ones from the end.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """
        index = np.asarray(index)
        outside = index[(index < 0) | (index >= len(self))]
        if outside.size:
            raise IndexError(f"expected indices from 0 to {len(self) - 1} into {self!r}, got {outside[0]}")
        return index


class FactorData(Data):
    """Data whose generating factors are known for every observation, and that can draw an observation of any factors.

    factor_names: one a factor.
    factor_sizes: number of values of each factor; 0 for a continuous one.
    """

    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]

    @abstractmethod
    def factors(self, index: Int[np.ndarray, " n"]) -> Real[np.ndarray, "n factor"]:
        """Factor values of the observations at `index`: integers from 0 for discrete ones, else in the factor's unit.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """

    @abstractmethod
    def sample(self, factors: Real[np.ndarray, "n factor"]) -> Float[Tensor, "n *shape"]:
        """Observations with these factor values; the same values give the same observations.

        Raises:
            ValueError: not one column a factor, or a value that the factor cannot have.
        """

    @abstractmethod
    def sample_factors(self, count: int, rng: np.random.Generator) -> Real[np.ndarray, "count factor"]:
        """Factor values drawn uniformly and independently."""


class FactorGrid(FactorData):
    """Ground truth with an observation for every combination of discrete factors; the last factor varies fastest."""

    def __len__(self) -> int:
        return int(np.prod(self.factor_sizes))

    def factors(self, index: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n factor"]:
        """Factor values (integers from 0) of the observations at `index`.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """
        return np.stack(np.unravel_index(self.checked(index), self.factor_sizes), axis=1)

    def index(self, factors: Int[np.ndarray, "n factor"]) -> Int[np.ndarray, " n"]:
        """Indices of the observations with these factor values.

        Raises:
            ValueError: not one column a factor, or a factor value outside its size.
        """
        factors, sizes = np.asarray(factors), np.array(self.factor_sizes)
        if factors.ndim != 2 or factors.shape[1] != len(sizes):
            names = ", ".join(self.factor_names)
            raise ValueError(f"expected [n, {len(sizes)}] factors, columns {names}, got shape {factors.shape}")
        if ((factors < 0) | (factors >= sizes)).any():
            raise ValueError(
                f"expected values of {', '.join(self.factor_names)} from 0 and below {self.factor_sizes}, "
                f"got from {factors.min(0).tolist()} to {factors.max(0).tolist()}"
            )
        return np.asarray(np.ravel_multi_index(tuple(factors.T), self.factor_sizes))

    def sample(self, factors: Int[np.ndarray, "n factor"]) -> Float[Tensor, "n *shape"]:
        """Observations with these factor values."""
        return self.batch(self.index(factors)).x

    def sample_factors(self, count: int, rng: np.random.Generator) -> Int[np.ndarray, "count factor"]:
        """Factor values drawn uniformly and independently."""
        return rng.integers(self.factor_sizes, size=(count, len(self.factor_sizes)))


def _mapped(array: np.ndarray) -> bool:
    base: object = array
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return isinstance(base, np.memmap)
