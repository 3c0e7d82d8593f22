"""Where data come from, and under what terms they may be used; kept with every run on them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class File:
    """An official file.

    name: as its publishers call it.
    url: where it is published; None if they ask for something first (a form, an account).
    sha256: of the official file, 64 hexadecimal digits; None if nobody has published one.
    size: bytes, or None if unknown.
    """

    name: str
    url: str | None = None
    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class Card:
    """What a data set is.

    name: as on the command line.
    title: as in a sentence.
    licence: as its publishers state it.
    citation: what to cite.
    homepage: where to read about it.
    files: what is downloaded, or must be there; none for data that are generated.
    observations: how many the official files hold.
    note: what must be said beside figures made from it; empty if nothing.
    """

    name: str
    title: str
    licence: str
    citation: str
    homepage: str
    files: tuple[File, ...] = ()
    observations: int | None = None
    note: str = ""
