"""One look for every figure: sizes that stay legible on a phone, colours that survive colour blindness."""

import functools
import textwrap
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.textpath import TextPath

# inches; at the 320 pixels of a phone the 10 point text below is then 9 pixels high
WIDTH = 4.8
# mean width of a character, inches per point of type size (DejaVu Sans is a wide face)
CHARACTER = 0.0087

# Okabe & Ito 2008, without the yellow that vanishes on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<", ">", "*")
GREY = "#767676"
PALE = "#C8C8C8"
# what a paper says, beside what was measured; its edge has the colour of what it belongs to
PUBLISHED = {"marker": "D", "markersize": 6, "mfc": "none", "mew": 1.4, "linestyle": ""}

LOOK = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "figure.dpi": 100,
    # names come from users: a dollar sign is no formula
    "text.parse_math": False,
    "axes.unicode_minus": True,
}

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Runs a plot function under the common look, whatever the caller's settings are."""

    @wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with style.context(["default", LOOK]):
            return draw(*args, **kwargs)

    return wrapped


def text_width(text: str, size: float = 9.0) -> float:
    """Estimated width in inches of the longest line."""
    return max((len(line) for line in text.split("\n")), default=0) * CHARACTER * size


@functools.lru_cache(maxsize=512)
def _drawn_width(text: str, size: float) -> float:
    """Inches that a line of text takes."""
    return TextPath((0, 0), text, size=size).get_extents().width / 72 if text.strip() else 0.0


def wrap(text: str, inches: float, size: float = 9.0, lines: int = 2) -> str:
    """The text in at most `lines` lines of that width, with an ellipsis where it had to be cut."""
    characters, text = max(int(inches / (CHARACTER * size)), 4), " ".join(text.split())
    if " " not in text and _drawn_width(text, size) <= inches:  # the estimate is generous, and would break the word
        return text
    if lines == 1:
        return text if len(text) <= characters else f"{text[: characters - 1].rstrip()}…"
    return textwrap.fill(text, characters, max_lines=lines, placeholder=" …")


def title(figure: Figure, text: str) -> None:
    """The figure's title, left-aligned at the top and wrapped to its width."""
    width, height = figure.get_size_inches()
    figure.text(
        0.08 / width, 1 - 0.06 / height, wrap(text, width - 0.16, 10.5, lines=3), fontsize=10.5, va="top", weight="bold"
    )


def title_height(text: str, width: float) -> float:
    """Inches that `title` will take in a figure of that width."""
    return 0.1 + 0.18 * (1 + wrap(text, width - 0.16, 10.5, lines=3).count("\n"))


def panels(text: str, heights: list[float], columns: int = 1, header: float = 0.0) -> tuple[Figure, list[Axes]]:
    """A titled figure of stacked rows of panels, laid out by matplotlib's constrained layout.

    heights: inches of each row of panels; header: inches kept free below the title, for a legend.
    """
    top = title_height(text, WIDTH) + header
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - top / (sum(heights) + top)))
    figure = Figure(figsize=(WIDTH, sum(heights) + top), layout=layout)
    axes = figure.subplots(len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    title(figure, text)
    return figure, list(axes.ravel())


def name_panel(panel: Axes, name: str) -> None:
    """The name above the panel, from the figure's left edge on: beside long line names it would be cut off."""
    panel.set_title(" ", size=9.0)  # whose room it takes
    shown = panel.annotate(
        wrap(name, WIDTH - 0.08, lines=1),
        (0.08 / WIDTH, 1),
        xycoords=("figure fraction", "axes fraction"),
        xytext=(0, 6),
        textcoords="offset points",
        fontsize=9.0,
        annotation_clip=False,
    )
    shown.set_in_layout(False)


def line_look(index: int) -> dict:
    """How the line of that index looks: colour and dashes differ together."""
    styles = ("-", "--", "-.", ":")
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": styles[index % len(styles)], "linewidth": 1.4}


def short(value: float, _position: int | None = None) -> str:
    """A tick's label in few characters: 300k for 300,000."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}".replace("-", "−")
    return f"{value:.4g}".replace("-", "−")


def legend(figure: Figure, handles: list, text: str, columns: int = 4) -> None:
    """A legend right below the title `text`, in one line for up to `columns` handles."""
    width, height = figure.get_size_inches()
    anchor = (0.02 / width, 1 - (title_height(text, float(width)) - 0.02) / height)
    box = figure.legend(handles=handles, loc="upper left", bbox_to_anchor=anchor, ncols=columns, columnspacing=1.2)
    box.set_in_layout(False)


def legend_columns(names: Sequence[str]) -> tuple[int, float]:
    """Into how many columns these names fit, at most four, and the inches of `header` that `panels` must keep free."""
    widths = np.array([0.5 + text_width(name) for name in names])  # with a line and the gaps beside it
    fit = [k for k in (4, 3, 2) if sum(part.max(initial=0) for part in np.array_split(widths, k)) <= WIDTH - 0.1]
    columns = next(iter(fit), 1)
    return columns, 0.11 + 0.21 * -(-len(names) // columns)
