"""Arrays in .npz files, read piece by piece and without ever loading a pickle."""

import io
import math
import tokenize
import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped
from numpy.typing import DTypeLike

from unbraid.data._files.archives import Archive


class Member:
    """An array in an open archive, from its first row on.

    Raises:
        ValueError: there is none of this name, or it has not this shape and type; its content is not looked at.
    """

    def __init__(self, archive: Archive, name: str, shape: Sequence[int], dtype: DTypeLike):
        self.archive, self.name, self.shape, self.dtype = archive, name, tuple(shape), np.dtype(dtype)
        self.file = archive.stream(f"{name}.npy")
        found = self._header()
        expected = (self.shape, False, self.dtype)
        if found != expected:
            raise ValueError(
                f"expected '{name}' in '{archive.path}' as an array of {self.dtype} of shape {self.shape}, got one of "
                f"{found[2]} of shape {found[0]}{' in Fortran order' if found[1] else ''}"
            )
        self.position = 0

    def rows(self, start: int, stop: int) -> Shaped[np.ndarray, "row *shape"]:
        """The rows from start to stop; those in between are skipped.

        Raises:
            ValueError: the file is damaged.
        """
        assert start >= self.position
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        while self.position < start:
            step = min(start - self.position, max(1, (1 << 22) // row))
            self._bytes(step * row)
            self.position += step
        content = self._bytes((stop - start) * row)
        self.position = stop
        if stop == self.shape[0]:
            self._end()
        return np.frombuffer(content, self.dtype).reshape(stop - start, *self.shape[1:])

    def _bytes(self, count: int) -> bytes:
        with self.archive.reading():
            content = self.file.read(count)
        if len(content) != count:
            raise self.archive.refuse(f"'{self.name}' is shorter than its header says")
        return content

    def _end(self) -> None:
        with self.archive.reading():
            more = self.file.read(1)  # the checksum is compared here
            self.file.close()
        if more:
            raise self.archive.refuse(f"'{self.name}' is longer than its header says")

    def _header(self) -> tuple[tuple[int, ...], bool, np.dtype]:
        with self.archive.reading(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that Python 2 wrote
            try:
                return _header(self.file)
            except (TypeError, SyntaxError, tokenize.TokenError) as error:
                raise self.archive.refuse(f"'{self.name}' is no array: {error}") from error


def _header(file: io.BufferedIOBase) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file)
    raise ValueError(f"expected an array file of version 1.0 or 2.0, got {version}")
