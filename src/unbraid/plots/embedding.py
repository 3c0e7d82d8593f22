"""Codes in the plane."""

from collections.abc import Sequence

import matplotlib.patheffects as effects
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unbraid.plots.style import COLOURS, MARKERS, WIDTH, panels, styled, wrap

# beyond this many points a drawing is larger than its picture
LARGEST_DRAWING = 2000


@styled
def embedding(
    points: Float[np.ndarray, "n 2"],
    labels: Int[np.ndarray, " n"],
    population: Int[np.ndarray, " n"] | None = None,
    names: Sequence[str] = (),
) -> Figure:
    """Private codes in two dimensions (t-SNE), marked by label, one panel a population.

    population: index into `names`; every population is embedded by its own private code, so panels share no axes. Each
    label is written at the median of its points, since no ten colours are told apart by everyone.
    """
    shown = np.zeros(len(points), dtype=np.int64) if population is None else population
    present = np.unique(shown)
    columns = min(len(present), 2)
    height = WIDTH / columns if columns == 2 else 0.8 * WIDTH
    figure, axes = panels("Private codes by label (t-SNE)", [height] * -(-len(present) // columns), columns)
    for panel, one in zip(axes, present, strict=False):
        own = shown == one
        for label in np.unique(labels[own]):
            chosen = points[own & (labels == label)]
            index = int(np.flatnonzero(np.unique(labels) == label)[0])
            _scatter(panel, chosen, COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)], 10.0)
            _name(panel, chosen, str(label))
        panel.set(xticks=[], yticks=[], title=wrap(names[int(one)], WIDTH / columns, lines=1) if len(names) else "")
        panel.spines[:].set_visible(True)
        _frame(panel, points[own])
    for panel in axes[len(present) :]:
        panel.set_visible(False)
    return figure


def _scatter(panel: Axes, points: Float[np.ndarray, "n 2"], colour: str, marker: str, size: float) -> None:
    panel.scatter(
        points[:, 0],
        points[:, 1],
        s=size,
        c=colour,
        marker=marker,
        linewidths=0,
        alpha=0.75,
        rasterized=len(points) > LARGEST_DRAWING,
    )


def _name(panel: Axes, points: Float[np.ndarray, "n 2"], label: str) -> None:
    x, y = np.median(points, axis=0)
    halo = [effects.withStroke(linewidth=3, foreground="white")]
    panel.text(x, y, label, ha="center", va="center", weight="bold", fontsize=11, path_effects=halo)


def _frame(panel: Axes, points: Float[np.ndarray, "n 2"]) -> None:
    low, high = points.min(0), points.max(0)
    margin = np.maximum(0.05 * (high - low), 1e-6)
    panel.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
