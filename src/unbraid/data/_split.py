"""The three parts that a data set is made in, so that no part has seen another."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Int

Split = Literal["train", "validation", "test"]
SPLITS: tuple[str, ...] = get_args(Split)
SHARES = (0.7, 0.15, 0.15)


def split_number(split: str) -> int:
    """Position of the split among the three, used to give each its own random numbers.

    Raises:
        ValueError: there is no such split.
    """
    if split not in SPLITS:
        raise ValueError(f"expected split to be one of {', '.join(SPLITS)}, got '{split}'")
    return SPLITS.index(split)


def stratified(
    groups: Int[np.ndarray, " n"], seed: int, shares: Sequence[float] = SHARES
) -> list[Int[np.ndarray, " part"]]:
    """Shuffled indices of train, validation and test; every group is shared out in the same proportion.

    groups: what to keep in proportion (population, class), one integer an observation.
    shares: of the three parts.

    Raises:
        ValueError: not three shares, one of them negative, or they do not sum to 1.
    """
    if len(shares) != len(SPLITS) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"expected shares of {', '.join(SPLITS)} that sum to 1, got {tuple(shares)}")
    rng = np.random.default_rng([seed, len(SPLITS)])
    parts: list[list[np.ndarray]] = [[np.zeros(0, dtype=np.int64)] for _ in SPLITS]
    for group in np.unique(groups):
        members = rng.permutation(np.flatnonzero(groups == group))
        cuts = np.round(np.cumsum(shares[:-1]) * len(members)).astype(int)
        for part, some in zip(parts, np.split(members, cuts), strict=True):
            part.append(some)
    return [rng.permutation(np.concatenate(part)) for part in parts]
