"""A strict reader of IDX, the format of MNIST and its relatives."""

import gzip
import math
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_DIMENSIONS = 8
MOST_INFLATION = 1032  # deflate cannot make more bytes of one
CHUNK = 1 << 20


def read_idx(path: Path | str) -> Shaped[np.ndarray, "..."]:
    """The array in an IDX file, plain or compressed with gzip, in the machine's own byte order.

    The header is checked against what the file can hold before memory is taken for the content.

    Raises:
        ValueError: no IDX file, or one that is truncated, damaged, or longer than its header says.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"expected an IDX file, got '{path}', which is none")
    with path.open("rb") as plain:
        packed = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        try:
            with gzip.open(plain) if packed else plain as stream:
                kind, shape = _header(stream, path)
                content = _content(stream, kind, shape, path, packed)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"expected whole gzip data in '{path}', got: {error}; get the file again") from error
    return np.frombuffer(content, dtype=kind).reshape(shape).astype(kind.newbyteorder("="), copy=False)


def _header(stream: BufferedIOBase, path: Path) -> tuple[np.dtype, tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\x00\x00" or magic[2] not in TYPES:
        raise ValueError(f"expected an IDX file, which begins with 0, 0 and a type, got {magic!r} in '{path}'")
    count = magic[3]
    if not 1 <= count <= MOST_DIMENSIONS:
        raise ValueError(f"expected 1 to {MOST_DIMENSIONS} dimensions in '{path}', got {count}")
    sides = stream.read(4 * count)
    shape = tuple(int.from_bytes(sides[k : k + 4], "big") for k in range(0, len(sides), 4))
    if len(sides) < 4 * count or 0 in shape:
        raise ValueError(f"expected {count} sides of at least 1 in the header of '{path}', got {shape}")
    return np.dtype(TYPES[magic[2]]), shape


def _content(stream: BufferedIOBase, kind: np.dtype, shape: tuple[int, ...], path: Path, packed: bool) -> bytearray:
    """What follows the header, read in pieces, so that memory is taken only for what is there."""
    expected = kind.itemsize * math.prod(shape)
    size = path.stat().st_size
    if expected > (size * MOST_INFLATION if packed else size):
        raise ValueError(
            f"expected {expected} bytes of shape {shape} in '{path}', as its header says, but a file of {size} bytes "
            "cannot hold them; it is truncated or damaged, get it again"
        )
    content = bytearray()
    while piece := stream.read(min(CHUNK, expected - len(content))):
        content += piece
    if len(content) < expected:
        raise ValueError(
            f"expected {expected} bytes of shape {shape} in '{path}', got {len(content)}; it is truncated, get it again"
        )
    if stream.read(1):  # at the end, this also makes gzip compare its checksum
        raise ValueError(f"expected '{path}' to end after {expected} bytes of shape {shape}, got more; it is damaged")
    return content
