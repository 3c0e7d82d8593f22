"""Judging a run: numbers with their protocols, and the arrays that figures are drawn from."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unbraid.data import Data
    from unbraid.runs import Run


def evaluate(run: Path, max_codes: int = 50_000, seed: int = 0, data: "Data | None" = None) -> "Run":
    """Score a finished run and compute the arrays of its figures, into its `evaluation` folder.

    Held-out test data are used where the run names some, else validation data, else the training data.

    Args:
        run: run folder.
        max_codes: largest number of observations to encode; a larger grid of factors is thinned evenly, as the result
            states. At most 2,000 held-out observations are used in any case.
        seed: of everything random in the evaluation.
        data: observations to score instead (needed for a run on data in memory).

    Raises:
        ValueError: no run, or one without trained weights.
    """
    import torch

    from unbraid.data import FactorData
    from unbraid.recipes.judging import Subject, general, pictures
    from unbraid.recipes.judging_factors import judge_factors
    from unbraid.recipes.judging_populations import judge_populations
    from unbraid.runs import Run

    began = time.monotonic()
    opened = Run(run)
    subject = Subject(opened, data or _held_out(opened), max_codes, seed)
    with torch.no_grad():
        results, arrays = general(subject)
        arrays |= pictures(subject)
        judges = [judge_factors] if isinstance(subject.data, FactorData) else []
        judges += [judge_populations] if len(subject.data.populations) > 1 else []
        for judge in judges:
            more, more_arrays = judge(subject)
            results, arrays = results + more, arrays | more_arrays
    plain = [{**result.to_dict(), "subject": name} for name, result in results]
    kind = "population" if len(subject.data.populations) > 1 else "sequential"
    seconds = round(time.monotonic() - began, 1)
    opened.save_evaluation({"results": plain, "seconds": seconds, "kind": kind}, arrays)
    return opened


def _held_out(run: "Run") -> "Data":
    for part in ("test", "validation", "data"):
        if run.record.get(part) is not None:
            return run.rebuild(part)
    raise ValueError(f"expected data in the description of '{run.path}', got none; pass data=...")
