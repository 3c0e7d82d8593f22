"""Judging a code where the generating factors are known."""

import numpy as np
from jaxtyping import Int

from unbraid.data import FactorGrid
from unbraid.metrics import grid_codes
from unbraid.randomness import Purpose
from unbraid.recipes.judging import Arrays, Subject
from unbraid.recipes.suite import table_suite, vote_suite

KEPT = 5000  # codes kept for figures
ROWS = 15_000  # of the metrics that read a table; two thirds of them to fit on


def judge_factors(subject: Subject) -> Arrays:
    """Every metric of factors on a grid encoded once, and codes beside factors; for models with one block of latents.

    Metrics that vote draw from the whole grid. The others see random cells of it, each once, so that no held-out
    observation was fitted on: 10,000 and 5,000, or two thirds and one of a smaller grid.
    """
    data = subject.data
    assert isinstance(data, FactorGrid)
    values = thinned(data.factor_sizes, subject.max_codes)
    sizes = tuple(len(value) for value in values)
    grid = np.stack(np.meshgrid(*values, indexing="ij"), -1).reshape(-1, len(sizes))
    blocks = subject.kept_codes(data.index(grid))
    if "z" not in blocks:
        subject.left_out.append(("factors", f"expected one block of latents, got {sorted(blocks)}"))
        return {}
    codes = blocks["z"]
    rng = np.random.default_rng([subject.seed, Purpose.EVALUATION, 2])
    order = rng.permutation(len(grid))
    rows = order[:ROWS]
    suite = vote_suite(lambda: grid_codes(codes, sizes), subject.seed)
    for metric in suite + table_suite(codes[rows], grid[rows], 2 * len(rows) // 3, subject.seed):
        subject.judge("z block", metric)
    kept = order[:KEPT]
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
