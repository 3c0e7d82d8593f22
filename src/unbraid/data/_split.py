"""The three parts that data are made in or split into, so that no part has seen another."""

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


def stratified_units(
    groups: Int[np.ndarray, " n"], unit: Int[np.ndarray, " n"] | None, seed: int, shares: Sequence[float] = SHARES
) -> list[Int[np.ndarray, " part"]]:
    """As `stratified`, sorted and in whole units if there are any, so that no part has seen a unit of another.

    Units are shared out by number, those that have observations of the same groups in the same proportion.

    Raises:
        ValueError: as `stratified`.
    """
    if unit is None:
        return [np.sort(part) for part in stratified(groups, seed, shares)]
    number = np.unique(unit, return_inverse=True)[1].reshape(-1)
    present = np.zeros((number.max() + 1, groups.max() + 1), dtype=bool)
    present[number, groups] = True
    kinds = np.unique(present, axis=0, return_inverse=True)[1]
    return [np.flatnonzero(np.isin(number, part)) for part in stratified(kinds.reshape(-1), seed, shares)]


def stratified_by(
    keys: Sequence[str] | Int[np.ndarray, " n"],
    groups: Int[np.ndarray, " n"],
    seed: int,
    shares: Sequence[float] = SHARES,
) -> list[Int[np.ndarray, " part"]]:
    """As `stratified`, but which part an observation is in depends on its key and not on the order in a file.

    keys: one an observation, no two alike: the number or name of its image.

    Raises:
        ValueError: as `stratified`.
    """
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    return [order[part] for part in stratified(groups[order], seed, shares)]


def official_part(
    labels: Int[np.ndarray, " n"], split: Split, seed: int, validation: float
) -> Int[np.ndarray, " part"]:
    """Which observations of an official training part are for training or for validation, in their official order.

    validation: share that is held out, the same of every class.

    Raises:
        ValueError: a share outside [0, 1), or one that leaves a part without observations.
    """
    if not 0 <= validation < 1:
        raise ValueError(f"expected validation to be a share of at least 0 and below 1, got {validation}")
    chosen = stratified(labels, seed, (1 - validation, validation, 0.0))[split_number(split)]
    if not len(chosen):
        raise ValueError(
            f"expected a validation share that leaves observations for {split}, got {validation} of {len(labels)}"
        )
    return np.sort(chosen)
