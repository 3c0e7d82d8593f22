"""The final values of several seeds a method, beside a paper's."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from unbraid.plots.bands import WithInterval
from unbraid.plots.style import COLOURS, GREY, PUBLISHED, legend, legend_columns, name_panel, styled, wrap
from unbraid.plots.style import panels as stacked

ROW = 0.3  # inches
ABOVE, BELOW = -0.16, 0.17  # of a row's middle: seeds, and what is said of them


@runtime_checkable
class OfSeeds(WithInterval, Protocol):
    """What is drawn of a method: `unbraid.metrics.Summary` has it."""

    @property
    def values(self) -> tuple[float, ...]:
        """One a seed."""
        ...

    @property
    def kept(self) -> tuple[float, ...]:
        """Those that the mean is taken of."""
        ...


@styled
def seeds(
    panels: Mapping[str, Mapping[str, OfSeeds]],
    published: Mapping[str, Mapping[str, float]] | None = None,
    text: str = "Every seed",
) -> Figure:
    """Every seed's value as a dot, a panel a metric and a row a method; below the dots their mean and its interval.

    published: panel to method to a paper's value, a hollow diamond. text: the title.
    Seeds that a mean leaves out (best k of n) are hollow. An axis spans the seeds and the published values; an interval
    that goes beyond ends in an arrow. Values that are not finite are not drawn.
    """
    published = published or {}
    methods = list(dict.fromkeys(name for drawn in panels.values() for name in drawn))
    handles = _handles(panels, published)
    columns, header = legend_columns([str(handle.get_label()) for handle in handles])
    figure, axes = stacked(text, [0.62 + ROW * len(drawn) for drawn in panels.values()], header=header)
    for panel, (metric, drawn) in zip(axes, panels.items(), strict=True):
        paper = published.get(metric, {})
        _limit(panel, drawn, [paper[name] for name in drawn if name in paper])
        for row, (name, summary) in enumerate(drawn.items()):
            _draw(panel, row, summary, COLOURS[methods.index(name) % len(COLOURS)])
            if np.isfinite(paper.get(name, np.nan)):
                panel.plot([paper[name]], [row + BELOW], mec="#333333", **PUBLISHED)
        _finish(panel, metric, list(drawn))
    legend(figure, handles, text, columns)
    return figure


def _draw(panel: Axes, row: int, summary: OfSeeds, colour: str) -> None:
    kept, left = _finite(summary.kept), _left(summary)
    height = row + ABOVE + _jitter(len(kept) + len(left))
    panel.plot(kept, height[: len(kept)], "o", color=colour, markersize=4.5, alpha=0.75, mec="white", mew=0.4)
    panel.plot(left, height[len(kept) :], "o", mfc="none", mec=colour, markersize=4, mew=0.9, alpha=0.75)
    ends = np.array([summary.low, summary.high])
    if np.isfinite(ends).all():
        panel.plot(ends, [row + BELOW] * 2, color=colour, linewidth=2.5, alpha=0.5, solid_capstyle="butt")
        for end, edge, arrow, beyond in zip(ends, panel.get_xlim(), "<>", (-1, 1), strict=True):
            if beyond * (end - edge) > 0:
                panel.plot([edge], [row + BELOW], arrow, color=colour, markersize=6, clip_on=False)
    if np.isfinite(summary.mean):
        panel.plot([summary.mean] * 2, [row + BELOW - 0.17, row + BELOW + 0.17], color=colour, linewidth=2.5)
    else:
        panel.text(0.5, row, "no value", transform=panel.get_yaxis_transform(), ha="center", va="center", color=GREY)


def _limit(panel: Axes, drawn: Mapping[str, OfSeeds], published: Sequence[float]) -> None:
    """From the least to the largest value, with half of that range beside at most: intervals may reach far beyond."""
    points = _finite([*published, *(value for summary in drawn.values() for value in (*summary.values, summary.mean))])
    if not len(points):
        return
    least, largest = float(points.min()), float(points.max())
    span = largest - least or 0.05 * abs(least) or 1.0
    ends = _finite([end for summary in drawn.values() for end in (summary.low, summary.high)])
    low, high = (float(ends.min()), float(ends.max())) if len(ends) else (least, largest)
    panel.set_xlim(
        max(min(least, low), least - span / 2) - 0.05 * span, min(max(largest, high), largest + span / 2) + 0.05 * span
    )


def _finish(panel: Axes, metric: str, methods: Sequence[str]) -> None:
    panel.set_ylim(len(methods) - 0.4, -0.6)
    panel.set_yticks(range(len(methods)), [wrap(name, 1.7) for name in methods], linespacing=0.95)
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
    panel.grid(axis="x", color="#E5E5E5", linewidth=0.7)
    panel.locator_params(axis="x", nbins=6)
    name_panel(panel, metric)


def _left(summary: OfSeeds) -> Float[np.ndarray, " left"]:
    """The values that were not kept."""
    left = list(_finite(summary.values))
    for value in _finite(summary.kept):
        left.remove(value)
    return np.array(left, dtype=np.float64)


def _finite(values: Sequence[float]) -> Float[np.ndarray, " finite"]:
    array = np.array(values, dtype=np.float64)
    return array[np.isfinite(array)]


def _jitter(count: int) -> Float[np.ndarray, " count"]:
    """Heights that keep equal values apart, the same in every drawing."""
    return 0.09 * (np.arange(count) % 3 - 1) if count > 3 else np.zeros(count)


def _handles(panels: Mapping[str, Mapping[str, OfSeeds]], published: Mapping[str, Mapping[str, float]]) -> list[Line2D]:
    summaries = [summary for drawn in panels.values() for summary in drawn.values()]
    handles = [Line2D([], [], marker="o", linestyle="", color=GREY, markersize=4.5, label="seed")]
    if any(len(_left(summary)) for summary in summaries):
        hollow = {"mfc": "none", "mec": GREY, "mew": 0.9, "markersize": 4}
        handles.append(Line2D([], [], marker="o", linestyle="", label="left out", **hollow))
    handles.append(Line2D([], [], marker="|", linestyle="", markersize=10, mew=2.5, color=GREY, label="mean"))
    if any(np.isfinite(summary.low) for summary in summaries):
        handles.append(Line2D([], [], color=GREY, linewidth=2.5, alpha=0.5, label="interval"))
    if any(name in published.get(metric, {}) for metric, drawn in panels.items() for name in drawn):
        handles.append(Line2D([], [], mec="#333333", label="paper", **PUBLISHED))
    return handles
