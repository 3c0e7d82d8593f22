"""The official dSprites, from its .npz file."""

import math
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8

from unbraid.configuration import Plain
from unbraid.data._files.archives import Archive, open_archive
from unbraid.data._files.cache import cached_rows
from unbraid.data._files.fetch import absolute, checksum, locate
from unbraid.data._files.npz import Member
from unbraid.data.card import Card, File
from unbraid.data.contract import FactorGrid
from unbraid.types import Batch

SIDE = 64
FACTORS = (3, 6, 40, 32, 32)
COUNT = math.prod(FACTORS)
CHUNK = 1024  # images, 4 MB before they are packed
LIMIT = 1 << 32  # bytes of a member; the images are 3.02e9

CARD = Card(
    name="dsprites",
    title="dSprites",
    licence="Apache-2.0",
    citation="Matthey, Higgins, Hassabis, Lerchner (2017). dSprites: Disentanglement testing Sprites dataset.",
    observations=COUNT,
    homepage="https://github.com/google-deepmind/dsprites-dataset",
    files=(
        File(
            "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
            "https://github.com/google-deepmind/dsprites-dataset/raw/master/"
            "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
            "857dc001287e8efa226e0025fac6b29e5745c621b380b0d3363e4e33f4e28fa2",
        ),
    ),
)


class DSprites(FactorGrid):
    """The official dSprites: a white square, ellipse or heart on black, over the full grid of five factors.

    `Sprites` has the same factors in the same order, and almost the same images, without a file.

    The images are unpacked once, into a memory-mapped cache of one bit a pixel (377 MB); nothing is held in memory.

    folder: with `dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz`; None looks in the data folder and else downloads it.

    bits: `[737280, 512]` bytes of eight pixels each, rows from top to bottom, the leftmost pixel in the highest bit.

    Raises:
        ValueError: a missing or damaged file, or one that does not hold the whole grid in its official order.
    """

    shape = (1, SIDE, SIDE)
    bounds = (0.0, 1.0)
    card = CARD
    factor_names = ("shape", "scale", "orientation", "x", "y")
    factor_sizes = FACTORS
    bits: UInt8[np.ndarray, "737280 512"]

    def __init__(self, folder: Path | str | None = None):
        self.folder = None if folder is None else absolute(folder)
        self._path = locate(CARD, CARD.files[0], self.folder)
        self._sha256 = checksum(self._path)
        key, what = {"sha256": self._sha256}, "unpacking dSprites"
        with ExitStack() as opened:
            packed = _Packed(self._path, opened)
            self.bits = cached_rows("dsprites", key, COUNT, (SIDE * SIDE // 8,), np.uint8, packed, CHUNK, what)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The images at `index`, `[batch, 1, 64, 64]` of zeros and ones.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """
        pixels = np.unpackbits(self.bits[self.checked(index)], axis=1)
        return Batch(torch.from_numpy(pixels).view(-1, *self.shape).float())

    def facts(self) -> dict[str, Plain]:
        """SHA-256 of the file, and whether it is the official one."""
        return {"files": {self._path.name: self._sha256}, "official": self._sha256 == CARD.files[0].sha256}


class _Packed:
    """Rows of bits, read from the file that is opened when the first of them are asked for."""

    def __init__(self, path: Path, opened: ExitStack):
        self.path, self.opened = path, opened
        self.images: Member | None = None

    def __call__(self, start: int, stop: int) -> UInt8[np.ndarray, "row 512"]:
        if self.images is None:
            archive = self.opened.enter_context(open_archive(self.path, LIMIT))
            self.images = Member(archive, "imgs", (COUNT, SIDE, SIDE), np.uint8)
            _check_order(archive)
        images = self.images.rows(start, stop)
        if images.max() > 1:
            raise ValueError(f"expected images of zeros and ones in '{self.path}', got a value of {images.max()}")
        return np.packbits(images.reshape(len(images), -1), axis=1)


def _check_order(archive: Archive) -> None:
    """Whether the images are in the order of the grid; the first class is the colour, always white."""
    classes = Member(archive, "latents_classes", (COUNT, 1 + len(FACTORS)), np.int64).rows(0, COUNT)
    grid = np.unravel_index(np.arange(COUNT), (1, *FACTORS))
    if any((column != expected).any() for column, expected in zip(classes.T, grid, strict=True)):
        raise ValueError(
            f"expected 'latents_classes' in '{archive.path}' to be the whole grid in its order, but it is not"
        )
