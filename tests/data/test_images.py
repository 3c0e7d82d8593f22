"""Every usual kind of image decodes to the pixels a viewer would show; every broken one is refused by name."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from unbraid.data._files.images import PIXELS, decode, pair

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (12, 12, 3), dtype=np.uint8)
GREYS = COLOURS[..., 0]
SMOOTH = np.stack(np.meshgrid(np.linspace(0, 255, 300), np.linspace(255, 0, 200)), axis=-1).mean(-1).astype(np.uint8)


def encoded(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, kind, **options)
    return stream.getvalue()


def shown(content: bytes, size: int = 12, channels: Any = 3) -> np.ndarray:
    return decode(content, "x", (size, size), channels).transpose(1, 2, 0)


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0")
    chunks = (
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (header, data)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_pixels_of_the_size_wanted_are_not_touched(kind: str):
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(shown(encoded(COLOURS, kind, **options)), COLOURS)


def test_grey_becomes_colour_and_colour_grey():
    assert np.array_equal(shown(encoded(GREYS)), np.repeat(GREYS[..., None], 3, axis=2))
    assert np.array_equal(shown(encoded(GREYS), channels=1)[..., 0], GREYS)
    luma = COLOURS @ np.array([0.299, 0.587, 0.114])
    assert np.abs(shown(encoded(COLOURS), channels=1)[..., 0] - luma).max() <= 1


def test_transparency_is_laid_over_white():
    alpha = np.zeros((12, 12), dtype=np.uint8)
    alpha[:6] = 255
    expected = np.where(alpha[..., None] > 0, COLOURS, 255)
    assert np.array_equal(shown(encoded(np.dstack([COLOURS, alpha]))), expected)
    palette = Image.fromarray((GREYS // 128).astype(np.uint8), mode=None).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    looked_up = np.where(GREYS[..., None] < 128, [255, 255, 255], [40, 50, 60])
    assert np.array_equal(shown(encoded(palette, transparency=b"\0\xff")), looked_up)
    assert np.array_equal(shown(encoded(palette, transparency=0)), looked_up)
    two = np.dstack([GREYS, alpha])
    assert np.array_equal(shown(encoded(two), channels=1)[..., 0], expected_grey(two))


def expected_grey(two: np.ndarray) -> np.ndarray:
    return np.where(two[..., 1] > 0, two[..., 0], 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_rounded_to_eight(kind: str):
    deep = np.linspace(0, 65535, 144).reshape(12, 12).astype(np.uint16)
    assert np.array_equal(shown(encoded(deep, kind), channels=1)[..., 0], np.round(deep / 257))


def test_one_bit_and_cyan_magenta_yellow_black():
    bits = Image.fromarray(GREYS > 127)
    assert np.array_equal(shown(encoded(bits), channels=1)[..., 0], 255 * (GREYS > 127))
    ink = Image.new("CMYK", (12, 12), (0, 255, 255, 0))
    red = shown(encoded(ink, "JPEG"))
    assert red[..., 0].min() > 200
    assert red[..., 1:].max() < 60


TURNED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x.swapaxes(0, 1)[::-1, ::-1],
    8: lambda x: np.rot90(x),
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_images_are_turned_as_the_camera_said(orientation: int, kind: str):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    if kind == "TIFF":
        options["tiffinfo"] = TiffImagePlugin.ImageFileDirectory_v2()
        options["tiffinfo"][0x0112] = orientation
    else:
        options["exif"] = exif
    assert np.array_equal(shown(encoded(COLOURS, kind, **options)), TURNED[orientation](COLOURS))


def test_crop_is_the_centre_in_the_shape_that_is_wanted():
    wide = np.zeros((12, 30, 3), dtype=np.uint8)
    wide[:, 9:21] = COLOURS
    assert np.array_equal(shown(encoded(wide)), COLOURS)
    assert np.array_equal(shown(encoded(wide.swapaxes(0, 1))), COLOURS.swapaxes(0, 1))
    assert np.array_equal(decode(encoded(wide), "x", (12, 30), 3), wide.transpose(2, 0, 1))
    framed = np.zeros((30, 40, 3), dtype=np.uint8)
    framed[9:21, 14:26] = COLOURS
    assert np.array_equal(decode(encoded(framed), "x", (12, 12), 3, share=12 / 30), COLOURS.transpose(2, 0, 1))


def test_crop_keeps_fractions_of_pixels():
    """A smaller copy of an image shows the same, even if the margin is no whole number of its pixels."""
    large = Image.fromarray(SMOOTH).resize((178, 218))
    small = large.resize((89, 109), Image.Resampling.BOX)
    one, other = (decode(encoded(image), "x", (64, 64), 1, 148 / 178).astype(int) for image in (large, small))
    assert np.abs(one - other).max() <= 2


def test_fine_patterns_do_not_alias():
    checks = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert np.abs(shown(encoded(checks), 31, 1).astype(int) - 127).max() <= 12


def test_large_jpeg_decoded_at_a_fraction_looks_the_same():
    large = Image.fromarray(SMOOTH).resize((2400, 1600))
    quick, slow = (shown(encoded(large, kind, **{}), 64, 1).astype(int) for kind in ("JPEG", "PNG"))
    assert np.abs(quick - slow).max() <= 3
    narrow = large.resize((2400, 100))  # the side that counts is the shorter one
    assert np.abs(shown(encoded(narrow, "JPEG"), 64, 1).astype(int) - shown(encoded(narrow), 64, 1)).max() <= 4


MOVING = [Image.fromarray(COLOURS), Image.fromarray(COLOURS[::-1])]
REFUSED = {
    "nothing": (b"", "of no format that is read"),
    "text": (b"I am no image" * 9, "of no format that is read"),
    "EPS under another name": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "of no format that is read"),
    "truncated JPEG": (encoded(SMOOTH, "JPEG")[:-200], "truncated"),
    "truncated PNG": (encoded(SMOOTH)[:-200], "truncated"),
    "bomb": (png_header(60_000, 60_000), "bomb"),
    "smaller bomb": (png_header(10_001, 10_000), f"more than {PIXELS:,}"),
    "PNG without pixels": (png_header(100, 100), "truncated|broken|error"),
    "animated GIF": (encoded(MOVING[0], "GIF", save_all=True, append_images=MOVING[1:]), "animated"),
    "animated PNG": (encoded(MOVING[0], "PNG", save_all=True, append_images=MOVING[1:]), "animated"),
    "animated WebP": (encoded(MOVING[0], "WEBP", save_all=True, append_images=MOVING[1:]), "animated"),
    "pages": (encoded(MOVING[0], "TIFF", save_all=True, append_images=MOVING[1:]), "several pages"),
    "floats": (encoded(GREYS.astype(np.float32), "TIFF"), "32-bit"),
    "integers": (encoded(GREYS.astype(np.int32), "TIFF"), "32-bit"),
}


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_what_cannot_be_decoded_is_refused_by_name(content: bytes, reason: str):
    with pytest.raises(ValueError, match=rf"got 'cats/tom\.png' \((.*{reason}.*)\); replace it"):
        decode(content, "cats/tom.png", (8, 8), 3)


EXAMPLES = [encoded(COLOURS, kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")]


@given(
    content=st.sampled_from(EXAMPLES),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255))),
    cut=st.floats(0, 1),
)
def test_damaged_images_decode_or_are_refused(content: bytes, changes: list[tuple[float, int]], cut: float):
    damaged = bytearray(content)
    for place, change in changes:
        damaged[int(place * (len(damaged) - 1))] ^= change
    if not changes:
        damaged = damaged[: int(cut * len(damaged))]
    try:
        pixels = decode(bytes(damaged), "x.png", (8, 8), 3)
    except ValueError:
        return
    assert pixels.shape == (3, 8, 8)
    assert pixels.dtype == np.uint8


@given(content=st.binary(max_size=300))
def test_random_bytes_are_refused(content: bytes):
    with pytest.raises(ValueError, match="of no format that is read"):
        decode(content, "x.png", (8, 8), 3)


def test_size_is_one_number_or_two():
    assert pair(64) == (64, 64)
    assert pair([48, 64]) == (48, 64)


@pytest.mark.parametrize("size", [0, -1, 5000, [64], [1, 2, 3], [0, 64]])
def test_other_sizes_raise(size: Any):
    with pytest.raises(ValueError, match=r"expected size as pixels or \(height, width\)"):
        pair(size)
