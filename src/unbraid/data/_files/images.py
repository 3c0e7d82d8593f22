"""Encoded images to arrays: decoded once, into bytes that are memory-mapped and picked from."""

import hashlib
import io
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import Int, UInt8

from unbraid.configuration import Plain
from unbraid.data._files.archives import Archive, open_archive
from unbraid.data._files.cache import cached_rows
from unbraid.data._files.fetch import locate
from unbraid.data.card import Card, File
from unbraid.data.contract import Data
from unbraid.types import Batch

if TYPE_CHECKING:  # imported where it is used, so that `import unbraid.data` stays quick
    from PIL import Image

Channels = Literal[1, 3]
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm")
# by name, since some of the other readers start programs (EPS) or are rarely looked at
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
PIXELS = 100_000_000  # above this an image is taken for a decompression bomb
GAP = 2  # a JPEG may be decoded at 1/2, 1/4 or 1/8 as long as this many pixels are left for every one that is wanted
VERSION = 1  # of the pixels that `decode` makes; part of what a cache is known by


class Pictures(Data):
    """Images of one size, held as bytes, `[picture, channel, height, width]`, of which a part are the observations.

    pixels: of all pictures of a file, memory-mapped.
    chosen: which of them are the observations, `[n]`.
    """

    bounds = (0.0, 1.0)
    pixels: UInt8[np.ndarray, "picture channel height width"]
    chosen: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.chosen)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The images at `index`, `[batch, channel, height, width]` in [0, 1], with their populations if there are any.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """
        index = self.checked(index)
        x = torch.from_numpy(self.pixels[self.chosen[index]]).float().div_(255)
        return Batch(x, None if self.population is None else torch.from_numpy(self.population[index]))

    @abstractmethod
    def facts(self) -> dict[str, Plain]:
        """SHA-256 of what was read, under "files", and what else a run should keep."""


def decode(
    content: bytes, name: str, size: tuple[int, int], channels: Channels, share: float = 1.0
) -> UInt8[np.ndarray, "channel height width"]:
    """An encoded image as bytes, upright, cropped about its centre and resized (Lanczos).

    Transparent pixels are laid over white, 16-bit values are rounded to 8 bits, palettes are looked up, and the
    orientation that a camera wrote beside the pixels is applied.

    name: of the file, for messages.
    size: height and width of the result.
    channels: 1 for grey, 3 for red, green and blue.
    share: side of the crop, as a share of the largest centred one of that shape.

    Raises:
        ValueError: not a still image of a usual format with 8 or 16 bits, a truncated or damaged one, or one of more
            than 100 million pixels.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd files that decode all the same
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _require_still(image)
                _reduce(image, size, share)
                ImageOps.exif_transpose(image, in_place=True)
                flat = _flat(image, channels)
            box = _centre(flat.size, size, share)
            pixels = np.asarray(flat.resize((size[1], size[0]), Image.Resampling.LANCZOS, box))
    except Exception as error:  # decoders of damaged files raise whatever they stumble over
        reason = "of no format that is read" if isinstance(error, UnidentifiedImageError) else str(error)
        raise ValueError(
            f"expected an image that can be decoded, got '{name}' ({reason or type(error).__name__}); "
            "replace it or take it away"
        ) from error
    return np.ascontiguousarray(pixels.reshape(*size, channels).transpose(2, 0, 1))


