"""Judging a run: numbers with their protocols, and the arrays that figures are drawn from."""

import csv
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING

from unbraid.recipes.draws import Draws
from unbraid.recipes.measures import chosen

if TYPE_CHECKING:
    from unbraid.data import Data
    from unbraid.runs import Run


def evaluate(
    run: Path,
    metrics: str = "standard",
    max_codes: int = 25_000,
    seed: int = 0,
    data: "Data | None" = None,
    draws: Draws = Draws(),  # noqa: B008 (frozen)
) -> "Run":
    """Score a finished run and compute the arrays of its figures, into its `evaluation` folder.

    Held-out test data are used where the run names some, else validation data, else the training data. What was
    measured before with the same weights, data, settings and code is kept and not measured again.

    Args:
        run: run folder.
        metrics: standard (all but the slow ones), all, or names with commas between, such as mig,dci; those that do not
            apply to the run are passed over.
        max_codes: largest number of observations to encode; a larger grid of factors is thinned evenly, as the result
            states. At most 2,000 held-out observations are used in any case, but for a classifier, which names as many
            as these.
        seed: of everything random in the evaluation.
        data: observations to score instead (needed for a run on data in memory).
        draws: how log p(x) is estimated.

    Raises:
        ValueError: no run, one without trained weights, or an unknown metric.
    """
    wanted = chosen(metrics)
    import torch

    from unbraid.configuration import describe
    from unbraid.data import FactorData
    from unbraid.recipes.judging import Subject, general, pictures
    from unbraid.recipes.judging_classes import judge_classes
    from unbraid.recipes.judging_evidence import judge_evidence
    from unbraid.recipes.judging_factors import judge_factors
    from unbraid.recipes.judging_features import as_rows
    from unbraid.recipes.judging_populations import judge_populations
    from unbraid.runs import Run

    began = time.monotonic()
    opened = Run(run)
    part, judged = ("passed", data) if data is not None else held_out(opened)
    subject = Subject(opened, judged, max_codes, seed, wanted)
    populations = len(judged.populations) > 1
    with torch.no_grad():
        arrays = general(subject) | pictures(subject)
        if isinstance(judged, FactorData):
            arrays |= judge_factors(subject)
        if populations:
            arrays |= judge_populations(subject)
        judge_evidence(subject, draws)
        arrays |= judge_classes(subject, draws.observations or max_codes)
        subject.measure()
    outcome = {
        "results": [{**result.to_dict(), "subject": name} for name, result in subject.results],
        "left_out": [{"subject": name, "reason": reason} for name, reason in subject.left_out],
        "judged_on": {"part": part, "data": describe(judged), "observations": len(subject.index)},
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
        "kind": "population" if populations else "sequential",
    }
    opened.save_evaluation(outcome, arrays)
    if "feature_gain" in arrays:
        _write_table(opened.path / "evaluation" / "features.csv", as_rows(arrays))
    return opened


def _write_table(file: Path, rows: list[dict[str, object]]) -> None:
    from unbraid.runs import write_atomically

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(file, text.getvalue().encode())


def held_out(run: "Run") -> "tuple[str, Data]":
    """The part of the run's data to judge it on, and its name: test, else validation, else training data.

    Raises:
        ValueError: the run names no data, or they were in memory.
    """
    for part in ("test", "validation", "data"):
        if run.record.get(part) is not None:
            same = run.record[part] == run.record.get("data")  # as for sprites, whose grid is all there is
            return "data" if same else part, run.rebuild(part)
    raise ValueError(f"expected data in the description of '{run.path}', got none; pass data=...")
