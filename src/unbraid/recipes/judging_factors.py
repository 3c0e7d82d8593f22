"""Judging a code where the generating factors are known."""

import numpy as np
from jaxtyping import Int

from unbraid.data import FactorData
from unbraid.metrics import factor_vae, grid_codes
from unbraid.recipes.judging import Arrays, Named, Subject

KEPT = 5000  # codes kept for figures


def judge_factors(subject: Subject) -> tuple[Named, Arrays]:
    """The FactorVAE metric on a grid encoded once, and codes beside factors.

    Raises:
        ValueError: the model has no block of latents that one code could be made of.
    """
    data = subject.data
    assert isinstance(data, FactorData)
    values = thinned(data.factor_sizes, subject.max_codes)
    sizes = tuple(len(value) for value in values)
    grid = np.stack(np.meshgrid(*values, indexing="ij"), -1).reshape(-1, len(sizes))
    codes = subject.codes(data.index(grid))["z"]
    result = factor_vae(grid_codes(codes, sizes), sizes, seed=subject.seed)
    object.__setattr__(result, "parameters", {**result.parameters, "grid": list(sizes)})
    rng = np.random.default_rng([subject.seed, 2])
    kept = rng.choice(len(grid), min(KEPT, len(grid)), replace=False)
    arrays: Arrays = {"codes": codes[kept], "factors": grid[kept], "factor_names": np.array(data.factor_names)}
    return [("z block", result)], arrays


def thinned(sizes: tuple[int, ...], limit: int) -> list[Int[np.ndarray, " value"]]:
    """Values of each factor to use so that their grid has at most `limit` cells, the largest factors thinned first.

    Values stay evenly spaced; every factor keeps at least two (or all) of its values.
    """
    counts = list(sizes)
    while np.prod(counts) > limit and max(counts) > 2:
        largest = int(np.argmax(counts))
        counts[largest] = -(-counts[largest] // 2)
    return [np.arange(size)[:: -(-size // count)] for size, count in zip(sizes, counts, strict=True)]
