"""Oxford's 17 Flowers: 80 photographs of each of 17 species."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int

from unbraid.configuration import Plain
from unbraid.data._files.archives import open_archive
from unbraid.data._files.fetch import absolute, checksum
from unbraid.data._files.images import Pictures, decoded, located, pair
from unbraid.data._split import Split, split_number, stratified_by
from unbraid.data.card import Card, File

PER_CLASS = 80
CLASSES = (
    "daffodil",
    "snowdrop",
    "lily of the valley",
    "bluebell",
    "crocus",
    "iris",
    "tigerlily",
    "tulip",
    "fritillary",
    "sunflower",
    "daisy",
    "coltsfoot",
    "dandelion",
    "cowslip",
    "buttercup",
    "windflower",
    "pansy",
)
ARCHIVE = File(
    "17flowers.tgz",
    "https://www.robots.ox.ac.uk/~vgg/data/flowers/17/17flowers.tgz",
    "fe38a60f8b4a95e657551247d3e7d799a3fafcdbc595be504b12839967823d70",
)
CARD = Card(
    name="flowers",
    title="17 Category Flowers",
    licence="unclear; photographs from the web and by the authors, for research",
    citation="Nilsback, Zisserman (2006). A Visual Vocabulary for Flower Classification. CVPR.",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/flowers/17/",
    files=(ARCHIVE,),
    observations=PER_CLASS * len(CLASSES),
)


class Flowers17(Pictures):
    """Photographs of 17 species of flowers, 80 of each (Nilsback & Zisserman 2006), as classes.

    Image NNNN is of class (NNNN - 1) // 80, in the order of `CLASSES`. Images are cropped to the centred square and
    resized. The parts are drawn with `seed`, 56, 12 and 12 of every class; the official three splits are not used.

    split: which part.
    size: height and width in pixels.
    folder: where the official archive is, or the folder `17flowers` unpacked from it; None looks in the data folder,
        and downloads the archive if need be.
    seed: of the split.

    numbers: of the images, `[n]`, as in their file names.

    Raises:
        ValueError: the archive is missing or cannot be read, or its images are not numbered from 1 to 1,360.
    """

    card = CARD
    classes = CLASSES

    def __init__(self, split: Split = "train", size: int = 64, folder: Path | str | None = None, seed: int = 0):
        part = split_number(split)
        self.split: Split = split
        self.size, self.seed = size, seed
        self.folder = None if folder is None else absolute(folder)
        self.shape = (3, *pair(size))
        path = located(CARD, ARCHIVE, folder)
        with open_archive(path) as archive:
            names = [name for name in archive.names() if re.fullmatch(r"(.*/)?image_\d+\.jpg", name)]
        numbers = _numbers(names, path)
        labels = (numbers - 1) // PER_CLASS
        self.chosen = np.sort(stratified_by(numbers, labels, seed)[part])
        self.labels, self.numbers = labels[self.chosen], numbers[self.chosen]
        self._name, self._sha256 = path.name, checksum(path)
        self.pixels = decoded(path, self._sha256, names, pair(size), 3)

    def facts(self) -> dict[str, Plain]:
        """SHA-256 of the archive as it is here, and whether it is the official one."""
        return {"files": {self._name: self._sha256}, "official": self._sha256 == ARCHIVE.sha256}


def _numbers(names: Sequence[str], path: Path) -> Int[np.ndarray, " image"]:
    numbers = np.array([int(PurePosixPath(name).stem[len("image_") :]) for name in names], dtype=np.int64)
    count = PER_CLASS * len(CLASSES)
    if not np.array_equal(np.sort(numbers), np.arange(1, count + 1)):
        raise ValueError(
            f"expected jpg/image_0001.jpg to jpg/image_{count}.jpg in '{path}', got {len(names)} such images; "
            "the archive is incomplete or another one, get it again"
        )
    return numbers
