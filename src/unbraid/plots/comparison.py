"""Metrics of several runs side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from unbraid.plots.style import COLOURS, GREY, legend, name_panel, panels, styled, wrap


@dataclass(frozen=True)
class Score:
    """One metric's value for one run.

    metric: name with protocol, since the same name differs between codebases; interval: low and high end.
    run: the line's name, such as the run and the code that was scored.
    chance, ceiling: what a random and a perfect code would score, if known.
    """

    metric: str
    run: str
    value: float
    interval: tuple[float, float] | None = None
    chance: float | None = None
    ceiling: float | None = None


@styled
def comparison(scores: Sequence[Score]) -> Figure:
    """One panel a metric, one line a run that has it: value and interval, chance and ceiling marked where known."""
    metrics = list(dict.fromkeys(score.metric for score in scores))
    grouped = [[score for score in scores if score.metric == metric] for metric in metrics]
    lines = [list(dict.fromkeys(score.run for score in group)) for group in grouped]
    text = "Main metrics"
    figure, axes = panels(text, [0.62 + 0.2 * len(runs) for runs in lines], header=0.32)
    for panel, metric, group, runs in zip(axes, metrics, grouped, lines, strict=True):
        _draw(panel, group, runs)
        name_panel(panel, metric)
    legend(figure, _handles(scores), text)
    return figure


def _draw(panel: Axes, scores: Sequence[Score], runs: Sequence[str]) -> None:
    for score in scores:
        row = runs.index(score.run)
        _mark(panel, score.chance, row, GREY)
        _mark(panel, score.ceiling, row, COLOURS[2])
        if score.interval is not None:
            panel.plot(score.interval, (row, row), color=COLOURS[0], linewidth=2.5, alpha=0.5, solid_capstyle="butt")
        panel.plot([score.value], [row], "o", color=COLOURS[0], markersize=6)
    panel.set_ylim(len(runs) - 0.4, -0.6)
    panel.set_yticks(range(len(runs)), [wrap(run, 3.2, lines=1) for run in runs])
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
    panel.grid(axis="x", color="#E5E5E5", linewidth=0.7)
    panel.locator_params(axis="x", nbins=6)


def _mark(panel: Axes, value: float | None, row: int, colour: str) -> None:
    if value is not None and np.isfinite(value):
        panel.plot([value, value], [row - 0.32, row + 0.32], color=colour, linewidth=2)


def _handles(scores: Sequence[Score]) -> list[Line2D]:
    handles = [Line2D([], [], marker="o", linestyle="", color=COLOURS[0], label="value")]
    if any(score.interval for score in scores):
        handles.append(Line2D([], [], color=COLOURS[0], linewidth=2.5, alpha=0.5, label="interval"))
    for name, colour in (("chance", GREY), ("ceiling", COLOURS[2])):
        if any(getattr(score, name) is not None for score in scores):
            handles.append(Line2D([], [], marker="|", linestyle="", markersize=9, mew=2, color=colour, label=name))
    return handles
