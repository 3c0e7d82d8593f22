"""Codes beside the factors that made their observations, what is held out, and the levels a score is read against."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Real

from unbraid.metrics.checks import matrix, same_length

_EXACT = 2**53  # integers beyond it differ where floats do not

Score = Callable[[Float[np.ndarray, "n latent"], Int[np.ndarray, "n factor"]], float]


@dataclass(frozen=True)
class Labelled:
    """Codes and factors of the same observations, checked.

    codes: `[n, latent]`, finite.
    factors: `[n, factor]`, only those that vary, each renumbered from 0 in the order of its values.
    values: `[n, factor]`, the same with their own values, for what takes their distances.
    columns: which columns of the factors as given those are.
    """

    codes: Float[np.ndarray, "n latent"]
    factors: Int[np.ndarray, "n factor"]
    values: Float[np.ndarray, "n factor"]
    columns: list[int]

    def rows(self, index: Int[np.ndarray, " row"] | slice) -> "Labelled":
        """The same for some of the observations; factors keep their numbers."""
        return Labelled(self.codes[index], self.factors[index], self.values[index], self.columns)

    def coded(self, codes: Float[np.ndarray, "n _"]) -> "Labelled":
        """The same factors beside other codes."""
        return Labelled(codes, self.factors, self.values, self.columns)


def labelled(
    codes: Real[np.ndarray, "n latent"],
    factors: Real[np.ndarray, "n factor"],
    least: int = 2,
    continuous: bool = False,
) -> Labelled:
    """Codes and factors, checked; a factor with one value says nothing about a code and is left out.

    Args:
        codes: `[n, latent]`.
        factors: `[n, factor]` integers.
        least: smallest number of rows.
        continuous: whether factors may be real numbers.

    Raises:
        ValueError: codes are not a finite matrix, or factors not as many rows of integers (or of finite numbers, if
            they may be continuous) of which a column varies.
    """
    codes = matrix(codes, "codes", least)
    factors = np.asarray(factors)
    if continuous and factors.ndim == 2 and factors.dtype.kind == "f":
        return _of_real(codes, matrix(factors, "factors", least))
    if factors.ndim != 2 or factors.dtype.kind not in "iub":
        raise ValueError(
            f"expected factors as integers [n, factor], got {factors.dtype} of shape {factors.shape}; number their "
            "values, for example with np.unique(values, return_inverse=True)[1], and reshape one factor with [:, None]"
        )
    same_length("factors", len(factors), "codes", len(codes))
    if factors.size and max(int(factors.max()), -int(factors.min())) > _EXACT:
        raise ValueError(
            f"expected factors between -2^53 and 2^53, got {factors.min()} to {factors.max()}; number their values, "
            "for example with np.unique(values, return_inverse=True)[1]"
        )
    return _numbered(codes, factors.astype(np.int64))


def _of_real(codes: Float[np.ndarray, "n latent"], factors: Float[np.ndarray, "n factor"]) -> Labelled:
    same_length("factors", len(factors), "codes", len(codes))
    return _numbered(codes, factors)


def _numbered(codes: Float[np.ndarray, "n latent"], factors: Real[np.ndarray, "n factor"]) -> Labelled:
    columns = [column for column in range(factors.shape[1]) if np.ptp(factors[:, column])]
    if not columns:
        raise ValueError(f"expected at least one factor that varies, got {factors.shape[1]} constant ones; drop them")
    renumbered = [np.unique(factors[:, column], return_inverse=True)[1] for column in columns]
    return Labelled(codes, np.stack(renumbered, axis=1), factors[:, columns].astype(np.float64), columns)


def train_and_test(
    count: int, test_from: int | None, seed: int
) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " test"]]:
    """Rows to fit on and rows to score on: those before and from `test_from`, or a random third held out.

    Raises:
        ValueError: a part would have fewer than two rows.
    """
    if test_from is None:
        order, first = np.random.default_rng(seed).permutation(count), count - count // 3
    else:
        order, first = np.arange(count), test_from
    if not 2 <= first <= count - 2:
        raise ValueError(
            f"expected at least two rows to fit on and two to score on, got {count} rows with the test rows "
            f"from {first} on; pass more rows or another test_from"
        )
    return order[:first], order[first:]


def levels(score: Score, given: Labelled, seed: int, shuffles: int = 10) -> tuple[float, float]:
    """Chance: the mean score with the rows of the codes permuted. Ceiling: the score of the factors as the code."""
    rng = np.random.default_rng(seed)
    shuffled = [score(rng.permutation(given.codes), given.factors) for _ in range(shuffles)]
    return float(np.mean(shuffled)), score(given.factors.astype(np.float64), given.factors)
