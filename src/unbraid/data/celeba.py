"""CelebA: faces with forty attributes, any of which can make the populations."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, Int

from unbraid.configuration import Plain
from unbraid.data._celeba import Attributes, is_count, read_attributes, read_partition
from unbraid.data._files.archives import open_archive
from unbraid.data._files.fetch import absolute, checksum, locate
from unbraid.data._files.images import Pictures, decoded, hidden, located, pair
from unbraid.data._split import SPLITS, Split, split_number, stratified_by
from unbraid.data.card import Card, File

IMAGES = File(
    "img_align_celeba.zip",
    sha256="46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74",
    size=1_443_490_838,
)
ATTRIBUTES = File(
    "list_attr_celeba.txt",
    sha256="f0e5da289d5ccf75ffe8811132694922b60f2af59256ed362afa03fefba324d0",
    size=26_721_026,
)
PARTITION = File(
    "list_eval_partition.txt",
    sha256="fc955bcb3ef8fbdf7d5640d9a8693a8431b5f2ee291a5c1449a1549e7e073fe7",
    size=2_836_386,
)
CARD = Card(
    name="celeba",
    title="CelebA",
    licence="non-commercial research only, under the agreement on its homepage; images must not be passed on",
    citation="Liu, Luo, Wang, Tang (2015). Deep Learning Face Attributes in the Wild. ICCV.",
    homepage="https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    files=(IMAGES, ATTRIBUTES, PARTITION),
    observations=202_599,
    note="The part of the images that is used must be said if it is not all of them.",
)
SHARE = 148 / 178  # side of the square crop by the width of an aligned image, which is 178 x 218
LAST = (162_770, 182_637)  # numbers of the last official image for training, and for validation


class CelebA(Pictures):
    """Faces of celebrities, of which any attribute makes two populations (Liu et al. 2015).

    The files are got from the homepage, whose terms one must agree to; nothing is downloaded. They are looked for in
    `folder`, else in the data folder: `img_align_celeba.zip` (or that folder, unpacked), `list_attr_celeba.txt` and,
    if it is there, `list_eval_partition.txt`. There may be fewer images or smaller ones, as long as the zip and the
    list of attributes have the same.

    An image is cropped to the centred square of 148 pixels of its 178 x 218, in proportion if it is smaller, and
    resized. That is a usual choice of public code for VAEs; some crops five pixels lower, tighter, or not at all, and
    the papers on SR-VAE and CPVAE only say that faces are cropped.

    The parts are the official ones: by the partition file, or without it by the number of the image. If that leaves
    a part empty, since only some of the images are there, they are drawn with `seed` instead, the same whatever
    attribute is asked for; `facts` says which.

    split: which part.
    by: attribute that makes the populations, "not NAME" (index 0) and "NAME" (1); None for one population.
    label: attribute that makes the classes, named likewise.
    size: height and width in pixels.
    folder: where the files are.
    seed: of the split if it is not official.

    attributes: of every observation, `[n, attribute]` bool.
    attribute_names: one a column.
    numbers: of the images, `[n]`, as in their file names.

    Raises:
        ValueError: a file is missing or is not as described, an unknown attribute, or one that all images of the part
            have or none.
    """

    card = CARD

    def __init__(
        self,
        split: Split = "train",
        by: str | None = None,
        label: str | None = None,
        size: int = 64,
        folder: Path | str | None = None,
        seed: int = 0,
    ):
        part = split_number(split)
        self.split: Split = split
        self.by, self.label, self.size, self.seed = by, label, size, seed
        self.folder = None if folder is None else absolute(folder)
        self.shape = (3, *pair(size))
        images, listed = located(CARD, IMAGES, folder), locate(CARD, ATTRIBUTES, folder)
        table = read_attributes(listed)
        names = _matched(images, table)
        parts, self._parts, partition = _parts(names, folder, seed)
        self.chosen = np.sort(parts[part])
        if not len(self.chosen):
            raise ValueError(f"expected images in the {split} part, got none of {len(names)}; give it more images")
        self.numbers = _numbers(names)[self.chosen]
        rows = np.array([table.row[PurePosixPath(names[k]).name] for k in self.chosen])
        self.attribute_names, self.attributes = table.attributes, table.values[rows]
        self._name_populations()
        self._files = {path.name: checksum(path) for path in (images, listed, partition) if path is not None}
        self.pixels = decoded(images, self._files[images.name], names, pair(size), 3, SHARE)

    def facts(self) -> dict[str, Plain]:
        """SHA-256 of the files as they are here, whether all are official, how many images, and whose parts."""
        official = set(self._files.values()) <= {file.sha256 for file in CARD.files}
        return {"files": dict(self._files), "official": official, "images": len(self.pixels), "parts": self._parts}

    def attribute(self, name: str) -> Bool[np.ndarray, " n"]:
        """Which observations have the attribute.

        Raises:
            ValueError: there is no such attribute.
        """
        if name not in self.attribute_names:
            close = get_close_matches(name, self.attribute_names, 3, 0.5) or self.attribute_names
            raise ValueError(f"expected an attribute of CelebA, got '{name}'; did you mean {' or '.join(close)}?")
        return self.attributes[:, self.attribute_names.index(name)]

    def _name_populations(self) -> None:
        """Populations and classes of the chosen images."""
        if self.by is not None:
            self.populations, self.population = _named(self.by), self.attribute(self.by).astype(np.int64)
            counts = np.bincount(self.population, minlength=2)
            if not counts.all():
                found = dict(zip(self.populations, counts.tolist(), strict=True))
                raise ValueError(f"expected images with and without '{self.by}' in the {self.split} part, got {found}")
        if self.label is not None:
            self.classes, self.labels = _named(self.label), self.attribute(self.label).astype(np.int64)


def _matched(images: Path, table: Attributes) -> list[str]:
    """The images' file names within the zip, in stored order, of which the attribute file must have just these."""
    with open_archive(images) as archive:
        names = [name for name in archive.names() if name.endswith(".jpg") and not hidden(name)]
    short = [PurePosixPath(name).name for name in names]
    unlisted, absent = sorted(set(short) - set(table.row)), sorted(set(table.row) - set(short))
    if unlisted or absent or len(set(short)) < len(short):
        only = [f"'{some[0]}' only in {file.name}" for some, file in ((absent, ATTRIBUTES), (unlisted, IMAGES)) if some]
        raise ValueError(
            f"expected the same images in {IMAGES.name} and {ATTRIBUTES.name}, got {len(short)} and {len(table.row)}, "
            f"with {' and '.join(only) or 'two of one name'}; get both again"
        )
    return names


