"""Teapots of any colour from any side: ground truth with continuous factors, rendered once and kept."""

import hashlib
import json
from functools import lru_cache
from importlib import resources
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Real, UInt8
from torch import Tensor

from unbraid.configuration import Plain
from unbraid.data._drawn import meshes, render
from unbraid.data._files.cache import cached_rows
from unbraid.data.card import Card
from unbraid.data.contract import FactorData
from unbraid.types import Batch

TeapotSplit = Literal["train", "validation", "test", "zero-shot"]
SPLITS: tuple[str, ...] = get_args(TeapotSplit)
SIZES = (64, 32)
LARGEST = np.array([2 * np.pi, np.pi / 2, 1, 1, 1])
CAMERA = render.Camera(centre=(0.3, 0.0, 1.6), distance=12.0, reach=3.6)
DARKNESS = 0.35  # brightness of the inside, where the lamps do not reach
PROBE = 16  # images that tell one renderer from another


class Teapots(FactorData):
    """The Utah teapot in any colour from any side above the table, after Eastwood & Williams (2018).

    Factors are drawn uniformly and independently: azimuth from 0 to 2 pi, elevation from 0 to pi / 2 (radians), red,
    green and blue from 0 to 1. The camera looks at the centre. The original images and their generator were never
    published, so what is not in the paper is ours: a black background, lamps that move with the camera, white gloss.
    As in the authors' code, the first 80% of all images are for training, then 10% for validation, 10% for testing.

    All `count` images are rendered at the first use and kept in the cache folder, memory-mapped: 2.5 GB and 5 to
    7 minutes on one core for 200,000 at 64 pixels.

    split: which part; "zero-shot" are the images in the gap.
    count: number of images in all parts together; fewer are the first of more.
    size: height and width in pixels, 64 or 32.
    gap: whether training, validation and testing leave out teapots that are seen from above and mostly red, as the
        authors' code defines it: elevation > pi / 4, red > green + 0.15, red > blue + 0.15 (10.2% of all images).
    seed: of the factors; the same seed gives the same images.

    Raises:
        ValueError: an unknown split or size, a count that leaves a part empty, "zero-shot" without a gap.
    """

    factor_names = ("azimuth", "elevation", "red", "green", "blue")
    factor_sizes = (0, 0, 0, 0, 0)
    bounds = (0.0, 1.0)
    card = Card(
        name="teapots",
        title="Teapots, rendered anew",
        licence="the geometry is in the public domain; the images are made by unbraid, under its licence (Apache-2.0)",
        citation="Eastwood and Williams (2018), A framework for the quantitative evaluation of disentangled "
        "representations, ICLR; the teapot: Newell (1975), The utilization of procedure models in digital image "
        "synthesis, University of Utah",
        homepage="https://github.com/cianeastwood/qedr",
        note="Rendered anew: the images of Eastwood and Williams (2018) were never published.",
    )

    def __init__(
        self,
        split: TeapotSplit = "train",
        count: int = 200_000,
        size: Literal[64, 32] = 64,
        gap: bool = False,
        seed: int = 0,
    ):
        if split not in SPLITS:
            raise ValueError(f"expected split to be one of {', '.join(SPLITS)}, got '{split}'")
        if split == "zero-shot" and not gap:
            raise ValueError("expected gap=True for the zero-shot split, which is the gap, got gap=False")
        if size not in SIZES:
            raise ValueError(f"expected size to be one of {SIZES}, got {size}")
        self.split: TeapotSplit = split
        self.size: Literal[64, 32] = size
        self.count, self.gap, self.seed = count, gap, seed
        self.shape = (3, size, size)
        drawn = self.sample_factors(max(count, 0), np.random.default_rng(seed))
        self._rows = _part(drawn, split, gap)
        if not len(self._rows):
            raise ValueError(f"expected a count that leaves images for the {split} split, got {count}")
        self._factors = drawn[self._rows]
        self._probe = hashlib.sha256(_draw(drawn[:PROBE], size).tobytes()).hexdigest()
        self._images = cached_rows(
            "teapots",
            {"factors": "uniform", "seed": seed, "size": size, "probe": self._probe},
            count,
            self.shape,
            np.uint8,
            lambda start, stop: _draw(drawn[start:stop], size),
            what="teapots",
        )

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The images at `index`, `[batch, 3, size, size]`.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """
        return Batch(_bright(np.asarray(self._images[self._rows[self.checked(index)]])))

    def factors(self, index: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n factor"]:
        """Factor values of the images at `index`: two angles in radians, three colours.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """
        return self._factors[self.checked(index)]

    def sample(self, factors: Real[np.ndarray, "n factor"]) -> Float[Tensor, "n *shape"]:
        """Images of teapots with these factor values, rendered anew; the same values give the same images.

        Raises:
            ValueError: not five columns, or a value outside its range.
        """
        factors = np.asarray(factors, np.float64)
        if factors.ndim != 2 or factors.shape[1] != len(LARGEST):
            names = ", ".join(self.factor_names)
            raise ValueError(f"expected [n, {len(LARGEST)}] factors, columns {names}, got shape {factors.shape}")
        if not ((factors >= 0) & (factors <= LARGEST)).all():
            raise ValueError(
                f"expected {', '.join(self.factor_names)} from 0 to {LARGEST.round(4).tolist()}, "
                f"got from {factors.min(0).tolist()} to {factors.max(0).tolist()}"
            )
        return _bright(_draw(factors, self.size))

    def sample_factors(self, count: int, rng: np.random.Generator) -> Float[np.ndarray, "count factor"]:
        """Factor values drawn uniformly and independently, in the gap too."""
        return rng.uniform(0, LARGEST, size=(count, len(LARGEST)))

    def facts(self) -> dict[str, Plain]:
        """How many images the part has, and the checksum of the first images of all, which tells renderers apart."""
        return {"images": len(self), "probe": self._probe}


def _part(drawn: Float[np.ndarray, "n factor"], split: str, gap: bool) -> Int[np.ndarray, " part"]:
    """Which of all images belong to the part."""
    missing = _in_gap(drawn) if gap else np.zeros(len(drawn), bool)
    if split == "zero-shot":
        return np.flatnonzero(missing)
    bounds = [len(drawn) * tenths // 10 for tenths in (0, 8, 9, 10)]
    number = SPLITS.index(split)
    rows = np.arange(bounds[number], bounds[number + 1])
    return rows[~missing[rows]]


def _in_gap(drawn: Float[np.ndarray, "n factor"]) -> Bool[np.ndarray, " n"]:
    """Seen from above, and redder than green and blue."""
    _, elevation, red, green, blue = drawn.T
    return (elevation > np.pi / 4) & (red > green + 0.15) & (red > blue + 0.15)


def _bright(images: UInt8[np.ndarray, "n 3 size size"]) -> Float[Tensor, "n 3 size size"]:
    return torch.from_numpy(images).float().div_(255)


def _draw(factors: Float[np.ndarray, "n 5"], size: int) -> UInt8[np.ndarray, "n 3 size size"]:
    """Images with these factor values."""
    colour = factors[:, None, 2:]
    palette = np.concatenate([colour, DARKNESS * colour], axis=1)
    return render.render(_teapot(), CAMERA, factors[:, 0], factors[:, 1], palette, size)


@lru_cache(maxsize=1)
def _teapot() -> meshes.Mesh:
    """The teapot; where one can look into it, through the spout and beside the lid, there is an inside."""
    text = resources.files("unbraid.data").joinpath("utah-teapot-bezier.json").read_text(encoding="utf-8")
    plain = json.loads(text)
    patches = np.array(plain["vertices"])[np.array(plain["patches"])].reshape(-1, 4, 4, 3)
    body, handle, spout, lid, bottom = np.split(patches, [12, 16, 20, 28])
    outside = [
        meshes.bezier(part, steps) for part, steps in ((body, 8), (handle, 6), (spout, 8), (lid, 6), (bottom, 8))
    ]
    turn = np.linspace(0, 2 * np.pi, 25)[:-1]
    opening = np.stack([1.4 * np.cos(turn), 1.4 * np.sin(turn), np.full_like(turn, 2.35)], axis=1)
    inside = [meshes.bezier(spout, 4).inside_out(), meshes.plate(opening - (0, 0, 0.01), opening)]
    return meshes.join([*outside, *(part.of(1) for part in inside)])
