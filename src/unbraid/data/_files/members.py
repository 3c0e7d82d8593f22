"""What archives of every kind have in common: names, contents, and what is refused."""

import io
import lzma
import re
import struct
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType

LIMIT = 1 << 30  # bytes of one member
MEMBERS = 2_000_000
SPECIAL = "a link, a device or another special file"
OUTSIDE = re.compile(r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^[A-Za-z]:[/\\]|^$")
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # the last ones are bytes that are not UTF-8
BROKEN = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    MemoryError,
    RuntimeError,  # also NotImplementedError, of compressions, and RecursionError, of nested headers
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)


class RefusedError(ValueError):
    """Refused, with a message that needs no other."""


class Archive(ABC):
    """Named contents; see `open_archive`."""

    def __init__(self, path: Path, limit: int):
        self.path, self.limit = path, limit
        self.opened = ExitStack()

    def __enter__(self) -> "Archive":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what is open."""
        self.opened.close()

    @abstractmethod
    def names(self) -> list[str]:
        """Names of the regular files with "/" between folders, in stored order; those of a folder sorted.

        Raises:
            ValueError: the archive is damaged, or has a member that is refused.
        """

    @abstractmethod
    def items(self, names: Collection[str] | None = None) -> Iterator[tuple[str, bytes]]:
        """Names and contents in stored order, in one pass; only those of `names`, if given.

        Raises:
            ValueError: a name is missing, the archive is damaged, or has a member that is refused.
        """

    def read(self, name: str) -> bytes:
        """Content of one file; `items` is quicker for several.

        Raises:
            ValueError: there is no such file, the archive is damaged, or has a member that is refused.
        """
        return next(content for _, content in self.items([name]))

    def stream(self, name: str) -> io.BufferedIOBase:
        """One file to read piece by piece; one in a zip is not held in memory. Read within `reading()`.

        Raises:
            ValueError: there is no such file, the archive is damaged, or has a member that is refused.
        """
        return io.BytesIO(self.read(name))

    def refuse(self, reason: str) -> RefusedError:
        """The error to raise, for a reason that follows "but in this archive"."""
        return RefusedError(f"expected an archive that is safe and whole, but in '{self.path}' {reason}")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Say in one way what the libraries say in many."""
        try:
            yield
        except RefusedError:
            raise
        except BROKEN as error:
            reason = str(error) or type(error).__name__
            raise ValueError(
                f"expected a whole zip, tar or tar.gz file, but '{self.path}' is none, or damaged: {reason}"
            ) from error

    def checked(self, name: str, seen: Collection[str], size: int) -> str:
        """The name in one form, if it and the size are acceptable, and it is not among those seen before.

        Raises:
            ValueError: they are not.
        """
        shown = ascii(name[:200])
        if OUTSIDE.search(name):
            raise self.refuse(f"the name {shown} leads out of it")
        plain = PurePosixPath(name).as_posix()
        if plain == "." or UNPRINTABLE.search(plain):
            raise self.refuse(f"the name {shown} is no UTF-8 text that can be printed")
        if plain in seen:
            raise self.refuse(f"the name {shown} comes twice")
        if not 0 <= size <= self.limit:
            raise self.refuse(f"{shown} has {size} bytes, more than {self.limit}")
        if len(seen) >= MEMBERS:
            raise self.refuse(f"there are more than {MEMBERS} members")
        return plain

    def missing(self, names: Collection[str]) -> ValueError:
        """The error to raise if files that were asked for are not there."""
        some = ", ".join(f"'{name}'" for name in sorted(names)[:3])
        return ValueError(f"expected {some} in '{self.path}', but {len(names)} of the files asked for are not there")
