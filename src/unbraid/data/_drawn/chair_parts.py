"""Chairs of four styles, built of simple solids; the seat stays where it is, legs and back grow away from it."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from unbraid.data._drawn.meshes import Mesh, Point, box, join, plate, post, rod, tube

DEPTH = 0.46  # of the seat, from back to front; the front is along x, the height along z, the top of the seat at 0
WOOD, CLOTH = 0, 1  # materials
STYLES = ("slatted", "swivel", "armchair", "windsor")


def chair(style: str, leg: float, back: float, width: float) -> Mesh:
    """A chair.

    leg: from the floor to the top of the seat.
    back: from the top of the seat to the top of the back.
    width: of the seat.
    """
    make: dict[str, Callable[[float, float, float], Mesh]] = dict(
        zip(STYLES, (_slatted, _swivel, _armchair, _windsor), strict=True)
    )
    return make[style](leg, back, width)


def _slatted(leg: float, back: float, width: float) -> Mesh:
    """Straight: four square legs, an upright back of slats."""
    x, y = DEPTH / 2 - 0.025, width / 2 - 0.025
    lean = 0.12 * back
    seat = box((-DEPTH / 2, -width / 2, -0.045), (DEPTH / 2, width / 2, 0))
    legs = [post((i * x, j * y, -leg), (i * x, j * y, -0.04), (0.05, 0.05)) for i in (-1, 1) for j in (-1, 1)]
    stiles = [post((-x, j * y, -0.02), (-x - lean, j * y, back), (0.05, 0.05)) for j in (-1, 1)]
    rails = [
        post((-x - lean * low, 0, back * low), (-x - lean * high, 0, back * high), (0.035, width - 0.06))
        for low, high in ((0.8, 1.0), (0.48, 0.62), (0.16, 0.3))
    ]
    return join([seat, *legs, *stiles, *rails])


def _swivel(leg: float, back: float, width: float) -> Mesh:
    """Padded seat and back on a column with five feet."""
    hub = -leg + 0.06
    seat = plate(_squarish((0, 0, -0.08), DEPTH, width), _squarish((0, 0, 0), DEPTH, width))
    column = [
        tube((0, 0, hub), (0, 0, -0.07), (0.03, 0.03)),
        tube((0, 0, hub - 0.03), (0, 0, hub + 0.08), (0.05, 0.045)),
    ]
    turns = 2 * np.pi * np.arange(5) / 5
    tips = [(0.3 * np.cos(turn), 0.3 * np.sin(turn)) for turn in turns]
    feet = [tube((0, 0, hub + 0.02), (x, y, hub - 0.01), (0.035, 0.02), 6) for x, y in tips]
    wheels = [tube((x, y, -leg), (x, y, hub), (0.03, 0.03), 8) for x, y in tips]
    stem = rod(np.array([(-0.1, 0, -0.06), (-DEPTH / 2 - 0.03, 0, -0.05), (-DEPTH / 2 - 0.06, 0, 0.4 * back)]), 0.025)
    rest = _upright(back, width, 0.22, 0.06)
    return join([seat.of(CLOTH), rest.of(CLOTH), stem, *column, *feet, *wheels])


def _armchair(leg: float, back: float, width: float) -> Mesh:
    """Thick cushions, solid arms, short round feet below a deep frame."""
    arm = 0.075
    frame = box((-DEPTH / 2, -width / 2, -0.16), (DEPTH / 2, width / 2, -0.07))
    cushion = box((-DEPTH / 2, -width / 2 + arm, -0.07), (DEPTH / 2 + 0.02, width / 2 - arm, 0))
    x, y = DEPTH / 2 - 0.04, width / 2 - 0.04
    legs = [tube((i * x, j * y, -leg), (i * x, j * y, -0.15), (0.018, 0.034), 8) for i in (-1, 1) for j in (-1, 1)]
    sides = [
        box((-DEPTH / 2, j * (width - arm) / 2 - arm / 2, -0.07), (DEPTH / 2, j * (width - arm) / 2 + arm / 2, 0.17))
        for j in (-1, 1)
    ]
    foot, head = (-DEPTH / 2 + 0.03, 0, -0.07), (-DEPTH / 2 - 0.12 * back, 0, back)
    rest = post(foot, head, (0.12, width))
    return join([part.of(CLOTH) for part in (cushion, rest, *sides)] + [frame, *legs])


def _windsor(leg: float, back: float, width: float) -> Mesh:
    """Round: an oval seat on splayed legs, a bow with spindles."""
    seat = plate(_oval((0, 0, -0.05), 0.9 * DEPTH, 0.9 * width), _oval((0, 0, 0), 1.04 * DEPTH, width))
    x, y = 0.3 * DEPTH, 0.3 * width
    spread = 1 + 0.3 * leg
    legs = [
        tube((i * x * (spread + 0.4), j * y * (spread + 0.3), -leg), (i * x, j * y, -0.04), (0.02, 0.03), 8)
        for i in (-1, 1)
        for j in (-1, 1)
    ]
    turn = np.linspace(-0.05 * np.pi, 1.05 * np.pi, 13)
    side, rise = 0.42 * width * np.cos(turn), np.maximum(np.sin(turn), -0.02)
    height = back * np.minimum(rise, 1)
    bow = np.stack([-0.36 * DEPTH - 0.15 * height, side, height], axis=1)
    spindles = [
        tube((-0.4 * DEPTH, 0.75 * at * width, -0.01), (-0.36 * DEPTH - 0.15 * top, at * width, top), (0.011, 0.011), 6)
        for at in (-0.24, -0.12, 0.0, 0.12, 0.24)
        for top in [back * np.sqrt(1 - (at / 0.42) ** 2)]
    ]
    return join([seat, rod(bow, 0.022), *legs, *spindles])


def _upright(back: float, width: float, gap: float, thickness: float) -> Mesh:
    """A padded back that starts above the seat by `gap` of its height and leans backwards."""
    height = (1 - gap) * back
    flat = _squarish((0, 0, 0), height, 0.92 * width)  # lies on the floor: x becomes the height
    rise = flat[:, 0] + height / 2 + gap * back
    front = np.stack([-DEPTH / 2 - 0.12 * rise, flat[:, 1], rise], axis=1)
    return plate(front - (thickness, 0, 0), front)


def _squarish(centre: Point, length: float, width: float, sides: int = 24) -> Float[np.ndarray, "point 3"]:
    """A rectangle with round corners in the plane of the floor (a superellipse with exponent 5)."""
    turn = 2 * np.pi * np.arange(sides) / sides
    x, y = np.cos(turn), np.sin(turn)
    size = (np.abs(x) ** 5 + np.abs(y) ** 5) ** -0.2
    return np.array(centre) + np.stack([length / 2 * size * x, width / 2 * size * y, 0 * turn], axis=1)


def _oval(centre: Point, length: float, width: float, sides: int = 24) -> Float[np.ndarray, "point 3"]:
    turn = 2 * np.pi * np.arange(sides) / sides
    return np.array(centre) + np.stack([length / 2 * np.cos(turn), width / 2 * np.sin(turn), 0 * turn], axis=1)
