"""What a report reads from a run folder, checked."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from unbraid.plots import Curve
from unbraid.runs import Run

POSITIONS = ("split", "step", "epoch", "seconds")


@dataclass(frozen=True)
class Shown:
    """A run as the report sees it.

    label: the run's name, made unique among the runs of the page.
    curves: term to split to curve; results: one dictionary a measured value; arrays: by name, empty if not evaluated.
    judged_on: which data were judged, and how many; left_out: what metrics refused, each with the reason.
    """

    label: str
    path: Path
    record: dict[str, Any]
    status: dict[str, Any]
    curves: dict[str, dict[str, Curve]]
    results: list[dict[str, Any]]
    arrays: dict[str, Shaped[np.ndarray, "..."]]
    evaluated: bool
    judged_on: dict[str, Any] = field(default_factory=dict)
    left_out: list[dict[str, str]] = field(default_factory=list)


def read(paths: Sequence[Path]) -> list[Shown]:
    """The runs in these folders, in the same order.

    Raises:
        ValueError: a folder is no run, has nothing to show, or holds a damaged file.
    """
    runs = [Run(path) for path in paths]
    names = [str(run.record.get("name") or run.path.name) for run in runs]
    return [_read(run, _label(names, index, runs)) for index, run in enumerate(runs)]


def _label(names: list[str], index: int, runs: list[Run]) -> str:
    if names.count(names[index]) == 1:
        return names[index]
    folder = runs[index].path.resolve()
    label = f"{names[index]} ({folder.parent.name}/{folder.name})"
    same = [run.path.resolve().parts[-2:] for run in runs].count(folder.parts[-2:]) > 1
    return f"{label} #{index + 1}" if same else label


def _read(run: Run, label: str) -> Shown:
    try:
        status, lines, evaluation = run.status, run.metrics(), run.evaluation()
        results = [] if evaluation is None else [dict(result) for result in evaluation["results"]]
    except FileNotFoundError as error:
        raise ValueError(f"expected a complete run in '{run.path}', but {error.filename} is missing") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"expected JSON in the files of '{run.path}', but one is damaged: {error}") from error
    curves = _curves(lines)
    if not curves and evaluation is None:
        raise ValueError(
            f"expected a trained or evaluated run, got '{run.path}', which has nothing to show yet "
            f"(it is {status.get('status', 'in an unknown state')}); finish its training, "
            f"then `unbraid evaluate {run.path}`"
        )
    arrays = _arrays(run.path / "evaluation" / "arrays.npz", f"unbraid evaluate {run.path}")
    arrays |= _arrays(run.path / "evaluation" / "forgetting.npz", "unbraid forgetting RUNS")
    judged_on = (evaluation or {}).get("judged_on", {})
    left_out = (evaluation or {}).get("left_out", [])
    evaluated = evaluation is not None
    return Shown(label, run.path, run.record, status, curves, results, arrays, evaluated, judged_on, left_out)


def _curves(lines: list[dict[str, Any]]) -> dict[str, dict[str, Curve]]:
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for line in lines:
        for term, value in line.items():
            if term not in POSITIONS and isinstance(value, int | float):
                points = found.setdefault(term, {}).setdefault(str(line.get("split", "train")), [])
                points.append((int(line.get("step", len(points))), float(value)))
    return {term: {split: _curve(found[term][split]) for split in found[term]} for term in sorted(found, key=_rank)}


def _curve(points: list[tuple[int, float]]) -> Curve:
    step, value = zip(*sorted(points), strict=True)
    return Curve(np.array(step, dtype=np.int64), np.array(value, dtype=np.float64))


def _rank(term: str) -> tuple[int, str]:
    first = ("loss", "reconstruction", "bound", "negative_elbo")
    return (first.index(term) if term in first else 3 + (not term.startswith("kl")), term)


def _arrays(file: Path, command: str) -> dict[str, Shaped[np.ndarray, "..."]]:
    if not file.is_file():
        return {}
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"expected plain arrays in '{file}', but the file is damaged ({error}); `{command}` makes it anew"
        ) from error
