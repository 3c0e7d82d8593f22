"""The figures of a reproduction, from numbers and from the runs themselves."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from unbraid import plots
from unbraid.reproductions import numbers
from unbraid.reproductions.experiment import Experiment, Measure
from unbraid.reproductions.numbers import Row

LARGEST_PANELS = 6  # of one figure of final values


def over_training(rows: Sequence[Row], experiment: Experiment, by_time: bool = False) -> Figure | None:
    """Every followed measure over training, a line a method; None if nothing was followed."""
    panels = {
        measure.name: {
            method.name: band
            for method in experiment.methods
            if (band := _band(rows, measure, method.name, experiment.share, by_time)) is not None
        }
        for measure in experiment.curves
    }
    panels = {name: drawn for name, drawn in panels.items() if drawn}
    if not panels:
        return None
    label, text = ("seconds of training", "Quality over time") if by_time else ("updates", "Quality over updates")
    return plots.bands(panels, label, _published(experiment), text)


def final(rows: Sequence[Row], experiment: Experiment) -> list[Figure]:
    """Every measure of the final weights, all seeds of all methods."""
    found, by_name = numbers.measured(rows, experiment), {measure.name: measure for measure in experiment.measures}
    panels = {
        name: {
            method: numbers.summary(list(each.values()), by_name[name], experiment.share)
            for method, each in by_method.items()
        }
        for name, by_method in found.items()
    }
    names = [name for name, drawn in panels.items() if drawn]
    parts = [names[start : start + LARGEST_PANELS] for start in range(0, len(names), LARGEST_PANELS)]
    return [
        plots.seeds({name: panels[name] for name in part}, _published(experiment), "At the end, every seed")
        for part in parts
    ]


def _band(rows: Sequence[Row], measure: Measure, method: str, share: float | None, by_time: bool) -> plots.Band | None:
    points = numbers.curves(rows, measure, method)
    if not points:
        return None
    lines = [
        (np.array([step if not by_time else seconds for step, seconds, _ in each]), np.array([v for *_, v in each]))
        for each in points.values()
    ]
    if max(x[0] for x, _ in lines) > min(x[-1] for x, _ in lines):
        return None  # one seed took so much longer that they have no second of training in common
    return plots.Band.of(lines, partial(numbers.summary, measure=measure, share=share))


def _published(experiment: Experiment) -> dict[str, dict[str, float]]:
    measures = {measure.name: measure for measure in (*experiment.measures, *experiment.curves)}
    return {name: dict(measure.published) for name, measure in measures.items() if measure.published}
