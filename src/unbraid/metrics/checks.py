"""What every metric asks of its arrays, with errors that say how to fix them, and the intervals they share."""

import math

import numpy as np
from jaxtyping import Float, Int, Real
from scipy.stats import binomtest

NORMAL_95 = 1.959963984540054
_LARGEST = 1e150  # squares and their sums must not overflow


def matrix(values: Real[np.ndarray, "..."], name: str, least: int = 2) -> Float[np.ndarray, "n column"]:
    """The values as a finite float64 matrix of at least `least` rows and one column.

    Raises:
        ValueError: it is not a matrix, too short, empty, or holds NaN, infinity or a number beyond 1e150.
    """
    values = finite(values, name)
    if values.ndim != 2:
        raise ValueError(
            f"expected {name} as a matrix [n, dimension], got shape {values.shape}; "
            f"reshape a single dimension with {name}[:, None]"
        )
    if values.shape[0] < least or values.shape[1] == 0:
        raise ValueError(
            f"expected {name} with at least {least} rows and 1 column, got shape {values.shape}; pass more samples"
        )
    largest = float(np.abs(values).max())
    if largest > _LARGEST:
        raise ValueError(f"expected {name} up to {_LARGEST:g} in size, got {largest:.4g}; divide them by a constant")
    return values


def finite(values: Real[np.ndarray, "..."], name: str) -> Float[np.ndarray, "..."]:
    """The values as float64.

    Raises:
        ValueError: they are no real numbers, or some are NaN or infinite.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"expected {name} as real numbers, got {values.dtype}; convert them first")
    values = values.astype(np.float64)
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise ValueError(
            f"expected finite {name}, got {bad} of {values.size} values that are NaN or infinite; "
            "look for a diverged run, or drop those samples"
        )
    return values


def images(values: Real[np.ndarray, "..."], name: str, least: int = 2) -> Float[np.ndarray, "n *shape"]:
    """The values as finite float64 observations, at least `least` of them.

    Raises:
        ValueError: there is no leading dimension of samples, too few of them, no pixels, or NaN or infinity.
    """
    values = finite(values, name)
    if values.ndim < 2 or values.shape[0] < least or values.size == 0:
        raise ValueError(f"expected {name} as [n, *shape] with n at least {least}, got shape {values.shape}")
    return values


def integers(values: Int[np.ndarray, "..."], name: str, length: int) -> Int[np.ndarray, " n"]:
    """The values as `length` integers of at least two kinds, renumbered from 0 in their order.

    Raises:
        ValueError: they are not integers in one dimension, of another length, or all the same.
    """
    values = np.asarray(values)
    if values.ndim != 1 or values.dtype.kind not in "iub":
        raise ValueError(
            f"expected {name} as integers [n], got {values.dtype} of shape {values.shape}; "
            "number the classes, for example with np.unique(names, return_inverse=True)[1]"
        )
    same_length(name, len(values), "codes", length)
    kinds, renumbered = np.unique(values, return_inverse=True)
    if len(kinds) < 2:
        raise ValueError(f"expected at least two different {name}, got only {kinds.tolist()}")
    return renumbered


def indices(values: Int[np.ndarray, "..."], name: str, length: int, kinds: int, of: str) -> Int[np.ndarray, " n"]:
    """The values as `length` indices below `kinds`, which are those `of` something.

    Raises:
        ValueError: they are not integers in one dimension, of another length, or out of range.
    """
    values = np.asarray(values)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ValueError(f"expected {name} as integers [n], got {values.dtype} of shape {values.shape}")
    same_length(name, len(values), "observations", length)
    if values.min() < 0 or values.max() >= kinds:
        raise ValueError(f"expected {name} from 0 to {kinds - 1}, the {of}, got {values.min()} to {values.max()}")
    return values


def same_length(name: str, got: int, other: str, expected: int) -> None:
    """Refuses two arrays that do not speak of the same samples.

    Raises:
        ValueError: the lengths differ.
    """
    if got != expected:
        raise ValueError(f"expected as many {name} as {other}, got {got} and {expected}; pass the same samples in both")


def image_pair(
    reconstruction: Real[np.ndarray, "..."], target: Real[np.ndarray, "..."]
) -> tuple[Float[np.ndarray, "n *shape"], Float[np.ndarray, "n *shape"]]:
    """Both as finite float64 images of one shape.

    Raises:
        ValueError: the shapes differ, or what `images` refuses.
    """
    reconstruction, target = images(reconstruction, "reconstruction"), images(target, "target")
    if reconstruction.shape != target.shape:
        raise ValueError(
            f"expected reconstruction and target of one shape, got {reconstruction.shape} and {target.shape}; "
            "pass the same images in both"
        )
    return reconstruction, target


def mean_interval(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Normal 95% interval of the mean of independent values; a single one gets no width."""
    half = NORMAL_95 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    middle = float(values.mean())
    return middle - half, middle + half


def proportion_interval(hits: int, trials: int) -> tuple[float, float]:
    """Wilson's 95% interval of a proportion, which stays inside [0, 1] and has width at 0 and 1 too."""
    interval = binomtest(hits, trials).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