def _parts(
    names: Sequence[str], folder: Path | str | None, seed: int
) -> tuple[list[Int[np.ndarray, " part"]], str, Path | None]:
    """Train, validation and test; what they go by; and the partition file, if it was used."""
    try:
        path = locate(CARD, PARTITION, folder)
    except ValueError:  # the numbers say the same
        path = None
    if path is None:
        part, source = np.searchsorted(LAST, _numbers(names)), "official numbers"
    else:
        listed = read_partition(path)
        missing = next((name for name in names if PurePosixPath(name).name not in listed), None)
        if missing is not None:
            raise ValueError(f"expected every image in {PARTITION.name}, got no '{missing}'; get it again")
        part, source = np.array([listed[PurePosixPath(name).name] for name in names]), PARTITION.name
    parts = [np.flatnonzero(part == k) for k in range(len(SPLITS))]
    if all(map(len, parts)):
        return parts, source, path
    return stratified_by(_numbers(names), np.zeros(len(names), dtype=np.int64), seed), f"drawn with seed {seed}", None


def _numbers(names: Sequence[str]) -> Int[np.ndarray, " n"]:
    stems = [PurePosixPath(name).stem for name in names]
    odd = next((stem for stem in stems if not is_count(stem)), None)
    if odd is not None:
        raise ValueError(f"expected images named by numbers, such as 000001.jpg, in {IMAGES.name}, got '{odd[:60]}'")
    return np.array([int(stem) for stem in stems], dtype=np.int64)


def _named(attribute: str) -> tuple[str, str]:
    return f"not {attribute}", attribute
