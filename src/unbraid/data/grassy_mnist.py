"""Grassy-MNIST: MNIST's digits on grass, as Abid et al. (2018) make it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from unbraid.configuration import Plain
from unbraid.data._drawn.textures import SIZES, cut, grey_textures
from unbraid.data._files.fetch import absolute, pinned
from unbraid.data._groups import population_of_class, require_members
from unbraid.data._split import Split, split_number
from unbraid.data.card import Card
from unbraid.data.grassy import Grassy, _grass
from unbraid.data.mnist import MNIST

GROUPS = {"digits 0-4": list("01234"), "digits 5-9": list("56789")}


class GrassyMNIST(Grassy):
    """Every image of MNIST on a random patch of a random texture.

    Textures are turned grey, their largest centred square is resized (Lanczos) to `size` x `size`, and patches of
    28 x 28 are cut from them. This is how its inventors make it, who take ImageNet's photographs of grass; say
    beside figures if the textures are others. Textures are split as well: none of the test was seen in training.
    Every digit has the same patch in every epoch.

    Held are 1,604 bytes an image, 784 each for digit and patch; enlarged patches and drawn grass are rounded to bytes.

    split: which part of the digits and of the textures.
    folder: with MNIST's files; see `MNIST`.
    textures: a folder or archive with at least six images; None takes grass that is drawn (12 textures a split).
    amplitude: brightness of full ink above the grass.
    seed: of everything random; the same seed gives the same images.
    validation: share of MNIST's training images held out; see `MNIST`.
    size: side in pixels to which given textures are resized, 28 to 1024.
    scale: least and greatest factor by which textures are enlarged before a patch is cut, drawn for every patch;
        from 28 / side of the texture (all of it is in the patch) to 4. Its inventors do not enlarge.
    brightness: least and greatest factor that a patch is multiplied with, drawn for every patch; above 0, at most 1.
    groups: classes of each population; digits of other classes are left out. None: digits 0-4 and digits 5-9.
    sha256: of the textures' archive; of a folder, that of its files' names and sizes. None takes what is there, and
        the run keeps it: other content is refused when the run is resumed.

    Raises:
        ValueError: an argument outside its range; what `MNIST` refuses; textures that are too few or too small, that
            cannot be decoded, or that have changed.
    """

    card = Card(
        name="grassy-mnist",
        title="Grassy-MNIST",
        licence="that of MNIST and of the textures",
        citation="Abid, Zhang, Bagaria & Zou (2018). Exploring patterns enriched in a dataset with contrastive "
        "principal component analysis. Nature Communications 9, 2134.",
        homepage="https://github.com/abidlabs/contrastive",
        observations=70_000,
        note="Made with ImageNet's photographs of grass by its inventors: say which textures these are (drawn ones, "
        "unless others are given); scores on other grass are not comparable with published ones.",
    )

    def __init__(
        self,
        split: Split = "train",
        folder: Path | str | None = None,
        textures: Path | str | None = None,
        amplitude: float = 0.25,
        seed: int = 0,
        validation: float = 1 / 12,
        size: int = 100,
        scale: Sequence[float] = (1.0, 1.0),
        brightness: Sequence[float] = (1.0, 1.0),
        groups: Mapping[str, Sequence[str]] | None = None,
        sha256: str | None = None,
    ):
        part = split_number(split)
        self.split: Split = split
        self.folder = None if folder is None else absolute(folder)
        self.textures = None if textures is None else absolute(textures)
        self.amplitude, self.seed, self.validation, self.size = amplitude, seed, validation, size
        self.scale, self.brightness = _pair("scale", scale), _pair("brightness", brightness)
        self.groups = None if groups is None else {str(name): list(map(str, of)) for name, of in groups.items()}
        self._check(sha256)
        self.sha256 = None if textures is None else pinned(Path(textures).expanduser(), sha256)
        self.digits = MNIST(split, folder, seed, validation)
        self._choose()
        chance = np.random.default_rng([seed, part, 1]).random((5, len(self.digits)))[:, self.chosen]
        self.background: UInt8[np.ndarray, "n 1 28 28"] = cut(self._grass(), chance[:4], self.scale)[:, None]
        low, high = self.brightness
        self.light: Float[np.ndarray, " n"] = (low + (high - low) * chance[4]).astype(np.float32)
        self.bounds = (0.0, float(np.float32(amplitude) + np.float32(high)))

    def __len__(self) -> int:
        return len(self.chosen)

    def clean_at(self, index: Int[np.ndarray, " batch"]) -> Float[np.ndarray, "batch 1 28 28"]:
        """The digits without grass."""
        return self.digits.batch(self.chosen[self.checked(index)]).x.numpy()

    def background_at(self, index: Int[np.ndarray, " batch"]) -> Float[np.ndarray, "batch 1 28 28"]:
        """The grass without digits."""
        index = self.checked(index)
        return self.background[index] / np.float32(255) * self.light[index, None, None, None]

    def facts(self) -> dict[str, Plain]:
        """SHA-256 of MNIST's files, whether they are official, and SHA-256 of the textures, unless they are drawn."""
        textures: Plain = "drawn" if self.textures is None else {Path(self.textures).name: self.sha256}
        return {**self.digits.facts(), "textures": textures}

    def _check(self, sha256: str | None) -> None:
        if not 0 <= self.amplitude < float("inf"):
            raise ValueError(f"expected a finite amplitude of at least 0, got {self.amplitude}")
        if self.textures is None and sha256 is not None:
            raise ValueError("expected textures with the sha256 of them, got sha256 alone; drawn grass has none")
        if not SIZES[0] <= self.size <= SIZES[1]:
            raise ValueError(f"expected size from {SIZES[0]} to {SIZES[1]} pixels, got {self.size}")
        if not 0 < self.brightness[0] <= self.brightness[1] <= 1:
            raise ValueError(f"expected brightness as (least, greatest), above 0 and at most 1, got {self.brightness}")

    def _choose(self) -> None:
        """Which digits are shown, and in which population."""
        assert self.digits.labels is not None
        groups = GROUPS if self.groups is None else self.groups
        population = population_of_class(self.classes, groups)[self.digits.labels]
        self.populations, self.chosen = tuple(groups), np.flatnonzero(population >= 0)
        self.population, self.labels = population[self.chosen], self.digits.labels[self.chosen]
        require_members(self.populations, self.population)

    def _grass(self) -> UInt8[np.ndarray, "texture size size"]:
        if self.textures is not None:
            return grey_textures(Path(self.textures).expanduser(), self.size, self.split, self.seed)
        return np.round(_grass(self.seed, split_number(self.split)) * 255).astype(np.uint8)


def _pair(name: str, values: Sequence[float]) -> tuple[float, float]:
    if len(values) != 2:
        raise ValueError(f"expected {name} as (least, greatest), got {values!r}")
    return float(values[0]), float(values[1])
