"""The terms of the loss over training."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from unbraid.plots.style import legend, line_look, panels, short, styled, wrap

LARGEST_POINTS = 300
# a term that falls this far is unreadable on a linear axis
LOG_RATIO = 20
PLAIN_NAMES = {"loss": "Loss", "reconstruction": "Reconstruction", "bound": "Bound", "negative_elbo": "Negative ELBO"}
SHORT_NAMES = {"kl": "KL", "mmd": "MMD", "dip": "DIP"}
NATS = (*PLAIN_NAMES, "kl", "total_correlation", "capacity", "gain")


@dataclass(frozen=True)
class Curve:
    """One recorded value over training: `step` in ascending order and `value` at each."""

    step: Int[np.ndarray, " n"]
    value: Float[np.ndarray, " n"]


@styled
def curves(terms: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Every term over training steps, one panel a term, one line a split (or a run).

    terms: term to line name to curve; "kl/shared" becomes "KL shared (nats)". A positive term that falls by more
    than a factor of 20 gets a logarithmic axis. Lines of more than 300 records are averaged in 300 bins.
    """
    text, lines = "Terms over training", _line_names(terms)
    columns = 2 if len(terms) > 1 else 1
    figure, axes = panels(text, [1.5] * -(-len(terms) // columns), columns, header=0.32)
    for panel, (term, drawn) in zip(axes, terms.items(), strict=False):
        for name, curve in drawn.items():
            _draw(panel, name, _thin(curve), lines.index(name))
        _label(panel, term, drawn)
    for panel in axes[len(terms) :]:
        panel.set_visible(False)
    for panel in axes[: len(terms)][-columns:]:
        panel.set_xlabel("step")
    legend(
        figure, [Line2D([], [], label=wrap(name, 1.5, lines=1), **line_look(lines.index(name))) for name in lines], text
    )
    return figure


def term_label(term: str) -> str:
    """A recorded term's name for people, with its unit where it has one."""
    first, _, rest = term.partition("/")
    name = PLAIN_NAMES.get(term, f"{SHORT_NAMES.get(first, first)} {rest}".strip().replace("_", " "))
    return f"{name} (nats)" if first in NATS or term == "adversary/loss" else name


def _line_names(terms: Mapping[str, Mapping[str, Curve]]) -> list[str]:
    return list(dict.fromkeys(name for drawn in terms.values() for name in drawn))


def _draw(panel: Axes, name: str, curve: Curve, index: int) -> None:
    few = len(curve.step) <= 12
    panel.plot(curve.step, curve.value, label=name, marker="o" if few else "", markersize=3, **line_look(index))


def _label(panel: Axes, term: str, drawn: Mapping[str, Curve]) -> None:
    panel.set_title(wrap(term_label(term), 2.1, size=10.0, lines=1))
    values = np.concatenate([np.empty(0), *(curve.value for curve in drawn.values())])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > LOG_RATIO * values.min():
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 3) if values.max() < 1000 * values.min() else (1,)))
        panel.yaxis.set_minor_formatter(NullFormatter())
    else:
        panel.yaxis.set_major_locator(MaxNLocator(4))
    panel.yaxis.set_major_formatter(FuncFormatter(short))
    panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    panel.xaxis.set_major_formatter(FuncFormatter(short))
    panel.grid(axis="y", color="#E5E5E5", linewidth=0.7)


def _thin(curve: Curve) -> Curve:
    if len(curve.step) <= LARGEST_POINTS:
        return curve
    starts = np.linspace(0, len(curve.step), LARGEST_POINTS, endpoint=False).astype(np.int64)
    counts = np.diff(np.append(starts, len(curve.step)))
    step, value = (np.add.reduceat(column, starts) / counts for column in (curve.step, curve.value))
    return Curve(step.astype(np.int64), value)
