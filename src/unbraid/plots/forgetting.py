"""Continual learning: the error of every task after every phase."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from unbraid.plots.style import MARKERS, WIDTH, legend, legend_columns, line_look, short, styled, wrap
from unbraid.plots.style import panels as stacked

TICKS = 9.0  # points


@styled
def forgetting(
    panels: Mapping[str, Float[np.ndarray, "phase task 3"]],
    phases: Sequence[str],
    tasks: Sequence[str],
    one_scale: bool = False,
    text: str = "Error of every task after every phase",
) -> Figure:
    """A line a task from the phase in which it was learned on: one that rises is being forgotten.

    panels: a panel a model or an error; value, low and high of each task after each phase, NaN where it is not learned.
    one_scale: whether all panels show one range of values, as for the same error of several models.
    """
    handles = [Line2D([], [], label=wrap(name, 1.8, lines=1), **_look(k)) for k, name in enumerate(tasks)]
    columns, header = legend_columns([str(handle.get_label()) for handle in handles])
    figure, axes = stacked(text, [2.0] * len(panels), header=header)
    for panel, (name, table) in zip(axes, panels.items(), strict=True):
        for task in range(len(tasks)):
            _draw(panel, table[:, task], _look(task))
        panel.set_title(wrap(name, WIDTH - 0.8, size=10.0, lines=1))
        _finish(panel, len(phases))
        _limit(panel, list(panels.values()) if one_scale else [table])
    wide = (WIDTH - 1.0) / max(len(phases), 1)
    axes[-1].set_xticks(range(len(phases)), [wrap(name, wide, TICKS) for name in phases])
    legend(figure, handles, text, columns)
    return figure


def _look(task: int) -> dict:
    return {**line_look(task), "marker": MARKERS[task % len(MARKERS)], "markersize": 4.5}


def _draw(panel: Axes, table: Float[np.ndarray, "phase 3"], look: dict) -> None:
    x = np.arange(len(table))
    value, low, high = table.T
    panel.fill_between(x, low, high, color=look["color"], alpha=0.16, linewidth=0)
    panel.plot(x, value, **look)


def _finish(panel: Axes, phases: int) -> None:
    panel.set_xlim(-0.4, phases - 0.6)
    panel.set_xticks(range(phases), [""] * phases)
    panel.yaxis.set_major_locator(MaxNLocator(5))
    panel.yaxis.set_major_formatter(FuncFormatter(short))
    panel.grid(axis="y", color="#E5E5E5", linewidth=0.7)


def _limit(panel: Axes, tables: Sequence[Float[np.ndarray, "_ _ 3"]]) -> None:
    values = np.concatenate([table.ravel() for table in tables])
    values = values[np.isfinite(values)]
    if len(values):
        beside = 0.06 * float(np.ptp(values)) or 0.05 * abs(float(values[0])) or 1.0
        panel.set_ylim(float(values.min()) - beside, float(values.max()) + beside)
