"""MNIST and Fashion-MNIST from their official files."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, Shaped, UInt8

from unbraid.configuration import Plain
from unbraid.data._files.fetch import absolute, checksum, data_folder, locate
from unbraid.data._split import Split, official_part, split_number
from unbraid.data.card import Card, File
from unbraid.data.contract import Data
from unbraid.data.idx import read_idx
from unbraid.types import Batch

NAMES = tuple(f"{part}-{what}-ubyte.gz" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))


def _files(url: str, *known: tuple[int, str]) -> tuple[File, ...]:
    return tuple(File(name, url + name, sha256, size) for name, (size, sha256) in zip(NAMES, known, strict=True))


MNIST_CARD = Card(
    name="mnist",
    title="MNIST",
    licence="none stated by its publishers",
    citation="LeCun, Bottou, Bengio & Haffner (1998). Gradient-based learning applied to document recognition. "
    "Proceedings of the IEEE 86(11), 2278-2324.",
    homepage="http://yann.lecun.com/exdb/mnist/",
    observations=70_000,
    files=_files(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
)
MNIST_CONTENTS = (  # SHA-256 without gzip, since copies are often compressed anew
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
FASHION_CARD = Card(
    name="fashion-mnist",
    title="Fashion-MNIST",
    licence="MIT",
    citation="Xiao, Rasul & Vollgraf (2017). Fashion-MNIST: a novel image dataset for benchmarking machine learning "
    "algorithms. arXiv:1708.07747.",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    observations=70_000,
    files=_files(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
)
KNOWN = {
    **{file.sha256: (card.title, file.name) for card in (MNIST_CARD, FASHION_CARD) for file in card.files},
    **{sha256: (MNIST_CARD.title, name) for sha256, name in zip(MNIST_CONTENTS, NAMES, strict=True)},
}


class _LabelledImages(Data):
    """Images of 28 x 28 and their classes in four IDX files; a subclass has the card and the names of the classes."""

    shape = (1, 28, 28)
    bounds = (0.0, 1.0)
    images: UInt8[np.ndarray, "n 1 28 28"]

    def __init__(
        self, split: Split = "train", folder: Path | str | None = None, seed: int = 0, validation: float = 1 / 12
    ):
        split_number(split)
        self.split: Split = split
        self.folder = None if folder is None else absolute(folder)
        self.seed, self.validation = seed, validation
        self._files: dict[str, str] = {}
        self._official = True
        first = 2 if split == "test" else 0
        images, labels = self._read(NAMES[first]), self._read(NAMES[first + 1])
        self._check(images, labels)
        self.images, self.labels = images[:, None], labels.astype(np.int64)
        if split != "test":
            chosen = official_part(self.labels, split, seed, validation)
            self.images, self.labels = self.images[chosen], self.labels[chosen]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The images at `index`, `[batch, 1, 28, 28]`.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """
        return Batch(torch.from_numpy(self.images[self.checked(index)]).float().div_(255))

    def facts(self) -> dict[str, Plain]:
        """SHA-256 of the files as they are here, and whether they are known to hold what the official ones hold."""
        return {"files": dict(self._files), "official": self._official}

    def _read(self, name: str) -> Shaped[np.ndarray, "..."]:
        card = type(self).card
        assert card is not None
        path = _find(card, card.files[NAMES.index(name)], self.folder)
        array = read_idx(path)
        sha256 = checksum(path)
        known = KNOWN.get(sha256) or KNOWN.get(_unpacked_checksum(array))
        if known not in (None, (card.title, name)):
            raise ValueError(f"expected {name} of {card.title} in '{path}', got {known[1]} of {known[0]}")
        self._files[path.name] = sha256
        self._official = self._official and known is not None
        return array

    def _check(self, images: Shaped[np.ndarray, "..."], labels: Shaped[np.ndarray, "..."]) -> None:
        files = " and ".join(f"'{name}'" for name in self._files)
        if images.dtype != np.uint8 or images.shape[1:] != self.shape[1:]:
            raise ValueError(f"expected bytes of shape (n, 28, 28) in {files}, got {images.dtype} of {images.shape}")
        if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"expected {len(images)} bytes as labels in {files}, got {labels.dtype} of shape {labels.shape}"
            )
        if labels.max() >= len(self.classes):
            raise ValueError(f"expected labels below {len(self.classes)} in {files}, got {labels.max()}")


class MNIST(_LabelledImages):
    """Handwritten digits: 60,000 official images for training and validation, 10,000 to test.

    Held are 792 bytes an image, 784 of them pixels.

    split: the official test images, or a part of the official training images.
    folder: with the four official files, as published (`train-images-idx3-ubyte.gz`), unpacked, or with a dot for the
        dash (`train-images.idx3-ubyte`); None looks in the data folder and else downloads them.
    seed: of the choice of validation images.
    validation: share of the official training images held out, the same of every class.

    images: `[n, 1, 28, 28]` bytes, in official order.

    Raises:
        ValueError: an unknown split or share, a missing, damaged or foreign file.
    """

    card = MNIST_CARD
    classes = tuple("0123456789")


class FashionMNIST(_LabelledImages):
    """Pictures of clothes in MNIST's format: 60,000 official images for training and validation, 10,000 to test.

    The arguments, files and bytes held are those of `MNIST`.

    Raises:
        ValueError: an unknown split or share, a missing, damaged or foreign file.
    """

    card = FASHION_CARD
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )


def _find(card: Card, file: File, folder: str | None) -> Path:
    """The file under any of the names it is known by, in the set's own folder first: both sets use the same names."""
    root = data_folder() if folder is None else Path(folder).expanduser()
    plain = file.name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")
    for place in (root / card.name, root):
        for name in (file.name, plain, f"{dotted}.gz", dotted):
            if (place / name).is_file():
                return place / name
    return locate(card, file, folder)


def _unpacked_checksum(array: Shaped[np.ndarray, "..."]) -> str:
    """SHA-256 that an IDX file of these bytes has without gzip."""
    digest = hashlib.sha256(bytes([0, 0, 8, array.ndim]) + np.array(array.shape, dtype=">u4").tobytes())
    digest.update(array.tobytes())
    return digest.hexdigest()
