"""Handwritten digits on grass: a small signal of interest on a strong background that nobody asked for."""

from abc import abstractmethod
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.lib.stride_tricks import sliding_window_view

from unbraid.data._drawn import digits
from unbraid.data._drawn.grass import Meadow, texture
from unbraid.data._split import Split, split_number, stratified
from unbraid.data.card import Card
from unbraid.data.contract import Data
from unbraid.types import Batch

CARD = Card(
    name="grassy-digits",
    title="scikit-learn's digits on drawn grass",
    licence="CC BY 4.0 (digits, UCI Machine Learning Repository); the grass is drawn: Apache-2.0, as this package",
    citation="Alpaydin, Kaynak (1998). Optical Recognition of Handwritten Digits. UCI Machine Learning Repository.",
    homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    note="A stand-in for Grassy-MNIST: scores on it are not comparable with scores on Grassy-MNIST.",
)
TEXTURES, TEXTURE_SIZE = 12, 200  # grass drawn for each split


class Grassy(Data):
    """Digits on grass, of which both are known: the grass is shared between populations, the digits are private.

    x = amplitude * clean + background, not clipped, as in Abid et al. (2018), *Exploring patterns enriched in a
    dataset with contrastive principal component analysis*.

    amplitude: brightness of full ink above the grass.
    """

    shape = (1, digits.SIDE, digits.SIDE)
    classes = tuple(map(str, range(10)))
    amplitude: float

    @abstractmethod
    def clean_at(self, index: Int[np.ndarray, " batch"]) -> Float[np.ndarray, "batch 1 28 28"]:
        """The digits without grass, in [0, 1], float32.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """

    @abstractmethod
    def background_at(self, index: Int[np.ndarray, " batch"]) -> Float[np.ndarray, "batch 1 28 28"]:
        """The grass without digits, in [0, 1], float32.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The images at `index`, `[batch, 1, 28, 28]`, with their populations.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """
        assert self.population is not None
        x = self.amplitude * self.clean_at(index) + self.background_at(index)
        return Batch(torch.from_numpy(x), torch.from_numpy(self.population[index]))


class GrassyDigits(Grassy):
    """scikit-learn's handwritten digits on drawn grass: Grassy-MNIST with nothing to download.

    The populations are digits 0 to 4 and digits 5 to 9. The splits share neither source digits nor grass.
    Every digit is used several times, each time on another patch of grass.

    split: which part of the source digits and of the grass.
    count: number of images.
    amplitude: brightness of full ink above the grass.
    seed: of everything random; the same seed gives the same images.

    clean: digits without grass, in [0, 1], `[n, 1, 28, 28]` float32.
    background: grass without digits, in [0, 1], `[n, 1, 28, 28]` float32.
    source: which of the 1,797 digits each image shows, `[n]`.

    Raises:
        ValueError: an unknown split, a count below 1, an amplitude that is negative or not finite.
    """

    populations = ("digits 0-4", "digits 5-9")
    card = CARD
    clean: Float[np.ndarray, "n 1 28 28"]
    background: Float[np.ndarray, "n 1 28 28"]

    def __init__(self, split: Split = "train", count: int = 10_000, amplitude: float = 0.25, seed: int = 0):
        part = split_number(split)
        if count < 1:
            raise ValueError(f"expected count of at least 1, got {count}")
        if not 0 <= amplitude < float("inf"):
            raise ValueError(f"expected a finite amplitude of at least 0, got {amplitude}")
        self.split: Split = split
        self.count, self.amplitude, self.seed = count, amplitude, seed
        images, classes = digits.enlarged()
        sources = stratified(classes, seed)[part]
        rng = np.random.default_rng([seed, part, 1])
        self.source = sources[rng.permutation(count) % len(sources)]
        self.labels = classes[self.source]
        self.population = (self.labels >= 5).astype(np.int64)
        self.clean = images[self.source][:, None]
        self.background = _patches(_grass(seed, part), count, rng)[:, None]
        self.bounds = (0.0, float(np.float32(amplitude) + np.float32(1)))

    def __len__(self) -> int:
        return self.count

    def clean_at(self, index: Int[np.ndarray, " batch"]) -> Float[np.ndarray, "batch 1 28 28"]:
        """The digits without grass."""
        return self.clean[self.checked(index)]

    def background_at(self, index: Int[np.ndarray, " batch"]) -> Float[np.ndarray, "batch 1 28 28"]:
        """The grass without digits."""
        return self.background[self.checked(index)]


@lru_cache(maxsize=8)
def _grass(seed: int, part: int) -> Float[np.ndarray, "texture size size"]:
    """The textures of one split; kept, since they are what takes time."""
    rng = np.random.default_rng([seed, part, 0])
    grass = np.stack([texture(TEXTURE_SIZE, Meadow.draw(rng), rng) for _ in range(TEXTURES)])
    grass.flags.writeable = False
    return grass


def _patches(
    grass: Float[np.ndarray, "texture size size"], count: int, rng: np.random.Generator
) -> Float[np.ndarray, "n 28 28"]:
    """Random 28 x 28 patches of random textures."""
    windows = sliding_window_view(grass, (digits.SIDE, digits.SIDE), axis=(1, 2))
    which, top, left = (rng.integers(0, limit, count) for limit in windows.shape[:3])
    return windows[which, top, left]
