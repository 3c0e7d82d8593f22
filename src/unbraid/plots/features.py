"""Which features a part of the model explains."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from unbraid.plots.style import COLOURS, PALE, legend, panels, styled, wrap

LARGEST_FEATURES = 20
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


def _bars(panel: Axes, names: Sequence[str], nats, low, high, colours: Sequence[str]) -> None:
    rows = np.arange(len(names))
    panel.barh(rows, nats, color=colours, height=0.7)
    panel.hlines(rows, low, high, color=COLOURS[1], linewidth=1.5)
    panel.set_yticks(rows, [wrap(name, 1.4, size=8.0, lines=1) for name in names], fontsize=8)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.tick_params(axis="y", length=0)
    panel.locator_params(axis="x", nbins=6)


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
