"""Judging a code where the generating factors are known."""

import numpy as np
from jaxtyping import Float, Int

from unbraid.data import FactorData, FactorGrid, Teapots
from unbraid.metrics import DCI_QEDR_RF, DCIForest, grid_codes
from unbraid.randomness import Purpose
from unbraid.recipes.judging import Arrays, Subject
from unbraid.recipes.suite import real_suite, table_suite, vote_suite

KEPT = 5000  # codes kept for figures
ROWS = 15_000  # of the metrics that read a table; two thirds of them to fit on
OF_TEAPOTS = DCIForest(depths=(12, 10, 3, 3, 3), name="qedr-rf")  # sequential residual VAE, section 5


def judge_factors(subject: Subject) -> Arrays:
    """Every metric of factors, and codes beside factors; for models with one block of latents."""
    return _of_grid(subject) if isinstance(subject.data, FactorGrid) else _of_rows(subject)


def _of_grid(subject: Subject) -> Arrays:
    """A grid encoded once.

    Metrics that vote draw from the whole grid. The others see random cells of it, each once, so that no held-out
    observation was fitted on: 10,000 and 5,000, or two thirds and one of a smaller grid.
    """
    data = subject.data
    assert isinstance(data, FactorGrid)
    values = thinned(data.factor_sizes, subject.max_codes)
    sizes = tuple(len(value) for value in values)
    grid = np.stack(np.meshgrid(*values, indexing="ij"), -1).reshape(-1, len(sizes))
    codes = _codes(subject, data.index(grid))
    if codes is None:
        return {}
    rng = np.random.default_rng([subject.seed, Purpose.EVALUATION, 2])
    order = rng.permutation(len(grid))
    rows = order[:ROWS]
    suite = vote_suite(lambda: grid_codes(codes, sizes), subject.seed)
    for metric in suite + table_suite(codes[rows], grid[rows], 2 * len(rows) // 3, subject.seed):
        subject.judge("z block", metric)
    kept = order[:KEPT]
    return {"codes": codes[kept], "factors": grid[kept], "factor_names": np.array(data.factor_names)}


def _of_rows(subject: Subject) -> Arrays:
    """Random observations of continuous factors, each once: 10,000 to fit on and 5,000 to score on, or as many as are
    there. To hold a factor fixed and vote, observations would have to be made anew, which costs too much.
    """
    data = subject.data
    assert isinstance(data, FactorData)
    order = np.random.default_rng([subject.seed, Purpose.EVALUATION, 2]).permutation(len(data))
    index = order[: min(ROWS, subject.max_codes)]
    codes, factors = _codes(subject, index), data.factors(index)
    if codes is None:
        return {}
    forest = OF_TEAPOTS if isinstance(data, Teapots) else DCI_QEDR_RF
    for metric in real_suite(codes, factors, 2 * len(index) // 3, forest, subject.seed):
        subject.judge("z block", metric, quick=True)
    subject.left_out.append(
        ("factors", "metrics that vote or count values need discrete factors, got continuous ones; DCI regresses them")
    )
    return {"codes": codes[:KEPT], "factors": factors[:KEPT], "factor_names": np.array(data.factor_names)}


def _codes(subject: Subject, index: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n latent"] | None:
    """The codes of the one block of latents; None, with the reason, if there are several."""
    blocks = subject.kept_codes(index)
    if "z" in blocks:
        return blocks["z"]
    subject.left_out.append(("factors", f"expected one block of latents, got {sorted(blocks)}"))
    return None


def thinned(sizes: tuple[int, ...], limit: int) -> list[Int[np.ndarray, " value"]]:
    """Values of each factor to use so that their grid has at most `limit` cells, the largest factors thinned first.

    Values stay evenly spaced; every factor keeps at least two (or all) of its values.
    """
    counts = list(sizes)
    while np.prod(counts) > limit and max(counts) > 2:
        largest = int(np.argmax(counts))
        counts[largest] = -(-counts[largest] // 2)
    return [np.arange(size)[:: -(-size // count)] for size, count in zip(sizes, counts, strict=True)]
