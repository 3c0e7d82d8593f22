"""One process at a time writes a file; others wait for it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows: there nothing keeps two processes apart
    fcntl = None

LOGGER = logging.getLogger("unbraid")


@contextmanager
def part_of(target: Path) -> Iterator[FileIO | None]:
    """The unfinished `<target>.part`, open for reading and writing and locked; None if another process finished it.

    What an earlier process wrote into it is kept. When it is whole, call `finish`.
    """
    part = target.with_name(target.name + ".part")
    stream = _locked(part, target)
    try:
        yield stream
    finally:
        if stream is not None:
            stream.close()


def finish(stream: FileIO, target: Path, name: Path | None = None) -> None:
    """Give the locked and whole part its name (or another), once it is safe on the disk."""
    os.fsync(stream.fileno())
    if fcntl is None:  # an open file cannot be renamed there
        stream.close()
    target.with_name(target.name + ".part").replace(name or target)


def write(stream: FileIO, content: bytes | memoryview) -> None:
    """Write everything; the part is not buffered, so that an interruption loses nothing."""
    content = memoryview(content)
    while content:
        content = content[stream.write(content) :]


def _locked(part: Path, target: Path) -> FileIO | None:
    while not target.exists():
        stream = _opened(part)
        _lock(stream, part)
        if not _still_at(part, stream):  # renamed by whoever held it
            stream.close()
        elif target.exists():  # finished between the two looks; this part is a new and empty one
            part.unlink()
            stream.close()
        else:
            return stream
    return None


def _opened(part: Path) -> FileIO:
    part.touch()
    return part.open("r+b", buffering=0)


def _lock(stream: FileIO, part: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        LOGGER.info("waiting for another process to finish '%s'", part)
        fcntl.flock(stream, fcntl.LOCK_EX)


def _still_at(part: Path, stream: FileIO) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), part.stat())
    except FileNotFoundError:
        return False
