"""What a table or counts come from, and the checksum that pins it."""

from pathlib import Path

from unbraid.data._files.fetch import pinned


def pinned_source(source: object, sha256: str | None) -> str | None:
    """Checksum of a file, which must be `sha256` unless that is None; None for what is in memory.

    Raises:
        ValueError: the file has another checksum, or one was given with data in memory.
    """
    if isinstance(source, str):
        return pinned(source, sha256) if Path(source).is_file() else sha256  # that there is none, reading says
    if sha256 is not None:
        raise ValueError(f"expected sha256 only with a file, got it with data in memory ({type(source).__name__})")
    return None
