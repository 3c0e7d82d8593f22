"""Folders, zip and tar files behind one face, read without extracting anything."""

import io
import os
import stat
import struct
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

from unbraid.data._files.members import LIMIT, SPECIAL, Archive
from unbraid.data._files.tar import Tar

__all__ = ["Archive", "open_archive"]


def open_archive(path: Path | str, limit: int = LIMIT) -> Archive:
    """A folder, zip, tar or gzipped tar file, told by its content, to be used in a `with` statement.

    limit: bytes that one member may have.

    Raises:
        ValueError: it does not exist, is none of these, is damaged or encrypted, or has a member that is refused:
            an absolute name or one with "..", a link, a device, one that is too large, or two of the same name.
    """
    path = Path(path)
    if path.is_dir():
        return _Folder(path, limit)
    if not path.is_file():
        raise ValueError(f"expected a folder or an archive at '{path}', but there is none")
    with path.open("rb") as stream:
        start = stream.read(4)
    if not start:
        raise ValueError(f"expected a zip, tar or tar.gz file, but '{path}' is empty")
    if start.startswith((b"PK\3\4", b"PK\5\6")):
        return _Zip(path, limit)
    return Tar(path, limit, packed=start.startswith(b"\x1f\x8b"))


class _Folder(Archive):
    def names(self) -> list[str]:
        seen: dict[str, None] = {}
        for place, folders, files in os.walk(self.path, onerror=self._unreadable):
            for name in folders + files:
                path = Path(place, name)
                state, inside = path.lstat(), path.relative_to(self.path).as_posix()
                if stat.S_ISREG(state.st_mode):
                    seen[self.checked(inside, seen, state.st_size)] = None
                elif not stat.S_ISDIR(state.st_mode):
                    raise self.refuse(f"{inside!a} is {SPECIAL}")
        return sorted(seen)

    def _unreadable(self, error: OSError) -> None:
        raise self.refuse(f"a folder cannot be read: {error}") from error

    def items(self, names: Collection[str] | None = None) -> Iterator[tuple[str, bytes]]:
        stored = self.names()
        missing = set(names or ()).difference(stored)
        if missing:
            raise self.missing(missing)
        wanted = set(stored if names is None else names)
        for name in stored:
            if name in wanted:
                with self.reading():
                    content = (self.path / name).read_bytes()
                yield name, content


class _Zip(Archive):
    def __init__(self, path: Path, limit: int):
        super().__init__(path, limit)
        self.members: dict[str, zipfile.ZipInfo] = {}
        with self.reading():
            self.file = self.opened.enter_context(zipfile.ZipFile(path))
        with self.opened.pop_all() as opened:  # closed at once if a member is refused
            self._count()
            for member in self.file.infolist():
                if not member.filename.endswith("/") or member.file_size:
                    self._add(member)
            self.opened = opened.pop_all()

    def _count(self) -> None:
        """The library takes the members it finds; the directory at the end also says how many there are."""
        with self.reading(), self.path.open("rb") as stream:
            stream.seek(-len(self.file.comment) - 22, os.SEEK_END)
            (declared,) = struct.unpack("<10xH", stream.read(12))
        found = len(self.file.infolist())
        if declared not in (found & 0xFFFF, 0xFFFF):  # the latter in zip64
            raise self.refuse(f"there are {found} members, but it declares {declared}")

    def _add(self, member: zipfile.ZipInfo) -> None:
        if member.filename.endswith("/") or stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise self.refuse(f"{member.filename!a} is {SPECIAL}")
        if member.flag_bits & 1:
            raise self.refuse(f"{member.filename!a} is encrypted; unpack it and pass the folder")
        name = self.checked(member.filename.replace("\\", "/"), self.members, member.file_size)
        self.members[name] = member

    def names(self) -> list[str]:
        return list(self.members)

    def items(self, names: Collection[str] | None = None) -> Iterator[tuple[str, bytes]]:
        missing = set(names or ()).difference(self.members)
        if missing:
            raise self.missing(missing)
        wanted = self.members if names is None else set(names)
        for name, member in self.members.items():
            if name in wanted:
                yield name, self._content(name, member)

    def read(self, name: str) -> bytes:
        if name not in self.members:
            raise self.missing([name])
        return self._content(name, self.members[name])

    def stream(self, name: str) -> io.BufferedIOBase:
        if name not in self.members:
            raise self.missing([name])
        with self.reading():
            return self.opened.enter_context(self.file.open(self.members[name]))  # type: ignore[return-value]

    def _content(self, name: str, member: zipfile.ZipInfo) -> bytes:
        with self.reading():
            content = self.file.read(member)  # never more than the size it declares
        if len(content) != member.file_size:
            raise self.refuse(f"{name!a} has {len(content)} bytes, but declares {member.file_size}")
        return content
