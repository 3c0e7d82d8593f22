"""Judging a code where the generating factors are known."""

import numpy as np
from jaxtyping import Int

from unbraid.data import FactorGrid
from unbraid.metrics import factor_vae, grid_codes
from unbraid.randomness import Purpose
from unbraid.recipes.judging import Arrays, Subject

KEPT = 5000  # codes kept for figures


def judge_factors(subject: Subject) -> Arrays:
    """The FactorVAE metric on a grid encoded once, and codes beside factors; for models with one block of latents."""
    data = subject.data
    assert isinstance(data, FactorGrid)
    values = thinned(data.factor_sizes, subject.max_codes)
    sizes = tuple(len(value) for value in values)
    grid = np.stack(np.meshgrid(*values, indexing="ij"), -1).reshape(-1, len(sizes))
    blocks = subject.codes(data.index(grid))
    if "z" not in blocks:
        subject.left_out.append(("factors", f"expected one block of latents, got {sorted(blocks)}"))
        return {}
    codes = blocks["z"]
    subject.judge("z block", lambda: factor_vae(grid_codes(codes, sizes), sizes, seed=subject.seed))
    rng = np.random.default_rng([subject.seed, Purpose.EVALUATION, 2])
    kept = rng.choice(len(grid), min(KEPT, len(grid)), replace=False)
    return {"codes": codes[kept], "factors": grid[kept], "factor_names": np.array(data.factor_names)}


def thinned(sizes: tuple[int, ...], limit: int) -> list[Int[np.ndarray, " value"]]:
    """Values of each factor to use so that their grid has at most `limit` cells, the largest factors thinned first.

    Values stay evenly spaced; every factor keeps at least two (or all) of its values.
    """
    counts = list(sizes)
    while np.prod(counts) > limit and max(counts) > 2:
        largest = int(np.argmax(counts))
        counts[largest] = -(-counts[largest] // 2)
    return [np.arange(size)[:: -(-size // count)] for size, count in zip(sizes, counts, strict=True)]
