"""Official files: found in a folder, or downloaded, resumed after an interruption, and verified."""

import os
from functools import lru_cache
from pathlib import Path

from unbraid.data._files.download import download
from unbraid.data.card import Card, File


def data_folder() -> Path:
    """Where official files are looked for and downloaded to: `UNBRAID_DATA`, else the system's cache folder."""
    return _named("UNBRAID_DATA") or _system_cache()


def cache_folder() -> Path:
    """Where decoded and rendered arrays are kept: `UNBRAID_CACHE`, else "cache" in the data folder if it is writable,
    else "cache" in the system's cache folder.
    """
    beside = data_folder() / "cache"
    return _named("UNBRAID_CACHE") or (beside if _writable(beside) else _system_cache() / "cache")


def locate(card: Card, file: File, folder: Path | str | None = None) -> Path:
    """Path of an official file, which is downloaded if it is nowhere and `folder` is None.

    card, file: the data set, and which of its files.
    folder: where to look, for the file itself or for a folder with the name of the data set; nothing is downloaded.

    A file that is found is not verified, so that samples and copies of the official one can be used; a download is.

    Raises:
        ValueError: the file is not in `folder`, has no url, cannot be downloaded, or is not the official one.
    """
    root = data_folder() if folder is None else Path(folder).expanduser()
    places = (root / file.name, root / card.name / file.name)
    for place in places:
        if place.exists():
            return place
    if folder is not None or file.url is None:
        hint = "" if folder is not None else ", or set UNBRAID_DATA to a folder that has it"
        raise ValueError(
            f"expected '{file.name}' of {card.title} as '{places[0]}' or '{places[1]}', but neither exists; "
            f"get it from {file.url or card.homepage}{hint}"
        )
    return download(file, places[1])


def absolute(path: Path | str) -> str:
    """The path as a run should remember it, whatever folder it is resumed from."""
    return str(Path(path).expanduser().absolute())


def checksum(path: Path | str) -> str:
    """SHA-256 of a file's content, in hexadecimal; of a folder, that of the sorted names and sizes of its files.

    Raises:
        ValueError: there is no such file.
    """
    path = Path(path)
    if path.is_dir():
        return _folder_checksum(path)
    if not path.is_file():
        raise ValueError(f"expected a file or a folder, got '{path}', which does not exist")
    state = path.stat()
    return _file_checksum(path.resolve(), state.st_size, state.st_mtime_ns, state.st_ino)


def pinned(path: Path | str, sha256: str | None) -> str:
    """The checksum, which must be `sha256` unless that is None.

    Raises:
        ValueError: it is another, or there is no such file.
    """
    found = checksum(path)
    if sha256 is not None and sha256.lower() != found:
        raise ValueError(
            f"expected '{path}' with the SHA-256 {sha256}, got {found}: it has changed since; "
            "bring the old one back, or leave sha256 out to use the new one"
        )
    return found


@lru_cache(maxsize=256)
def _file_checksum(path: Path, size: int, modified: int, number: int) -> str:
    """Kept as long as the file looks the same, since large ones take seconds."""
    import pooch

    return pooch.file_hash(str(path), alg="sha256")


def _folder_checksum(folder: Path) -> str:
    import hashlib

    files = [path for path in folder.rglob("*") if path.is_file()]
    lines = sorted(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\n" for path in files)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _named(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser() if value else None


def _system_cache() -> Path:
    import pooch

    return Path(pooch.os_cache("unbraid"))


def _writable(folder: Path) -> bool:
    """Whether the folder can be written, or made if it does not exist."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
