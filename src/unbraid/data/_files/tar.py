"""Tar files, plain and gzipped, read in one pass."""

import gzip
import io
import tarfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from unbraid.data._files.members import MEMBERS, SPECIAL, Archive

BLOCK = 512  # bytes, in which tar files are counted
PIECE = 1 << 20  # bytes read at once


class Tar(Archive):
    """A tar file; `packed` if it is gzipped."""

    def __init__(self, path: Path, limit: int, packed: bool):
        super().__init__(path, limit)
        self.packed = packed
        with self._open():  # is it one at all?
            pass

    def names(self) -> list[str]:
        return [name for name, _, _ in self._members()]

    def items(self, names: Collection[str] | None = None) -> Iterator[tuple[str, bytes]]:
        wanted = None if names is None else set(names)
        if wanted == set():
            return
        for name, member, stream in self._members():
            if wanted is None or name in wanted:
                yield name, self._content(name, member, stream)
            if wanted is not None:
                wanted.discard(name)
                if not wanted:
                    return
        if wanted:
            raise self.missing(wanted)

    @contextmanager
    def _open(self) -> Iterator[tuple[tarfile.TarFile, "_Pieces"]]:
        with self.path.open("rb") as plain:
            stream = _Pieces(gzip.GzipFile(fileobj=plain) if self.packed else plain)
            with self.reading():
                tar = tarfile.open(fileobj=stream, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115
            yield tar, stream

    def _members(self) -> Iterator[tuple[str, tarfile.TarInfo, "_Pieces"]]:
        """The regular files, in one pass; whatever follows one is read only after the caller is done with it."""
        seen: set[str] = set()
        count = 0
        with self._open() as (tar, stream):
            while True:
                with self.reading():
                    member = tar.next()
                if member is None:
                    break
                count += 1
                if count > MEMBERS:
                    raise self.refuse(f"there are more than {MEMBERS} members")
                if member.isdir():
                    continue
                if not member.isreg() or member.issparse():
                    raise self.refuse(f"{member.name!a} is {SPECIAL}")
                name = self.checked(member.name, seen, member.size)
                seen.add(name)
                yield name, member, stream
            self._check_end(stream)

    def _check_end(self, stream: "_Pieces") -> None:
        """A tar file ends with a block of zeros, a gzipped one also with a checksum."""
        if stream.last != bytes(BLOCK):
            raise self.refuse("the end is missing, or a header is damaged")
        with self.reading():
            for _ in range(16):  # some are padded, though never this far
                if not stream.read(PIECE):
                    break

    def _content(self, name: str, member: tarfile.TarInfo, stream: "_Pieces") -> bytes:
        content = bytearray()
        with self.reading():
            stream.seek(member.offset_data)
            while len(content) < member.size:
                piece = stream.read(min(PIECE, member.size - len(content)))
                if not piece:
                    raise self.refuse(f"{name!a} has {len(content)} bytes, but declares {member.size}")
                content += piece
        return bytes(content)


class _Pieces:
    """A file of which nobody reads much at once, whatever a damaged header says; remembers what was read last."""

    def __init__(self, file: io.BufferedIOBase):
        self.file = file
        self.last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= 16 * PIECE:
            raise ValueError(f"a header declares {size} bytes")
        self.last = self.file.read(size)
        return self.last

    def seek(self, position: int) -> int:
        return self.file.seek(position)

    def tell(self) -> int:
        return self.file.tell()
