"""Rows and columns of small pictures, or of small lines where an observation is a vector."""

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from unbraid.plots.style import COLOURS, GREY, PALE, WIDTH, text_width, title, title_height, wrap

# inches
LARGEST_CELL, SMALLEST_CELL, SMALLEST_LINE_CELL = 0.75, 0.3, 0.6
PIXELS_PER_INCH = 400  # twice what a page shows, so that scaling stays even
SIGNED_COLOURS = "RdBu_r"


@dataclass(frozen=True)
class Grid:
    """Cells and what is written around them; a cell of NaN stays empty.

    cells: `[row, column, channel, height, width]` pictures or `[row, column, feature]` vectors.
    groups: name and number of the neighbouring columns that belong together, in order.
    right: one text a row, at the right; `right_title` stands above them.
    boxed: (row, column) of the cells to be framed.
    signed: values are unbounded around 0: a diverging colour map and a colour bar instead of grey or RGB.
    """

    cells: Float[np.ndarray, "row column *shape"]
    title: str
    rows: Sequence[str]
    columns: Sequence[str] = ()
    groups: Sequence[tuple[str, int]] = ()
    right: Sequence[str] = ()
    right_title: str = ""
    boxed: Sequence[tuple[int, int]] = ()
    signed: bool = False

    def figure(self) -> Figure:
        """The grid as a figure, as wide as a page where its cells allow it."""
        rows, columns = self.cells.shape[:2]
        left = max(text_width(label) for label in self.rows) + 0.15
        right = max((text_width(label) for label in [*self.right, self.right_title]), default=0.0) + 0.12
        smallest = SMALLEST_CELL if self._pictures else SMALLEST_LINE_CELL
        cell = float(np.clip((WIDTH - left - right) / columns, smallest, LARGEST_CELL))
        width = max(left + columns * cell + right, 3.6)
        heading = f"{self.title}{self._scale_text()}"
        lines = max((label.count("\n") + 1 for label in self._group_labels(cell)), default=0)
        top = title_height(heading, width) + 0.17 * lines + (0.05 if lines else 0) + (0.18 if self._upper_labels else 0)
        bottom = 0.55 if self.signed and self._pictures else 0.08
        height = top + rows * cell * self._aspect + bottom
        figure = Figure(figsize=(width, height))
        box = (left / width, bottom / height, columns * cell / width, rows * cell * self._aspect / height)
        axes = figure.add_axes(box)
        self._draw(axes, cell)
        title(figure, heading)
        if self.signed and self._pictures:
            self._colour_bar(figure, box, height)
        return figure

    @property
    def _pictures(self) -> bool:
        return self.cells.ndim == 5

    @property
    def _aspect(self) -> float:
        return self.cells.shape[-2] / self.cells.shape[-1] if self._pictures else 0.6

    @property
    def _upper_labels(self) -> bool:
        return bool(self.columns or self.right_title)

    def _limits(self) -> tuple[float, float]:
        # 0 to 1 wherever that holds the values; elsewhere outliers must not swallow the contrast
        values = self.cells[np.isfinite(self.cells)]
        if not len(values):
            return 0.0, 1.0
        if self.signed:
            largest = float(np.quantile(np.abs(values), 0.995)) or float(np.abs(values).max()) or 1.0
            return -largest, largest
        if values.min() >= 0 and values.max() <= 1:
            return 0.0, 1.0
        low, high = (float(value) for value in np.quantile(values, [0.005, 0.995]))
        low, high = (min(low, 0.0), max(high, 1.0)) if self._pictures else (float(values.min()), float(values.max()))
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    def _scale_text(self) -> str:
        low, high = self._limits()
        if (self._pictures and self.signed) or (low, high) == (0.0, 1.0):
            return ""
        return f" (common scale {low:.3g} to {high:.3g})"

    def _group_labels(self, cell: float) -> list[str]:
        return [wrap(name, count * cell) for name, count in self.groups]

    def _draw(self, axes: Axes, cell: float) -> None:
        rows, columns = self.cells.shape[:2]
        if self._pictures:
            picture = mosaic(paint(self.cells, *self._limits(), signed=self.signed), cell)
            axes.imshow(picture, extent=(0, columns, rows, 0), aspect="auto")
        else:
            _draw_lines(axes, self.cells, *self._limits())
        axes.set(xlim=(0, columns), ylim=(rows, 0))
        axes.axis("off")
        for row, column in self.boxed:
            colour = "black" if self.signed else COLOURS[1]
            box = Rectangle((column, row), 1, 1, fill=False, edgecolor=colour, linewidth=1.8, clip_on=False)
            axes.add_patch(box)
        self._write(axes, cell)

    def _write(self, axes: Axes, cell: float) -> None:
        columns = self.cells.shape[1]
        inch = 1 / (cell * self._aspect)  # in rows
        for row, label in enumerate(self.rows):
            axes.text(-0.07 / cell, row + 0.5, label, ha="right", va="center", fontsize=9)
        for row, label in enumerate(self.right):
            axes.text(columns + 0.07 / cell, row + 0.5, label, ha="left", va="center", fontsize=9)
        axes.text(columns + 0.07 / cell, -0.05 * inch, self.right_title, ha="left", va="bottom", fontsize=9)
        for column, label in enumerate(self.columns):
            axes.text(column + 0.5, -0.05 * inch, label, ha="center", va="bottom", fontsize=8)
        start, above = 0, (0.2 if self._upper_labels else 0.04) * inch
        for index, (label, (_, count)) in enumerate(zip(self._group_labels(cell), self.groups, strict=True)):
            ends, colour = (start + 0.06, start + count - 0.06), COLOURS[index % len(COLOURS)]
            axes.plot(ends, (-above, -above), color=colour, linewidth=3, clip_on=False, solid_capstyle="butt")
            axes.text(start + count / 2, -above - 0.04 * inch, label, ha="center", va="bottom", fontsize=9)
            start += count

    def _colour_bar(self, figure: Figure, box: tuple[float, float, float, float], height: float) -> None:
        axes = figure.add_axes((box[0], 0.36 / height, box[2], 0.09 / height))
        colours = ScalarMappable(Normalize(*self._limits()), matplotlib.colormaps[SIGNED_COLOURS])
        figure.colorbar(colours, cax=axes, orientation="horizontal", extend="both")
        axes.tick_params(labelsize=8)


