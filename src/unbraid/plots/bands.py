"""Curves of several seeds a method: their mean with its interval, and every seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Real
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from unbraid.plots.style import GREY, PUBLISHED, WIDTH, legend, legend_columns, line_look, short, styled, wrap
from unbraid.plots.style import panels as stacked

LARGEST_POINTS = 300
LARGEST_LINES = 40  # more lines of single seeds in a panel hide the means
LARGEST_BANDS = 6  # more of them are mud


@runtime_checkable
class WithInterval(Protocol):
    """A mean and the ends of its interval, as `unbraid.metrics.Summary`."""

    @property
    def mean(self) -> float:
        """Of the seeds."""
        ...

    @property
    def low(self) -> float:
        """Lower end, NaN without interval."""
        ...

    @property
    def high(self) -> float:
        """Upper end, NaN without interval."""
        ...


@dataclass(frozen=True)
class Band:
    """One method over training: `x` in ascending order, mean and interval at each, and `each` seed's own values.

    NaN: the line has a gap, in `low` and `high` there is no interval.
    """

    x: Real[np.ndarray, " point"]
    mean: Float[np.ndarray, " point"]
    low: Float[np.ndarray, " point"]
    high: Float[np.ndarray, " point"]
    each: Float[np.ndarray, "seed point"]

    @classmethod
    def of(
        cls,
        curves: Sequence[tuple[Real[np.ndarray, "_"], Real[np.ndarray, "_"]]],
        summarise: Callable[[Sequence[float]], WithInterval],
    ) -> "Band":
        """The band of seeds that were each recorded at their own x, such as seconds of training.

        curves: x in ascending order and the value at each, a pair a seed. They are brought to common x by linear
        interpolation, within the range that all of them cover. Where one seed is NaN there is no mean.
        summarise: such as `unbraid.metrics.summarise`; it is called once for every x.

        Raises:
            ValueError: no curves, an empty one, or no range of x that all of them cover.
        """
        x = _common([x for x, _ in curves])
        each = np.stack([np.interp(x, own, value) for own, value in curves]).astype(np.float64)
        ends = np.full((3, len(x)), np.nan)
        for k in np.flatnonzero(np.isfinite(each).all(axis=0)):
            found = summarise(each[:, k].tolist())
            ends[:, k] = found.mean, found.low, found.high
        return cls(x, ends[0], ends[1], ends[2], each)


@styled
def bands(
    panels: Mapping[str, Mapping[str, Band]],
    x_label: str = "step",
    published: Mapping[str, Mapping[str, float]] | None = None,
    text: str = "Quality over training",
) -> Figure:
    """The mean of every method over training with its interval as a band, and its seeds as thin lines.

    panels: a panel a metric, in it the method's name to its band; eight methods can be told apart.
    published: panel to method to a paper's final value, a hollow diamond at the right edge.
    text: the title. Axes follow the seeds, so that a band of few seeds may leave its panel. Single seeds are left out
    where there would be more than 40 lines; of more than six methods only means are drawn, and `seeds` shows the rest.
    """
    papers = {metric: _known((published or {}).get(metric, {}), drawn) for metric, drawn in panels.items()}
    methods = list(dict.fromkeys(name for drawn in panels.values() for name in drawn))
    handles = _handles(methods, any(papers.values()))
    columns, header = legend_columns([str(one.get_label()) for one in handles])
    figure, axes = stacked(text, [2.1] * len(panels), header=header)
    for panel, (metric, drawn) in zip(axes, panels.items(), strict=True):
        _draw(panel, drawn, methods)
        _limit(panel, [band.each for band in drawn.values()], list(papers[metric].values()))
        for name, value in papers[metric].items():
            _publish(panel, value, methods.index(name))
        panel.set_title(wrap(metric, WIDTH - 0.8, size=10.0, lines=1))
    axes[-1].set_xlabel(x_label)
    legend(figure, handles, text, columns)
    return figure


def _known(published: Mapping[str, float], drawn: Mapping[str, Band]) -> dict[str, float]:
    return {name: value for name, value in published.items() if name in drawn and np.isfinite(value)}


def _handles(methods: Sequence[str], paper: bool) -> list[Line2D]:
    room = WIDTH - 0.7 if len(methods) <= 8 else 1.8  # inches: many names share lines
    handles = [Line2D([], [], label=wrap(name, room, lines=1), **line_look(k)) for k, name in enumerate(methods)]
    return handles + ([Line2D([], [], mec=GREY, label="paper", **PUBLISHED)] if paper else [])


def _common(grids: Sequence[Real[np.ndarray, "_"]]) -> Float[np.ndarray, " point"]:
    """Every x of any curve within the range of all, or 300 evenly spaced ones where that would be more."""
    if not grids or not all(len(grid) for grid in grids):
        raise ValueError("expected at least one curve and no empty one; leave out seeds without records")
    first, last = max(grid[0] for grid in grids), min(grid[-1] for grid in grids)
    if first > last:
        raise ValueError(
            f"expected curves with a range of x in common, got one that starts at {first:g} and one that ends at "
            f"{last:g}; leave one of them out"
        )
    x = np.unique(np.concatenate(grids).astype(np.float64))
    x = x[(first <= x) & (x <= last)]
    return x if len(x) <= LARGEST_POINTS else np.linspace(first, last, LARGEST_POINTS)


def _draw(panel: Axes, drawn: Mapping[str, Band], methods: Sequence[str]) -> None:
    few = len(drawn) <= LARGEST_BANDS
    single = few and sum(len(band.each) for band in drawn.values()) <= LARGEST_LINES
    for name, band in drawn.items():
        look = line_look(methods.index(name))
        if few:
            panel.fill_between(band.x, band.low, band.high, color=look["color"], alpha=0.16, linewidth=0)
        if single and len(band.each) > 1:
            panel.plot(band.x, band.each.T, color=look["color"], alpha=0.45, linewidth=0.6)
        marker = "o" if len(band.x) <= 12 else ""
        panel.plot(band.x, band.mean, label=name, marker=marker, markersize=3.5, **{**look, "linewidth": 1.8})
    panel.xaxis.set_major_locator(MaxNLocator(6))
    panel.yaxis.set_major_locator(MaxNLocator(5))
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(FuncFormatter(short))
    panel.grid(axis="y", color="#E5E5E5", linewidth=0.7)


def _limit(panel: Axes, each: Sequence[Float[np.ndarray, "_ _"]], published: Sequence[float]) -> None:
    """From the least to the largest value with a sixth of that range beside: a band may reach far beyond."""
    values = np.concatenate([np.array(published, dtype=np.float64), *(one.ravel() for one in each)])
    values = values[np.isfinite(values)]
    if len(values):
        beside = 1 / 6 * float(np.ptp(values)) or 0.05 * abs(float(values[0])) or 1.0
        panel.set_ylim(float(values.min()) - beside, float(values.max()) + beside)


def _publish(panel: Axes, value: float, index: int) -> None:
    edge = {"transform": panel.get_yaxis_transform(), "clip_on": False, "zorder": 5}
    panel.plot([1], [value], mec=line_look(index)["color"], **PUBLISHED, **edge)
