"""One look for every figure: sizes that stay legible on a phone, colours that survive colour blindness."""

import textwrap
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

# inches; at the 320 pixels of a phone the 10 point text below is then 9 pixels high
WIDTH = 4.8
# mean width of a character, inches per point of type size (DejaVu Sans is a wide face)
CHARACTER = 0.0087

# Okabe & Ito 2008, without the yellow that vanishes on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<", ">", "*")
GREY = "#767676"
PALE = "#C8C8C8"

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


def wrap(text: str, inches: float, size: float = 9.0, lines: int = 2) -> str:
    """The text in at most `lines` lines of that width, with an ellipsis where it had to be cut."""
    characters, text = max(int(inches / (CHARACTER * size)), 4), " ".join(text.split())
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


def legend(figure: Figure, handles: list, text: str) -> None:
    """A one-line legend right below the title `text`."""
    width, height = figure.get_size_inches()
    anchor = (0.02 / width, 1 - (title_height(text, float(width)) - 0.02) / height)
    box = figure.legend(handles=handles, loc="upper left", bbox_to_anchor=anchor, ncols=4, columnspacing=1.2)
    box.set_in_layout(False)
