"""The outlines of dSprites, and where image rows cross them."""

from functools import cache

import numpy as np
from jaxtyping import Float, Int

SIDE = 64
SCALES = np.linspace(0.5, 1, 6)
TURNS = -2 * np.pi * np.arange(40) / 39  # the last equals the first, as in the original
PLACES = 16 + 32 * np.arange(32) / 31 + 1e-4  # centres in pixels; the shift settles pixels on the edge
REACH = 14  # no outline leaves this distance from its centre, pixels
BAND = 2 * REACH + 1  # image rows that can meet an outline
CROSSINGS = 4  # the heart meets a row up to four times
TOP: Int[np.ndarray, " y"] = np.floor(PLACES - REACH).astype(np.int64)  # first row of the band at each place


def square() -> Float[np.ndarray, "point 2"]:
    """Corners (x, y) relative to the centre, pixels; like the others at scale 1 and not turned."""
    return 9.599 * np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])


def ellipse() -> Float[np.ndarray, "point 2"]:
    """A polygon of 64 corners at equal steps of the angle."""
    t = 2 * np.pi * np.arange(64) / 64
    return np.stack([12.78 * np.cos(t), 7.22 * np.sin(t)], axis=1)


def heart() -> Float[np.ndarray, "point 2"]:
    """A polygon of 200 corners on the usual trigonometric heart curve."""
    t = 2 * np.pi * np.arange(200) / 200
    x = 9.5944 * np.sin(t) ** 3
    y = -0.66227 * (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) - 1.4383
    return np.stack([x, y], axis=1)


@cache
def crossings() -> Float[np.ndarray, "outline 32 29 4"]:
    """Where each outline at each y place meets the image rows from `TOP` on: x relative to the centre, rising.

    Outlines run over shape, scale, orientation, the last fastest. Crossings come in pairs, enter and leave;
    missing pairs are two zeros. Read-only.
    """
    height = TOP[:, None] + np.arange(BAND) + 0.5 - PLACES[:, None]
    table = np.stack(
        [
            _meet(scale * shape @ _rotation(turn), height)
            for shape in (square(), ellipse(), heart())
            for scale in SCALES
            for turn in TURNS
        ]
    )
    table.flags.writeable = False
    return table


def _rotation(angle: float) -> Float[np.ndarray, "2 2"]:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _meet(corners: Float[np.ndarray, "point 2"], height: Float[np.ndarray, "y row"]) -> Float[np.ndarray, "y row 4"]:
    """Sorted x where horizontal lines at `height` cross the polygon."""
    (x0, y0), (x1, y1) = corners.T, np.roll(corners, -1, axis=0).T
    line, edge = np.nonzero((y0 > height.reshape(-1, 1)) != (y1 > height.reshape(-1, 1)))
    x = x0[edge] + (height.ravel()[line] - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    order = np.lexsort((x, line))
    rank = np.arange(len(line)) - np.searchsorted(line, line)  # `line` is sorted already
    out = np.zeros((height.size, CROSSINGS))
    out[line, rank] = x[order]
    return out.reshape(*height.shape, CROSSINGS)
