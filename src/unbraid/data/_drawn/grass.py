"""Procedural grass: overlapping curved blades, lit from one side, each casting a shadow on those below."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter

OVERSAMPLING = 2  # drawn finer, then averaged: smooth edges
BLUR = 0.4  # of the lens, pixels; with CLUMP it brings the spectrum to that of photographs
CLUMP, WIND = 3.0, 12.0  # over how many pixels light and direction of the blades vary
COVERAGE = 2.5  # how often blades cover the ground
GROUND = -2.0  # light on bare ground, in deviations of the light on blades
SHADE_SCALES = (4, 9)  # pixels over which light varies slowly
ALONG = 20  # points drawn along a blade
# Lines that make up a blade, lowest first: distance down and right, position across the blade, change of light.
STROKES = (
    (0.6, 1.0, -2.0),  # its shadow
    (0.0, -1.0, 0.4),  # the edge towards the light
    (0.0, 0.0, 0.0),
    (0.0, 1.0, -0.4),  # the edge away from it
)


@dataclass(frozen=True)
class Meadow:
    """What distinguishes one texture from another; lengths in pixels, brightness in [0, 1].

    direction, spread: main direction of the blades and how far single ones leave it, radians.
    length, width: typical size of a blade.
    brightness, contrast: mean and standard deviation of the finished texture.
    clumping: share of the brightness variation that is common to neighbouring blades.
    shade: standard deviation of slow light and shadow over the meadow. Game textures have none, so that they tile;
        in photographs it dominates, and a model of the whole image spends itself on it.
    """

    direction: float
    spread: float
    length: float
    width: float
    brightness: float
    contrast: float
    clumping: float
    shade: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Meadow":
        """A random meadow; the ranges follow grey grass photographs resized to 100 x 100."""
        return cls(
            direction=rng.uniform(0, 2 * np.pi),
            spread=rng.uniform(0.2, 1.2),
            length=rng.uniform(4, 12),
            width=rng.uniform(0.8, 1.8),
            brightness=float(np.clip(rng.normal(0.47, 0.07), 0.3, 0.65)),
            contrast=rng.uniform(0.06, 0.14),
            clumping=rng.uniform(0.2, 0.6),
            shade=rng.uniform(0.10, 0.20),
        )


def texture(size: int, meadow: Meadow, rng: np.random.Generator) -> Float[np.ndarray, "size size"]:
    """A grass texture in [0, 1], float32; it tiles, opposite edges fit."""
    fine = size * OVERSAMPLING
    canvas = np.full(fine * fine, GROUND, np.float32)
    at, light = _points(_Blades.grow(fine, meadow, rng), meadow, fine)
    canvas[at] = light  # where points coincide the last one stays: later blades lie on top
    coarse = canvas.reshape(size, OVERSAMPLING, size, OVERSAMPLING).mean((1, 3))
    coarse = gaussian_filter(coarse, BLUR, mode="wrap")
    coarse = (coarse - coarse.mean()) / coarse.std()
    slow = sum(_smooth_noise(size, scale, rng) for scale in SHADE_SCALES) / len(SHADE_SCALES) ** 0.5
    return np.clip(meadow.brightness + meadow.contrast * coarse + meadow.shade * slow, 0, 1, dtype=np.float32)


@dataclass(frozen=True)
class _Blades:
    """All blades from the lowest to the highest: lengths in pixels of the fine canvas, angles in radians."""

    root: Float[np.ndarray, "2 blade"]
    angle: Float[np.ndarray, " blade"]
    bend: Float[np.ndarray, " blade"]
    length: Float[np.ndarray, " blade"]
    light: Float[np.ndarray, " blade"]

    @classmethod
    def grow(cls, fine: int, meadow: Meadow, rng: np.random.Generator) -> "_Blades":
        count = int(COVERAGE * fine**2 / (meadow.length * meadow.width * OVERSAMPLING**2))
        root = rng.uniform(0, fine, (2, count))
        place = tuple(root.astype(np.int64))
        clump, wind = (_smooth_noise(fine, scale * OVERSAMPLING, rng)[place] for scale in (CLUMP, WIND))
        own, turn = rng.standard_normal((2, count))
        depth = np.linspace(-0.7, 0.7, count)  # low blades get less light
        return cls(
            root=root,
            angle=meadow.direction + meadow.spread * (0.6 * wind + 0.8 * turn),
            bend=rng.normal(0, 0.5, count),
            length=meadow.length * OVERSAMPLING * rng.uniform(0.5, 1.5, count),
            light=depth + np.sqrt(meadow.clumping) * clump + np.sqrt(1 - meadow.clumping) * own,
        )


def _points(
    blades: _Blades, meadow: Meadow, fine: int
) -> tuple[Int[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """Canvas position and light of every point of every blade, blade after blade."""
    along = np.linspace(0, 1, ALONG)
    turn = blades.angle[:, None] + blades.bend[:, None] * along
    step = blades.length[:, None] / ALONG
    spine = blades.root[..., None] + np.cumsum(np.stack([np.sin(turn), np.cos(turn)]) * step, axis=2)
    half = 0.5 * meadow.width * OVERSAMPLING * (1 - 0.7 * along)  # tapers towards the tip
    across = np.stack([np.cos(turn), -np.sin(turn)]) * half
    lit = blades.light[:, None] + 0.8 * along  # tips catch more light than roots
    place = np.stack([spine + side * across + drop * OVERSAMPLING for drop, side, _ in STROKES], axis=2)
    light = np.stack([lit + shade for *_, shade in STROKES], axis=1)
    row, column = np.floor(place).astype(np.int64) % fine
    return (row * fine + column).ravel(), light.ravel()


def _smooth_noise(size: int, scale: float, rng: np.random.Generator) -> Float[np.ndarray, "size size"]:
    """Periodic Gaussian noise of unit variance that varies over about `scale` pixels."""
    noise = gaussian_filter(rng.standard_normal((size, size), dtype=np.float32), scale, mode="wrap")
    return noise / noise.std()
