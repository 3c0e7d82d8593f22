"""CIFAR-10 from its official binary archive."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, UInt8

from unbraid.configuration import Plain
from unbraid.data._files.archives import open_archive
from unbraid.data._files.fetch import absolute, checksum, locate
from unbraid.data._split import Split, official_part, split_number
from unbraid.data.card import Card, File
from unbraid.data.contract import Data
from unbraid.types import Batch

SIDE, CHANNELS = 32, 3
RECORD = 1 + CHANNELS * SIDE * SIDE  # bytes: the label, then the red, green and blue plane, row by row
INSIDE = "cifar-10-batches-bin/"
CLASSES_FILE = f"{INSIDE}batches.meta.txt"
TRAINING = tuple(f"{INSIDE}data_batch_{k}.bin" for k in range(1, 6))
TEST = (f"{INSIDE}test_batch.bin",)

CARD = Card(
    name="cifar10",
    title="CIFAR-10",
    licence="none stated by its publishers",
    citation="Krizhevsky (2009). Learning multiple layers of features from tiny images. Technical report, "
    "University of Toronto.",
    observations=60_000,
    homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
    files=(
        File(
            "cifar-10-binary.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            170_052_171,
        ),
    ),
)


class CIFAR10(Data):
    """Small photographs of ten kinds of things: 50,000 official images for training and validation, 10,000 to test.

    Held are 3,080 bytes an image, 3,072 of them pixels; the archive is read without extracting it.

    split: the official test images, or a part of the official training images.
    folder: with `cifar-10-binary.tar.gz`; None looks in the data folder and else downloads it.
    seed: of the choice of validation images.
    validation: share of the official training images held out, the same of every class.

    images: `[n, 3, 32, 32]` bytes, in official order.

    Raises:
        ValueError: an unknown split or share, a missing or damaged archive, or one of something else.
    """

    shape = (CHANNELS, SIDE, SIDE)
    bounds = (0.0, 1.0)
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    card = CARD
    images: UInt8[np.ndarray, "n 3 32 32"]

    def __init__(
        self, split: Split = "train", folder: Path | str | None = None, seed: int = 0, validation: float = 0.1
    ):
        split_number(split)
        self.split: Split = split
        self.folder = None if folder is None else absolute(folder)
        self.seed, self.validation = seed, validation
        self._path = locate(CARD, CARD.files[0], self.folder)
        self._sha256 = checksum(self._path)
        batches = self._records(TEST if split == "test" else TRAINING)
        labels = np.concatenate([batch[:, 0] for batch in batches]).astype(np.int64)
        kept = np.arange(len(labels)) if split == "test" else official_part(labels, split, seed, validation)
        chosen = np.zeros(len(labels), dtype=bool)
        chosen[kept] = True
        parts = np.split(chosen, np.cumsum([len(batch) for batch in batches])[:-1])
        pixels = np.concatenate([batch[part, 1:] for batch, part in zip(batches, parts, strict=True)])
        self.images, self.labels = pixels.reshape(-1, *self.shape), labels[kept]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The images at `index`, `[batch, 3, 32, 32]`.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """
        return Batch(torch.from_numpy(self.images[self.checked(index)]).float().div_(255))

    def facts(self) -> dict[str, Plain]:
        """SHA-256 of the archive, and whether it is the official one."""
        return {"files": {self._path.name: self._sha256}, "official": self._sha256 == CARD.files[0].sha256}

    def _records(self, names: tuple[str, ...]) -> list[UInt8[np.ndarray, "n record"]]:
        """What is in the files of these names, one row an image, after a look at what the classes are called."""
        wanted = {*names, CLASSES_FILE}
        with open_archive(self._path) as archive:  # to its end, where the checksum of gzip is
            contents = {name: content for name, content in archive.items() if name in wanted}
        if wanted - set(contents):
            raise ValueError(f"expected {sorted(wanted)} in '{self._path}', got no {sorted(wanted - set(contents))}")
        called = contents.pop(CLASSES_FILE).decode(errors="replace").split()
        if tuple(called) != self.classes:
            raise ValueError(f"expected the classes {self.classes} in {CLASSES_FILE} of '{self._path}', got {called}")
        return [self._parsed(name, contents[name]) for name in names]

    def _parsed(self, name: str, content: bytes) -> UInt8[np.ndarray, "n record"]:
        if not content or len(content) % RECORD:
            raise ValueError(
                f"expected whole records of {RECORD} bytes in {name} of '{self._path}', got {len(content)} bytes"
            )
        records = np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD)
        if records[:, 0].max() >= len(self.classes):
            raise ValueError(
                f"expected labels below {len(self.classes)} in {name} of '{self._path}', got {records[:, 0].max()}"
            )
        return records