def paint(
    cells: Float[np.ndarray, "row column channel height width"], low: float, high: float, signed: bool = False
) -> Float[np.ndarray, "row column height width 3"]:
    """Colours in [0, 1] of pictures whose values lie between `low` and `high`; NaN becomes white.

    Three channels are RGB; any other number is averaged and grey. Signed values are averaged over channels and
    coloured from blue (negative) over white to red.
    """
    values = (cells - low) / (high - low)
    if signed or cells.shape[2] != 3:
        values = values.mean(2)
        if signed:
            colours = matplotlib.colormaps[SIGNED_COLOURS](np.nan_to_num(values, nan=0.5))[..., :3]
        else:
            colours = np.repeat(values[..., None], 3, axis=-1)
    else:
        colours = np.moveaxis(values, 2, -1)
    return np.clip(np.nan_to_num(colours, nan=1.0), 0, 1)


def mosaic(pictures: Float[np.ndarray, "row column height width 3"], cell: float) -> UInt8[np.ndarray, "tall broad 3"]:
    """All cells as one picture of bytes, each enlarged by a whole number (nearest neighbour) and thinly framed.

    cell: inches across one cell.
    """
    rows, columns, height, width = pictures.shape[:4]
    factor = max(int(np.ceil(cell * PIXELS_PER_INCH / width)), 1)
    large = np.round(pictures * 255).astype(np.uint8).repeat(factor, axis=2).repeat(factor, axis=3)
    frame = max(round(width * factor / 60), 1)
    framed = np.full((rows, columns, height * factor + 2 * frame, width * factor + 2 * frame, 3), 217, dtype=np.uint8)
    framed[(pictures == 1).all(axis=(2, 3, 4))] = 255
    framed[:, :, frame:-frame, frame:-frame] = large
    return framed.transpose(0, 2, 1, 3, 4).reshape(rows * framed.shape[2], columns * framed.shape[3], 3)


def balanced(population: Int[np.ndarray, " n"], limit: int) -> Int[np.ndarray, " chosen"]:
    """Indices of about `limit` observations, ordered by population, the first few of each."""
    present = np.unique(population)
    each = max(limit // max(len(present), 1), 1)
    return np.concatenate([np.flatnonzero(population == one)[:each] for one in present])


def limit_of(shape: Sequence[int]) -> int:
    """How many observations fit side by side: fewer lines than pictures."""
    return 10 if len(shape) == 3 else 4


def _draw_lines(axes: Axes, cells: Float[np.ndarray, "row column feature"], low: float, high: float) -> None:
    rows, columns, features = cells.shape
    across = np.linspace(0.08, 0.92, features) if features > 1 else np.array([0.5])
    kept = [(row, column) for row in range(rows) for column in range(columns) if np.isfinite(cells[row, column]).any()]
    for row, column in kept:
        axes.add_patch(Rectangle((column + 0.03, row + 0.04), 0.94, 0.92, fill=False, edgecolor=PALE, linewidth=0.8))
    if low < 0 < high:
        zero = {(row, column): row + 0.92 + 0.84 * low / (high - low) for row, column in kept}
        lines = [[(column + 0.08, y), (column + 0.92, y)] for (_, column), y in zero.items()]
        axes.add_collection(LineCollection(lines, colors=GREY, linewidths=0.6))
    curves = [
        np.stack([column + across, row + 0.92 - 0.84 * (cells[row, column] - low) / (high - low)], axis=1)
        for row, column in kept
    ]
    axes.add_collection(LineCollection(curves, colors=COLOURS[0], linewidths=1.0))
    if features == 1:
        points = np.concatenate(curves) if curves else np.empty((0, 2))
        axes.plot(points[:, 0], points[:, 1], ".", color=COLOURS[0])
