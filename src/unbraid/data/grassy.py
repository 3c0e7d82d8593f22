"""Handwritten digits on grass: a small signal of interest on a strong background that nobody asked for."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.lib.stride_tricks import sliding_window_view

from unbraid.data import _digits
from unbraid.data._grass import Meadow, texture
from unbraid.data._split import Split, split_number, stratified
from unbraid.data.contract import Data
from unbraid.types import Batch

TEXTURES, TEXTURE_SIZE = 12, 200  # grass drawn for each split


class GrassyDigits(Data):
    """scikit-learn's handwritten digits on drawn grass: Grassy-MNIST with nothing to download.

    x = amplitude * clean + background, not clipped, as in Abid et al. (2018), *Exploring patterns enriched in a
    dataset with contrastive principal component analysis*. The populations are digits 0 to 4 and digits 5 to 9:
    the grass is shared between them, the digits are private. The splits share neither source digits nor grass.
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

    shape = (1, _digits.SIDE, _digits.SIDE)
    populations = ("digits 0-4", "digits 5-9")
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
        images, classes = _digits.enlarged()
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

    def batch(self, index: Int[np.ndarray, " batch"]) -> Batch:
        """The images at `index`, `[batch, 1, 28, 28]`, with their populations.

        Raises:
            IndexError: an index is negative or not below `len(self)`.
        """
        index = self.checked(index)
        assert self.population is not None
        x = self.amplitude * self.clean[index] + self.background[index]
        return Batch(torch.from_numpy(x), torch.from_numpy(self.population[index]))


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
    windows = sliding_window_view(grass, (_digits.SIDE, _digits.SIDE), axis=(1, 2))
    which, top, left = (rng.integers(0, limit, count) for limit in windows.shape[:3])
    return windows[which, top, left]
