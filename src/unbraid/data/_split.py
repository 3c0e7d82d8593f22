"""The three parts that a data set is made in, so that no part has seen another."""

from typing import Literal, get_args

Split = Literal["train", "validation", "test"]
SPLITS: tuple[str, ...] = get_args(Split)


def split_number(split: str) -> int:
    """Position of the split among the three, used to give each its own random numbers.

    Raises:
        ValueError: there is no such split.
    """
    if split not in SPLITS:
        raise ValueError(f"expected split to be one of {', '.join(SPLITS)}, got '{split}'")
    return SPLITS.index(split)
