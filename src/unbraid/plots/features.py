"""Which features the parts of a model explain."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from unbraid.plots.style import COLOURS, GREY, MARKERS, PALE, legend, panels, styled, wrap

LARGEST_FEATURES = 20
LEAST_SHARE = -0.25  # shown: a share may be far below 0
ROW = 0.17  # inches


@styled
def feature_bars(
    names: Sequence[str],
    nats: Float[np.ndarray, "population feature"],
    low: Float[np.ndarray, "population feature"],
    high: Float[np.ndarray, "population feature"],
    populations: Sequence[str],
    by_chance: Float[np.ndarray, "population feature"] | None = None,
    shift: Float[np.ndarray, "population feature"] | None = None,
    shift_name: str = "shift",
) -> Figure:
    """The features that the private part of each population explains most, largest first, one panel a population.

    nats: gain in log-likelihood, with the ends of its interval; by_chance: what a gain must exceed, else it is pale.
    shift: how the part moves each feature, written beside its bar. At most 20 features a population are drawn.
    """
    count = min(LARGEST_FEATURES, len(names))
    of_all = "" if count == len(names) else f" ({count} of {len(names):,} features)"
    text = f"What private parts explain{of_all}"
    figure, axes = panels(text, [0.75 + ROW * count] * len(populations), header=0.32)
    for k, (panel, population) in enumerate(zip(axes, populations, strict=True)):
        order = np.argsort(-nats[k], kind="stable")[:count]
        colours = [COLOURS[0] if by_chance is None or nats[k, one] > by_chance[k, one] else PALE for one in order]
        shown = [str(names[one]) for one in order]
        _bars(panel, shown, nats[k, order], low[k, order], high[k, order], colours)
        panel.set_title(wrap(population, 2.6, size=10.0, lines=1))
        if shift is not None:
            _beside(panel, shift[k, order], shift_name)
    axes[-1].set_xlabel("gain in log-likelihood, nats an observation")
    legend(figure, _handles(by_chance is not None), text)
    return figure


@styled
def explained_dots(
    names: Sequence[str],
    parts: Mapping[str, Float[np.ndarray, "population feature end"]],
    populations: Sequence[str],
    order: Float[np.ndarray, "population feature"],
) -> Figure:
    """The share of each feature's variance that every part explains, with its interval, one panel a population.

    parts: share, low and high (the last axis) under each part's name.
    order: the features of the largest of these values are drawn, the largest first, at most 20 a population.
    A share below -0.25 is drawn there.
    """
    count = min(LARGEST_FEATURES, len(names))
    of_all = "" if count == len(names) else f" ({count} of {len(names):,} features)"
    text = f"Variance that each part explains{of_all}"
    figure, axes = panels(text, [0.75 + 0.22 * count] * len(populations), header=0.32)
    for k, (panel, population) in enumerate(zip(axes, populations, strict=True)):
        first = np.argsort(-order[k], kind="stable")[:count]
        panel.axvline(0, color=GREY, linewidth=0.8)
        for place, ends in enumerate(parts.values()):
            rows = np.arange(count) + 0.24 * (place - (len(parts) - 1) / 2)
            share, low, high = np.clip(ends[k, first], LEAST_SHARE, 1).T
            panel.hlines(rows, low, high, color=COLOURS[place], linewidth=1.2, alpha=0.6)
            panel.plot(share, rows, MARKERS[place], color=COLOURS[place], markersize=4)
        _features(panel, [str(names[one]) for one in first])
        panel.set_title(wrap(population, 3.2, size=10.0, lines=1))
    axes[-1].set_xlabel("share of variance (of deviance, for counts)")
    legend(figure, [_mark(name, COLOURS[place], MARKERS[place]) for place, name in enumerate(parts)], text)
    return figure


@styled
def feature_seeds(
    found: Mapping[str, tuple[Sequence[str], Float[np.ndarray, "feature run"], Float[np.ndarray, "feature null"]]],
    measure: str,
) -> Figure:
    """What every seed says of the features of the largest mean, one panel a population, at most 20 features each.

    found: names of the features, the value of each run, and of each run with shuffled populations (NaN where it did not
    have the feature; without columns if there are none); the dashed line is the largest value of any feature of those.
    """
    text = f"What {max(real.shape[1] for _, real, _ in found.values())} seeds say of each feature"
    counts = [min(LARGEST_FEATURES, len(names)) for names, _, _ in found.values()]
    figure, axes = panels(text, [0.75 + ROW * count for count in counts], header=0.32)
    for panel, count, (population, (names, real, null)) in zip(axes, counts, found.items(), strict=True):
        first = np.argsort(-real.mean(1), kind="stable")[:count]
        for row, feature in enumerate(first):
            panel.plot(null[feature], np.full(null.shape[1], row), "o", mfc="none", mec=GREY, markersize=3.5, mew=0.8)
            panel.plot(real[feature], np.full(real.shape[1], row), "o", color=COLOURS[0], markersize=4, alpha=0.7)
            panel.vlines(real[feature].mean(), row - 0.35, row + 0.35, color=COLOURS[1], linewidth=2)
        if np.isfinite(null).any():
            panel.axvline(float(np.nanmax(null)), color=GREY, linewidth=1, linestyle="--")
        _features(panel, [str(names[one]) for one in first])
        panel.set_title(wrap(population, 3.2, size=10.0, lines=1))
    axes[-1].set_xlabel(wrap(measure, 3.2))
    shuffled = [_mark("shuffled populations", GREY, fill="none")] * any(null.shape[1] for _, _, null in found.values())
    legend(figure, [_mark("seed", COLOURS[0]), _mark("mean", COLOURS[1], "|"), *shuffled], text)
    return figure


def _mark(name: str, colour: str, marker: str = "o", fill: str | None = None) -> Line2D:
    return Line2D([], [], linestyle="", marker=marker, color=colour, mfc=fill or colour, markersize=5, label=name)


def _features(panel: Axes, names: Sequence[str]) -> None:
    """A row for each feature, from the top."""
    panel.set_yticks(np.arange(len(names)), [wrap(name, 1.4, size=8.0, lines=1) for name in names], fontsize=8)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0)
    panel.locator_params(axis="x", nbins=6)


def _bars(panel: Axes, names: Sequence[str], nats, low, high, colours: Sequence[str]) -> None:
    rows = np.arange(len(names))
    panel.barh(rows, nats, color=colours, height=0.7)
    panel.hlines(rows, low, high, color=COLOURS[1], linewidth=1.5)
    _features(panel, names)


def _beside(panel: Axes, shift: Float[np.ndarray, " feature"], name: str) -> None:
    place = {"transform": panel.get_yaxis_transform(), "ha": "right", "fontsize": 8}
    for row, value in enumerate(shift):
        panel.text(1.0, row, f"{value:+.1f}", va="center", **place)
    panel.text(1.0, 1.0, wrap(name, 2.0, size=8.0, lines=1), va="bottom", **{**place, "transform": panel.transAxes})
    # room for the numbers, right of the longest bar
    left, right = panel.get_xlim()
    panel.set_xlim(left, left + (right - left) * 1.12)


def _handles(chance: bool) -> list:
    handles: list = [Patch(color=COLOURS[0], label="gain"), Line2D([], [], color=COLOURS[1], label="95% interval")]
    return handles + ([Patch(color=PALE, label="within chance")] if chance else [])
