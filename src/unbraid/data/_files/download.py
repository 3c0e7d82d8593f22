"""Download over HTTP that goes on where it stopped, and whose content is verified."""

import logging
import os
import re
import time
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from unbraid.data._files.lock import finish, part_of, write
from unbraid.data.card import File
from unbraid.progress import ProgressBar

if TYPE_CHECKING:
    import requests

CHUNK = 1 << 18
TIMEOUT = (20.0, 60.0)  # seconds to connect, and between two pieces
LOGGER = logging.getLogger("unbraid")


class _TryAgainError(Exception):
    """The connection failed in a way that may pass."""


def download(file: File, target: Path, retries: int = 4, pause: float = 1.0) -> Path:
    """Download `file` to `target`; what an interrupted download left in `<target>.part` is continued.

    Several processes may ask for the same file: one downloads, the others wait for it.

    retries: attempts that may fail one after the other before giving up; one that made progress does not count.
    pause: seconds before the first of them, doubled each time.

    Raises:
        ValueError: it cannot be downloaded or written, or its SHA-256 is not the official one; in the latter case
            it is kept as `<target>.unverified`.
    """
    assert file.url is not None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part_of(target) as part:
            if part is not None:
                _fill(part, file, target, retries, pause)
                _accept(part, file, target)
    except OSError as error:
        raise _failure(file, target, f"it cannot be written ({error})") from error
    return target


def _fill(part: FileIO, file: File, target: Path, retries: int, pause: float) -> None:
    """Try until the part is whole."""
    failed = best = 0
    with ProgressBar(f"downloading {file.name}", file.size) as progress:
        while True:
            best = max(best, _length(part))
            try:
                return _attempt(part, file, target, progress)
            except _TryAgainError as error:
                failed = 1 if _length(part) > best else failed + 1
                if failed > retries:
                    raise _failure(file, target, str(error)) from error
                LOGGER.info("downloading %s: %s; trying again", file.name, error)
                time.sleep(pause * 2 ** (failed - 1))


def _attempt(part: FileIO, file: File, target: Path, progress: ProgressBar) -> None:
    """One request, for what is missing.

    Raises:
        _TryAgainError: it may work later.
        ValueError: it will not.
    """
    import requests
    import urllib3

    assert file.url is not None
    tag = target.with_name(target.name + ".part.tag")
    have = _usable(part, file, tag)
    if have and have == file.size:
        return
    try:
        with requests.get(file.url, headers=_headers(have, tag), stream=True, timeout=TIMEOUT) as response:
            start, total = _position(response, file, target, part)
            part.seek(start)
            part.truncate()
            if start == 0:  # only now, so that it never stands beside bytes of another version
                tag.write_text(_validator(response))
            progress.expect(total)
            _copy(response, part, total, progress)
    except requests.exceptions.InvalidURL as error:
        raise _failure(file, target, str(error)) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _TryAgainError(f"the connection failed ({type(error).__name__})") from error


def _usable(part: FileIO, file: File, tag: Path) -> int:
    """Bytes of the part that can be continued; none if nothing could tell whether the rest belongs to them."""
    have = _length(part)
    told = file.sha256 is not None or (tag.exists() and tag.read_text() != "")
    if not told or (file.size is not None and have > file.size):
        part.truncate(0)
        return 0
    return have


def _headers(have: int, tag: Path) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}  # what is verified is the file itself
    if have:
        headers["Range"] = f"bytes={have}-"
        validator = tag.read_text() if tag.exists() else ""
        if validator:
            headers["If-Range"] = validator
    return headers


def _validator(response: "requests.Response") -> str:
    """What tells this version of the file from another one: a strong entity tag, else a date, else nothing."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _position(response: "requests.Response", file: File, target: Path, part: FileIO) -> tuple[int, int | None]:
    """Where in the file the response starts, and how long the whole file is, if the server says so."""
    status, length, have = response.status_code, response.headers.get("Content-Length", ""), _length(part)
    piece = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if status == 200:
        start, total = 0, int(length) if length.isdecimal() else None
    elif status == 206 and piece and piece[1] == str(have):
        start, total = have, int(piece[2]) if piece[2] != "*" else None
    elif status == 416 and piece and piece[2] == str(have):  # it was whole already
        start, total = have, have
    elif status in (206, 416):
        part.truncate(0)
        raise _TryAgainError("the server cannot continue what is there")
    elif status in (408, 425, 429) or status >= 500:
        raise _TryAgainError(f"the server answered {status} {response.reason}")
    else:
        raise _failure(file, target, f"the server answered {status} {response.reason}")
    if total is not None and file.size is not None and total != file.size:
        raise _failure(file, target, f"there it has {total} bytes, but the official file has {file.size}")
    return start, file.size if total is None else total


def _copy(response: "requests.Response", part: FileIO, total: int | None, progress: ProgressBar) -> None:
    """Append the response to the part as it was sent.

    Raises:
        _TryAgainError: it ended early.
    """
    if response.status_code != 416:
        for piece in response.raw.stream(CHUNK, decode_content=False):
            write(part, piece)
            progress.show(_length(part))
    have = _length(part)
    if total is not None and have != total:
        raise _TryAgainError(f"the connection ended after {have} of {total} bytes")


def _accept(part: FileIO, file: File, target: Path) -> None:
    """Give the part the file's name if it is the official file, else another one."""
    import pooch

    found = pooch.file_hash(str(part.name), alg="sha256")
    target.with_name(target.name + ".part.tag").unlink(missing_ok=True)
    if file.sha256 in (None, found):
        return finish(part, target)
    kept = _free(target.with_name(target.name + ".unverified"))
    finish(part, target, kept)
    raise ValueError(
        f"expected '{file.name}' from {file.url} with SHA-256 {file.sha256}, but what came has {found}; it is kept as "
        f"'{kept}'. If you trust it, rename it to '{target.name}'; otherwise try again, or {_by_hand(file, target)}"
    )


def _free(path: Path) -> Path:
    """The path, numbered if it is taken."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in range(2, 1000))
    return path if not path.exists() else next(other for other in numbered if not other.exists())


def _failure(file: File, target: Path, reason: str) -> ValueError:
    return ValueError(f"expected to download '{file.name}' from {file.url}, but {reason}; {_by_hand(file, target)}")


def _by_hand(file: File, target: Path) -> str:
    return f"get it by hand and put it at '{target}', or set UNBRAID_DATA to a folder that has it"


def _length(part: FileIO) -> int:
    return part.seek(0, os.SEEK_END)
