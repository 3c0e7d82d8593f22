"""The text files of CelebA: attributes of every image, and which part it is in; read strictly."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

SIGNS = {"1": 1, "-1": 0}


@dataclass(frozen=True)
class Attributes:
    """What the attribute file says.

    attributes: their names.
    row: of each image, by its file's name.
    values: `[row, attribute]`.
    """

    attributes: tuple[str, ...]
    row: dict[str, int]
    values: Bool[np.ndarray, "row attribute"]


def read_attributes(path: Path) -> Attributes:
    """Parse `list_attr_celeba.txt`: a count, the names of the attributes, then a file name and 1 or -1 for each.

    Raises:
        ValueError: no text, another count of images than the first line says, attributes that are named twice, a row of
            another length, a value other than 1 and -1, or an image that is listed twice.
    """
    lines = _lines(path)
    if len(lines) < 3 or not is_count(lines[0].strip()):
        raise ValueError(f"expected a count, names and rows in {path.name}, got {_shown(lines[:1])} first")
    count, names, rows = int(lines[0]), tuple(lines[1].split()), [line for line in lines[2:] if line.strip()]
    if len(rows) != count:
        raise ValueError(f"expected {count} images in {path.name}, as it says first, got {len(rows)}; get it again")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"expected different names of attributes in line 2 of {path.name}, got {_shown(names)}")
    row: dict[str, int] = {}
    content = bytearray()
    for number, line in enumerate(rows):
        name, *values = line.split()
        if len(values) != len(names) or name in row or not SIGNS.keys() >= set(values):
            raise _bad_row(path, name, values, len(names), name in row)
        row[name] = number
        content += bytes([SIGNS[value] for value in values])
    return Attributes(names, row, np.frombuffer(bytes(content), dtype=bool).reshape(count, len(names)))


def read_partition(path: Path) -> dict[str, int]:
    """Parse `list_eval_partition.txt`: a file name and 0 (train), 1 (validation) or 2 (test) in each row.

    Raises:
        ValueError: no text, a row of another form, or an image that is listed twice.
    """
    parts: dict[str, int] = {}
    for number, line in enumerate(_lines(path), 1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2 or fields[1] not in ("0", "1", "2") or fields[0] in parts:
            raise ValueError(
                f"expected a new image and 0, 1 or 2 in line {number} of {path.name}, got {_shown([line])}; "
                "get it again, or take it away to go by the numbers of the images"
            )
        parts[fields[0]] = int(fields[1])
    return parts


def is_count(word: str) -> bool:
    """Whether a word is a whole number of at most nine plain digits, which `int` reads as it stands."""
    return word.isascii() and word.isdigit() and len(word) < 10


def _bad_row(path: Path, name: str, values: Sequence[str], count: int, again: bool) -> ValueError:
    wrong = next((value for value in values if value not in SIGNS), None)
    found = "it twice" if again else f"'{wrong[:20]}'" if wrong is not None else f"{len(values)} values"
    return ValueError(
        f"expected {_shown([name])} once in {path.name}, with {count} values of 1 or -1, got {found}; get it again"
    )


def _shown(words: Sequence[str]) -> str:
    return ascii(" ".join(words)[:60])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"expected text in '{path}', got bytes that are none ({error.reason}); get it again"
        ) from error