def decoded(
    path: Path,
    sha256: str,
    names: Sequence[str],
    size: tuple[int, int],
    channels: Channels,
    share: float = 1.0,
) -> UInt8[np.ndarray, "picture channel height width"]:
    """The images of these names of an archive or folder, decoded once into the cache; memory-mapped.

    sha256: of the archive, which the cache is known by.
    names: in the order in which the archive stores them.

    Raises:
        ValueError: an image that `decode` refuses, or an archive that cannot be read.
    """
    key: dict[str, Any] = {
        "sha256": sha256,
        "names": hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest(),
        "size": list(size),
        "channels": channels,
        "share": share,
        "version": VERSION,
    }
    if path.is_dir():  # its checksum is of names and sizes, which an edited image may keep
        times = np.array([(path / name).stat().st_mtime_ns for name in names], dtype=np.int64)
        key["modified"] = hashlib.sha256(times.tobytes()).hexdigest()  # of all, for two may have changed places
    with ExitStack() as stack:
        reader = _Reader(path, names, stack)

        def make(start: int, stop: int) -> UInt8[np.ndarray, "picture channel height width"]:
            return np.stack([decode(content, name, size, channels, share) for name, content in reader(start, stop)])

        return cached_rows("images", key, len(names), (channels, *size), np.uint8, make, what=f"images of '{path}'")


def located(card: Card, file: File, folder: Path | str | None) -> Path:
    """The official archive, or a folder of its name without the ending that it was unpacked to; see `locate`.

    Raises:
        ValueError: neither is there, nor can the archive be downloaded.
    """
    unpacked = PurePosixPath(file.name).stem
    try:
        return locate(card, File(unpacked), folder)
    except ValueError:
        return locate(card, file, folder)


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Height and width; one number means both.

    Raises:
        ValueError: not one or two integers of at least 1.
    """
    both = (size, size) if isinstance(size, int) else tuple(size)
    if len(both) != 2 or not all(isinstance(side, int) and 1 <= side <= 4096 for side in both):
        raise ValueError(f"expected size as pixels or (height, width), each from 1 to 4096, got {size!r}")
    return both[0], both[1]


def hidden(name: str) -> bool:
    """Whether a file of an archive, or a folder that it lies in, is not meant to be seen."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


class _Reader:
    """Runs of an archive's files, which is read on from where the last run ended, for a .tgz has no random access."""

    def __init__(self, path: Path, names: Sequence[str], stack: ExitStack):
        self.path, self.names, self.stack = path, names, stack
        self.archive: Archive | None = None
        self.items: Iterator[tuple[str, bytes]] = iter(())
        self.position = -1

    def __call__(self, start: int, stop: int) -> Iterator[tuple[str, bytes]]:
        if self.archive is None:  # not before it is needed: all may be in the cache
            self.archive = self.stack.enter_context(open_archive(self.path))
        if start != self.position:
            self.items = self.archive.items(self.names[start:])
        self.position = stop
        for wanted in self.names[start:stop]:
            name, content = next(self.items)
            assert name == wanted, f"{self.path} came in another order: {name} instead of {wanted}"
            yield name, content


def _require_still(image: "Image.Image") -> None:
    width, height = image.size
    if width * height > PIXELS:
        raise ValueError(f"{width} x {height} pixels, more than {PIXELS:,}")
    # MPO is what some cameras write: a JPEG with a second view behind it
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise ValueError("animated or of several pages, not a single image")


def _reduce(image: "Image.Image", size: tuple[int, int], share: float) -> None:
    """Lets a JPEG much larger than what is wanted be decoded at a fraction of its size, which is several times faster.

    Other formats are left as they are.
    """
    factor = GAP * max(size) / (share * min(image.size))
    image.draft(image.mode, (int(image.size[0] * factor) + 1, int(image.size[1] * factor) + 1))


def _flat(image: "Image.Image", channels: Channels) -> "Image.Image":
    from PIL import Image

    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        image = Image.fromarray(((np.asarray(image).astype(np.int64) + 128) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"32-bit pixels (mode {image.mode}), not 8 or 16 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")


def _centre(outer: tuple[int, int], size: tuple[int, int], share: float) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the crop; fractions of pixels are kept, so that it is the centre exactly."""
    scale = share * min(outer[0] / size[1], outer[1] / size[0])
    width, height = size[1] * scale, size[0] * scale
    left, top = (outer[0] - width) / 2, (outer[1] - height) / 2
    return round(left, 6), round(top, 6), round(left + width, 6), round(top + height, 6)
