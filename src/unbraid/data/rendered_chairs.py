"""3D Chairs: renderings of chair models from 62 views, from their official files."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from unbraid.configuration import Plain
from unbraid.data._files.archives import open_archive
from unbraid.data._files.fetch import absolute, checksum
from unbraid.data._files.images import Channels, Pictures, decoded, located, pair
from unbraid.data._split import Split, split_number, stratified
from unbraid.data.card import Card, File

ARCHIVE = File("rendered_chairs.tar", "https://www.di.ens.fr/willow/research/seeing3Dchairs/data/rendered_chairs.tar")
MODELS, VIEWS = 1_393, 62
CARD = Card(
    name="chairs",
    title="3D Chairs",
    licence="unclear; renderings of models from the Trimble (Google) 3D Warehouse, for research",
    citation="Aubry, Maturana, Efros, Russell, Sivic (2014). Seeing 3D chairs. CVPR.",
    homepage="https://www.di.ens.fr/willow/research/seeing3Dchairs/",
    files=(ARCHIVE,),
    observations=MODELS * VIEWS,
)
RENDERING = re.compile(r"(?:.*/)?([^/]+)/renders/image_[0-9]{3}_p([0-9]{3})_t([0-9]{3})_r[0-9]{3}\.png")
SHARE = 400 / 600  # side of the crop by that of a rendering, which is 600 x 600 with wide white margins


class Chairs(Pictures):
    """Renderings of 1,393 chairs from 31 azimuths at two elevations, 86,366 in all (Aubry et al. 2014).

    They are in `<model>/renders/image_NNN_pPPP_tTTT_rRRR.png`, P being the elevation and T the azimuth in degrees.
    The views of one model are all in the same part: the chairs of the validation and test parts were never seen.
    The centred square of 400 of 600 pixels is cropped and resized, since chairs are drawn with wide margins; works
    differ in this (300, 400 or all), and most do not say.

    split: which part of the models.
    size: height and width in pixels.
    channels: 3 for colour, 1 for grey.
    share: side of the crop, as a share of the rendering's.
    folder: where the official archive is, or the folder `rendered_chairs` unpacked from it; None looks in the data
        folder, and downloads the archive if need be.
    seed: of the split.

    labels: the model, as an index into `classes`, which are the names of all models.
    azimuth, elevation: of the view in degrees, `[n]`.

    Raises:
        ValueError: the files are missing or cannot be read, there are fewer than four models or none for this part, a
            view comes twice, or the share is not above 0 and at most 1.
    """

    card = CARD

    def __init__(
        self,
        split: Split = "train",
        size: int = 64,
        channels: Channels = 3,
        share: float = SHARE,
        folder: Path | str | None = None,
        seed: int = 0,
    ):
        part = split_number(split)
        if not 0 < share <= 1:
            raise ValueError(f"expected share above 0 and at most 1, got {share}")
        self.split: Split = split
        self.size, self.share, self.seed = size, share, seed
        self.channels: Channels = channels
        self.folder = None if folder is None else absolute(folder)
        self.shape = (channels, *pair(size))
        path = located(CARD, ARCHIVE, folder)
        with open_archive(path) as archive:
            names = [name for name in archive.names() if RENDERING.fullmatch(name)]
        self.classes, views = _views(names, path)
        parts = stratified(np.zeros(len(self.classes), dtype=np.int64), seed)
        self.chosen = np.flatnonzero(np.isin(views[:, 0], parts[part]))
        if not len(self.chosen):
            raise ValueError(f"expected chairs in the {split} part, got none of {len(self.classes)}; 6 are enough")
        self.labels, self.elevation, self.azimuth = views[self.chosen].T
        self._complete = len(names) == len(self.classes) * len(np.unique(views[:, 1:], axis=0))
        self._name, self._sha256 = path.name, checksum(path)
        self.pixels = decoded(path, self._sha256, names, pair(size), channels, share)

    def facts(self) -> dict[str, Plain]:
        """SHA-256 of what was read, how many models and images there are, and whether every model has every view."""
        counts: dict[str, Plain] = {"models": len(self.classes), "images": len(self.pixels), "complete": self._complete}
        return {"files": {self._name: self._sha256}, "official": None, **counts}


def _views(names: Sequence[str], path: Path) -> tuple[tuple[str, ...], Int[np.ndarray, "image 3"]]:
    """Names of the models, and which model, elevation and azimuth every image shows."""
    found = [match.groups() for match in map(RENDERING.fullmatch, names) if match]
    models = tuple(sorted({model for model, _, _ in found}))
    if len(models) < 4:
        raise ValueError(
            f"expected <model>/renders/image_000_p020_t000_r096.png and such of at least 4 models in '{path}', got "
            f"{len(models)} models; unpack or get the official archive"
        )
    place = {model: k for k, model in enumerate(models)}
    views = np.array([(place[model], int(elevation), int(azimuth)) for model, elevation, azimuth in found])
    distinct, counts = np.unique(views, axis=0, return_counts=True)
    if (counts > 1).any():
        model, elevation, azimuth = distinct[counts.argmax()]
        raise ValueError(
            f"expected every view of a model once in '{path}', got elevation {elevation} and azimuth {azimuth} of "
            f"'{models[model]}' {counts.max()} times; take the copies away"
        )
    return models, views
