"""Chairs of known shape from known sides: ground truth like the 3D Chairs, with factors that can be scored."""

import hashlib
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int, UInt8

from unbraid.configuration import Plain
from unbraid.data._drawn import chair_parts, render
from unbraid.data._drawn.meshes import Mesh
from unbraid.data._files.cache import cached_rows
from unbraid.data.card import Card
from unbraid.data.contract import FactorGrid
from unbraid.types import Batch

PIXELS = (64, 32)
RANGES = {"leg length": (0.34, 0.6), "back height": (0.34, 0.7), "seat width": (0.42, 0.72), "elevation": (5.0, 50.0)}
CAMERA = render.Camera(centre=(-0.06, 0.0, 0.05), distance=4.0, reach=0.85)
LIGHT = render.Light(lamp=0.5, front=0.15, ambient=0.35, gloss=0.08)
PALETTE = ((0.5,), (0.75,))  # wood, cloth
PAPER = 1.0  # background


class ProceduralChairs(FactorGrid):
    """Grey chairs on white over the full grid of six factors, inspired by the 3D Chairs of Aubry et al. (2014).

    Chairs are slatted, swivel, armchair or windsor. The top of the seat is always in the same place, near the middle;
    legs grow downwards from it, the back upwards. Azimuth is even over the whole turn (0 is the front), elevation from
    5 to 50 degrees. No two factor values of the default grid give the same image.

    All images are rendered at the first use and kept in the cache folder, memory-mapped: 197 MB and about 40 seconds
    on one core for the default grid of 48,000 at 64 pixels.

    sizes: number of values of each factor: style, leg length, back height, seat width, azimuth, elevation. Fewer make
        a coarser grid over the same ranges (of the styles, the first), and one the middle of the range.
    size: height and width in pixels, 64 or 32.

    styles: names of the styles.
    values: of the other factors, by name: lengths in about a metre, angles in degrees.

    Raises:
        ValueError: not six sizes of at least 1, more than four styles, or another size in pixels.
    """

    factor_names = ("style", "leg length", "back height", "seat width", "azimuth", "elevation")
    bounds = (0.0, 1.0)
    card = Card(
        name="procedural-chairs",
        title="Procedural chairs",
        licence="made by unbraid, under its licence (Apache-2.0)",
        citation="inspired by Aubry, Maturana, Efros, Russell and Sivic (2014), Seeing 3D chairs, CVPR",
        homepage="https://www.di.ens.fr/willow/research/seeing3Dchairs/",
        note="Procedural chairs, not the 3D Chairs of Aubry et al. (2014).",
    )

    def __init__(self, sizes: Sequence[int] = (4, 5, 5, 5, 24, 4), size: Literal[64, 32] = 64):
        if len(sizes) != len(self.factor_names) or min(sizes) < 1 or sizes[0] > len(chair_parts.STYLES):
            raise ValueError(
                f"expected a number of values of each of {', '.join(self.factor_names)}, each at least 1 and at most "
                f"{len(chair_parts.STYLES)} styles, got {tuple(sizes)}"
            )
        if size not in PIXELS:
            raise ValueError(f"expected size to be one of {PIXELS}, got {size}")
        self.sizes = tuple(sizes)
        self.size: Literal[64, 32] = size
        self.factor_sizes = self.sizes
        self.shape = (1, size, size)
        self.styles = chair_parts.STYLES[: sizes[0]]
        self.values = {
            name: _values(name, number) for name, number in zip(self.factor_names[1:], sizes[1:], strict=True)
        }
        self._probe = hashlib.sha256(self._draw(_corners(self.sizes)).tobytes()).hexdigest()
        self._images = cached_rows(
            "procedural-chairs",
            {"sizes": list(self.sizes), "size": size, "probe": self._probe},
            len(self),
            self.shape,
            np.uint8,
            lambda start, stop: self._draw(np.arange(start, stop)),
            what="procedural chairs",
        )

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The images at `index`, `[batch, 1, size, size]`.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """
        images = np.asarray(self._images[self.checked(index)])
        return Batch(torch.from_numpy(images).float().div_(255))

    def facts(self) -> dict[str, Plain]:
        """Values of the factors, and the checksum of a few images, which tells one renderer from another."""
        return {"styles": list(self.styles), "values": self.values, "probe": self._probe}

    def _draw(self, index: Int[np.ndarray, " n"]) -> UInt8[np.ndarray, "n 1 size size"]:
        """Images rendered anew, all views of a chair together."""
        factors, images = self.factors(index), np.empty((len(index), *self.shape), np.uint8)
        numbers = index // math.prod(self.sizes[4:])
        for number in np.unique(numbers):
            some = np.flatnonzero(numbers == number)
            azimuth, elevation = (
                np.radians(np.array(self.values[name])[factors[some, column]])
                for name, column in (("azimuth", 4), ("elevation", 5))
            )
            palette = np.broadcast_to(PALETTE, (len(some), 2, 1))
            mesh = self._chair(*factors[some[0], :4].tolist())
            images[some] = render.render(mesh, CAMERA, azimuth, elevation, palette, self.size, PAPER, LIGHT)
        return images

    def _chair(self, style: int, leg: int, back: int, width: int) -> Mesh:
        values = self.values
        lengths = values["leg length"][leg], values["back height"][back], values["seat width"][width]
        return chair_parts.chair(self.styles[style], *lengths)


def _corners(sizes: tuple[int, ...]) -> Int[np.ndarray, " few"]:
    """The first and the last image of every style."""
    each = math.prod(sizes[1:])
    return np.array([[number * each, (number + 1) * each - 1] for number in range(sizes[0])]).reshape(-1)


def _values(name: str, size: int) -> list[float]:
    """Values of a factor: evenly around the turn, or over its range."""
    if name == "azimuth":
        return (360 * np.arange(size) / size).tolist()
    low, high = RANGES[name]
    return np.linspace(low, high, size).tolist() if size > 1 else [(low + high) / 2]
