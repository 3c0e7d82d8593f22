"""People's own images: a tree of folders, or an archive of one, whose folder names say what the images are."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Int

from unbraid.configuration import Plain
from unbraid.data._files.archives import open_archive
from unbraid.data._files.fetch import absolute, pinned
from unbraid.data._files.images import SUFFIXES, Channels, Pictures, decoded, hidden, pair
from unbraid.data._split import SPLITS, Split, split_number, stratified_by

Level = Literal["split", "population", "label"]
LEVELS: tuple[str, ...] = get_args(Level)
SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
VALIDATION = 0.1  # share of the train folders, where there are folders for train and test but none for validation


class ImageFolder(Pictures):
    """Images in a folder, a .zip or a .tar; the names of the folders they lie in say what they are.

    A folder that everything lies in is skipped, and so are folders below the ones that `levels` names. Hidden files
    and files without the ending of an image format are left out (`facts` says how many). Populations and classes are
    in natural order of their folders' names ("2" before "10"). Images are cropped to the largest centred rectangle
    of the shape that is wanted, and resized, once: the result is kept in the cache.

    path: of the folder or archive.
    size: pixels, or (height, width).
    channels: 3 for colour, 1 for grey.
    levels: what the folder names mean, from the outside in; the default is one folder a population. With "split"
        the folders train, validation (or val) and test are the parts, and a tenth of train is for validation if there
        is no folder for it; without it the parts are drawn. Draws go by `seed` and keep the proportions of
        populations and classes.
    split: which part; "all" for all images.
    seed: of the split.
    sha256: of the archive; of a folder, that of its files' names and sizes. None takes what is there, and the run
        keeps it: other content is refused when the run is resumed.

    files: name of every observation's file.

    Raises:
        ValueError: nothing readable at `path`, other content than `sha256` says, no image, one that cannot be
            decoded or does not lie deep enough, a folder without images, fewer than two populations, or a
            population without images in this part.
    """

    def __init__(
        self,
        path: Path | str,
        size: int | Sequence[int] = 64,
        channels: Channels = 3,
        levels: Sequence[Level] = ("population",),
        split: Split | Literal["all"] = "train",
        seed: int = 0,
        sha256: str | None = None,
    ):
        self.path, self.seed, self.levels = absolute(path), seed, _checked_levels(levels)
        self.split: Split | Literal["all"] = split
        height, width = pair(size)
        self.size = size if isinstance(size, int) else (height, width)
        self.channels: Channels = channels
        self.shape = (channels, height, width)
        place = Path(path).expanduser()
        self.sha256 = pinned(place, sha256)
        tree = _read_tree(place, self.levels)
        self._left_out = tree.left_out
        parts = _parts(tree, seed)
        chosen = np.arange(len(tree.names)) if split == "all" else parts[split_number(split)]
        key = cache(_natural)  # the same folders and the same numbers come again and again
        self.chosen = np.array(sorted(chosen.tolist(), key=lambda k: [*map(key, tree.names[k].split("/"))]), int)
        self.files = [tree.names[k] for k in self.chosen]
        self._name(tree)
        self.pixels = decoded(place, self.sha256, tree.names, (height, width), channels)

    def facts(self) -> dict[str, Plain]:
        """SHA-256 of what was read, and how many images and other files there are."""
        images = len(self.pixels)
        return {"files": {Path(self.path).name: self.sha256}, "images": images, "left_out": self._left_out}

    def _name(self, tree: "_Tree") -> None:
        """Populations and classes of the chosen images."""
        if not len(self.chosen):
            raise ValueError(f"expected images in the {self.split} part of '{self.path}', got none; add some")
        if "label" in self.levels:
            self.classes, labels = tree.column("label")
            self.labels = labels[self.chosen]
        if "population" in self.levels:
            self.populations, population = tree.column("population")
            self.population = population[self.chosen]
            counts = np.bincount(self.population, minlength=len(self.populations))
            if len(counts) < 2 or not counts.all():
                found = dict(zip(self.populations, counts.tolist(), strict=True))
                raise ValueError(
                    f"expected at least two populations, each with images in the {self.split} part, in "
                    f"'{self.path}', got {found}; add images, or say what the folders mean with levels="
                )


@dataclass(frozen=True)
class _Tree:
    """The images of an archive, in stored order.

    names: of the images.
    folders: of each image, those that `levels` speaks of.
    left_out: how many other files there are.
    """

    names: list[str]
    folders: list[tuple[str, ...]]
    levels: tuple[Level, ...]
    left_out: int

    def column(self, level: Level) -> tuple[tuple[str, ...], Int[np.ndarray, " image"]]:
        """The distinct folders of a level in natural order, and which of them each image lies in."""
        values = [folders[self.levels.index(level)] for folders in self.folders]
        distinct = sorted(set(values), key=_natural)
        place = {value: k for k, value in enumerate(distinct)}
        return tuple(distinct), np.array([place[value] for value in values], dtype=np.int64)


def _read_tree(path: Path, levels: tuple[Level, ...]) -> _Tree:
    with open_archive(path) as archive:
        everything = archive.names()
    shown = [name for name in everything if not hidden(name)]
    names = [name for name in shown if name.lower().endswith(SUFFIXES)]
    if not names:
        raise ValueError(f"expected images ({', '.join(SUFFIXES)}) in '{path}', got {len(everything)} other files")
    parts = [name.split("/") for name in names]
    inner = [tuple(name.split("/")[:-1]) for name in shown] + _directories(path)
    skipped = _common(inner, min(map(len, parts)) - 1 - len(levels))
    depth = skipped + len(levels)
    stray = next((name for name, part in zip(names, parts, strict=True) if len(part) <= depth), None)
    if stray is not None:
        raise ValueError(
            f"expected every image of '{path}' in folders that say {' and '.join(levels)}, got '{stray}'; "
            "move it, or say what the folders mean with levels="
        )
    folders = [tuple(part[skipped:depth]) for part in parts]
    bare = {part[skipped:depth] for part in inner if len(part) >= depth} - set(folders)
    if bare:
        raise ValueError(f"expected images in every folder of '{path}', got none in '{'/'.join(min(bare))}'; remove it")
    return _Tree(names, folders, levels, len(everything) - len(names))


def _parts(tree: _Tree, seed: int) -> list[Int[np.ndarray, " part"]]:
    """Train, validation and test, by folders if they say, else drawn in proportion."""
    kept = [k for k, level in enumerate(tree.levels) if level != "split"]
    groups = np.unique([" / ".join(folders[k] for k in kept) for folders in tree.folders], return_inverse=True)[1]
    if "split" not in tree.levels:
        return stratified_by(tree.names, groups, seed)
    place, found = tree.levels.index("split"), {folders[tree.levels.index("split")] for folders in tree.folders}
    unknown = sorted(name for name in found if name.lower() not in SPLIT_FOLDERS)
    if unknown:
        raise ValueError(f"expected folders named {', '.join(SPLIT_FOLDERS)} at the level of the split, got {unknown}")
    part = np.array([SPLITS.index(SPLIT_FOLDERS[folders[place].lower()]) for folders in tree.folders])
    train, validation, test = (np.flatnonzero(part == k) for k in range(len(SPLITS)))
    if not len(validation):
        names = [tree.names[k] for k in train]
        first, second, _ = stratified_by(names, groups[train], seed, (1 - VALIDATION, VALIDATION, 0.0))
        train, validation = train[first], train[second]
    return [train, validation, test]


def _checked_levels(levels: Sequence[Level]) -> tuple[Level, ...]:
    if isinstance(levels, str) or len(set(levels)) < len(levels) or not set(levels) <= set(LEVELS):
        raise ValueError(f"expected levels as some of {LEVELS}, each once, in the order of the folders, got {levels!r}")
    return tuple(levels)


def _common(folders: Collection[tuple[str, ...]], most: int) -> int:
    """How many folders, one in the other, are around everything; at most so many."""
    skipped = 0
    while skipped < most and len({folder[skipped] for folder in folders if len(folder) > skipped}) == 1:
        skipped += 1
    return skipped


def _directories(path: Path) -> list[tuple[str, ...]]:
    """Every folder of a real folder, for an empty one has no files that would show it."""
    if not path.is_dir():
        return []
    inner = (folder.relative_to(path) for folder in path.rglob("*") if folder.is_dir())
    return [folder.parts for folder in inner if not hidden(folder.as_posix())]


def _natural(name: str) -> tuple[list[tuple[str | int, ...]], str]:
    """A key that sorts numbers inside names by value, and letters regardless of case."""
    pieces: list[tuple[str | int, ...]] = []
    for k, piece in enumerate(re.split(r"([0-9]+)", name)):
        digits = piece.lstrip("0")
        pieces.append((len(digits), digits) if k % 2 else (piece.casefold(),))
    return pieces, name
