"""Every random number comes from a seed and a purpose, never from a global state left behind by something else."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch


class Purpose(IntEnum):
    """What random numbers are for; keeps the streams of one seed apart."""

    WEIGHTS = 0
    ORDER = 1
    NOISE = 2
    VALIDATION = 3
    EVALUATION = 4
    AUGMENTATION = 5
    ADVERSARY_WEIGHTS = 6
    ADVERSARY_ORDER = 7
    ADVERSARY_NOISE = 8
    ADVERSARY_AUGMENTATION = 9


def derived_seed(*key: int) -> int:
    """A 63-bit seed from a key of integers; different keys give unrelated seeds."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initial weights of networks built inside depend on `seed` alone; the global state is as before afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derived_seed(seed, Purpose.WEIGHTS))  # of the CPU, where networks are made
        yield
