"""Arrays in memory as a data set."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped

from unbraid.data.contract import Data
from unbraid.types import Batch


class Arrays(Data):
    """Observations in an array, with a population for each if there are several.

    A run on arrays records their checksum, not their values: to resume or evaluate it, pass the same data again.

    Args:
        x: `[n, *shape]`, finite numbers; NaN is a missing value if `missing` allows it.
        population: name of each observation's population, `[n]` strings or integers; None for one population.
        populations: the names in the order to use; default: the sorted distinct values of `population`.
        labels: integer classes for judging, `[n]`, from 0.
        classes: names of the classes.
        feature_names: names of the coordinates of vectors.
        missing: whether NaN is a value that was not measured; else it is refused.

    Raises:
        ValueError: no observation, a value that is infinite or NaN, an observation with no value at all, lengths that
            differ, fewer than two populations, a population without observations or an observation of an unnamed one.
    """

    def __init__(
        self,
        x: Shaped[np.ndarray, "n *shape"],
        population: Shaped[np.ndarray, " n"] | Sequence[str] | None = None,
        populations: Sequence[str] | None = None,
        labels: Int[np.ndarray, " n"] | None = None,
        classes: Sequence[str] = (),
        feature_names: Sequence[str] = (),
        missing: bool = False,
    ):
        self.x = _finite(np.asarray(x), missing)
        self.shape = self.x.shape[1:]
        self.bounds = (float(np.nanmin(self.x)), float(np.nanmax(self.x)))
        self.missing = bool(np.isnan(self.x).any())
        self.labels = None if labels is None else np.asarray(labels, dtype=np.int64)
        if self.labels is not None and len(self.labels) != len(self.x):
            raise ValueError(f"expected one label for each of {len(self.x)} observations, got {len(self.labels)}")
        self.classes, self.feature_names = tuple(map(str, classes)), tuple(map(str, feature_names))
        if self.labels is not None and classes and not 0 <= self.labels.min() <= self.labels.max() < len(classes):
            raise ValueError(f"expected labels from 0 to {len(classes) - 1}, one a class of {self.classes}, got others")
        if feature_names and (len(feature_names),) != self.shape:
            raise ValueError(f"expected a name for each of {self.shape} features, got {len(feature_names)}")
        if population is not None:
            self.populations, self.population = _index(np.asarray(population), populations, len(self.x))

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The observations at `index`."""
        index = self.checked(index)
        population = None if self.population is None else torch.from_numpy(self.population[index])
        return Batch(torch.from_numpy(self.x[index]), population)

    def fingerprint(self) -> dict[str, str | list[int]]:
        """Shape and checksum, which a run records in place of the values."""
        digest = hashlib.sha256(np.ascontiguousarray(self.x).tobytes())
        if self.population is not None:
            digest.update(repr(self.populations).encode() + self.population.tobytes())
        return {"in_memory": "Arrays", "shape": list(self.x.shape), "sha256": digest.hexdigest()}

    def __repr__(self) -> str:
        return f"Arrays(x of shape {self.x.shape}, populations={self.populations})"


def _finite(x: Shaped[np.ndarray, "..."], missing: bool) -> Float[np.ndarray, "n *shape"]:
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"expected observations as [n, *shape] with n and every side at least 1, got shape {x.shape}")
    if x.dtype.kind not in "fiub":
        raise ValueError(f"expected numbers, got an array of {x.dtype}; encode categories as numbers first")
    x = np.ascontiguousarray(x, dtype=np.float32)
    flat = x.reshape(len(x), -1)
    empty = np.isnan(flat).all(axis=1)
    if missing and empty.any():
        raise ValueError(
            f"expected a value in every observation, got none in {int(empty.sum())} of {len(x)}, "
            f"the first at index {int(empty.argmax())}; leave them out"
        )
    bad = (np.isinf(flat) if missing else ~np.isfinite(flat)).any(axis=1)
    if bad.any():
        raise ValueError(
            f"expected finite values, got NaN or infinity in {int(bad.sum())} of {len(x)} observations, "
            f"the first at index {int(bad.argmax())}; remove them, or pass missing=True if NaN means not measured"
        )
    return x


def _index(
    population: Shaped[np.ndarray, " n"], names: Sequence[str] | None, count: int
) -> tuple[tuple[str, ...], Int[np.ndarray, " n"]]:
    if population.shape != (count,):
        raise ValueError(f"expected one population for each of {count} observations, got shape {population.shape}")
    values = population.astype(str)
    found = set(values.tolist())
    populations = tuple(sorted(found)) if names is None else tuple(map(str, names))
    if len(set(populations)) != len(populations) or len(populations) < 2:
        raise ValueError(f"expected at least two distinct populations, got {populations}; for one pass population=None")
    if found - set(populations):
        raise ValueError(f"expected populations among {populations}, got also {sorted(found - set(populations))}")
    if set(populations) - found:
        raise ValueError(f"expected observations of every population, got none of {sorted(set(populations) - found)}")
    order = {name: k for k, name in enumerate(populations)}
    return populations, np.array([order[value] for value in values], dtype=np.int64)
