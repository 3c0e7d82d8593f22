"""Arrays that take long to make: made once, a chunk at a time, and memory-mapped from a file ever after."""

import hashlib
import io
import json
import logging
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from numpy.typing import DTypeLike

from unbraid.data._files.fetch import cache_folder
from unbraid.data._files.lock import finish, part_of, write
from unbraid.progress import ProgressBar

LOGGER = logging.getLogger("unbraid")
FORMAT = 1  # of the files; with another one they are made anew


def cached_rows(
    name: str,
    key: dict[str, Any],
    count: int,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    make: Callable[[int, int], np.ndarray],
    chunk: int = 1024,
    what: str = "",
) -> Shaped[np.ndarray, "count *shape"]:
    """A read-only memory map of `[count, *shape]`: found in the cache folder, else made by `make` and kept there.

    name, key: what the rows are made from, in plain values; another key is another file.
    make: the rows from start to stop, whenever it is asked the same ones. Chunks are asked for in order, the first
        being the one at which an earlier process was interrupted.
    what: what is made, for messages.

    Several processes may ask for the same rows: one makes them, the others wait for it.

    Raises:
        ValueError: the cache folder cannot be written, or has no space left.
    """
    assert count > 0
    rows = _Rows((count, *shape), np.dtype(dtype))
    text = json.dumps({"format": FORMAT, "key": key, "shape": rows.shape, "dtype": rows.dtype.str}, sort_keys=True)
    path = cache_folder() / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npy"
    what = what or name
    try:
        found = rows.mapped(path)
        if found is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".json").write_text(text + "\n")
            _write(path, rows, make, chunk, what)
            found = rows.mapped(path)
    except OSError as error:
        raise ValueError(
            f"expected to keep {what} in '{path.parent}', but {error}; "
            "set UNBRAID_CACHE to a folder that you can write and that has space"
        ) from error
    assert found is not None
    return found


@dataclass(frozen=True)
class _Rows:
    """What a file must hold."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def row(self) -> int:
        """Bytes of one row."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def header(self) -> bytes:
        """How the file starts."""
        stream = io.BytesIO()
        description = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(stream, description)
        return stream.getvalue()

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return len(self.header) + self.shape[0] * self.row

    def mapped(self, path: Path) -> np.memmap | None:
        """The rows of a file; None if there is none. A damaged one is set aside."""
        if not path.exists():
            return None
        with path.open("rb") as stream:
            whole = stream.read(len(self.header)) == self.header and path.stat().st_size == self.size
        if whole:
            return np.memmap(path, self.dtype, "r", len(self.header), self.shape)
        damaged = path.with_name(path.name + ".damaged")
        path.replace(damaged)
        LOGGER.warning("'%s' is damaged and was renamed to '%s'; it is made again", path, damaged.name)
        return None


def _write(path: Path, rows: _Rows, make: Callable[[int, int], np.ndarray], chunk: int, what: str) -> None:
    """Make what is missing, unless another process does."""
    with part_of(path) as part:
        if part is None:
            return
        start = _resumed(part, rows, chunk)
        left = (rows.shape[0] - start) * rows.row
        free = shutil.disk_usage(path.parent).free
        if left > free:
            raise OSError(f"it needs {left / 1e6:.0f} MB and has {free / 1e6:.0f} MB left")
        with ProgressBar(what, rows.shape[0], "rows") as progress:
            progress.show(start)
            for begin in range(start, rows.shape[0], chunk):
                end = min(begin + chunk, rows.shape[0])
                made = make(begin, end)
                assert made.shape == (end - begin, *rows.shape[1:])
                assert made.dtype == rows.dtype
                write(part, np.ascontiguousarray(made).tobytes())
                progress.show(end)
        finish(part, path)


def _resumed(part: FileIO, rows: _Rows, chunk: int) -> int:
    """Number of rows that the part already has, in whole chunks; what comes after them is cut off."""
    size = part.seek(0, os.SEEK_END)
    part.seek(0)
    if part.read(len(rows.header)) != rows.header:
        part.truncate(0)
        part.seek(0)
        write(part, rows.header)
        return 0
    done = (size - len(rows.header)) // (rows.row * chunk) * chunk
    if size == rows.size:
        done = rows.shape[0]
    part.truncate(len(rows.header) + done * rows.row)
    part.seek(0, os.SEEK_END)
    return done
