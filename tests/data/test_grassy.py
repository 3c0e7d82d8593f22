import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

from unbraid.data import GrassyDigits
from unbraid.data._drawn.digits import enlarged
from unbraid.data._drawn.grass import Meadow, texture
from unbraid.data._split import Split
from unbraid.data.grassy import _grass

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@settings(deadline=None)  # the first example of each split has its grass drawn
@given(amplitude=st.floats(0, 4), split=st.sampled_from(SPLITS), count=st.integers(1, 30))
def test_images_are_exactly_ink_plus_grass(amplitude: float, split: Split, count: int):
    data = GrassyDigits(split, count, amplitude)
    assert data.clean.dtype == data.background.dtype == np.float32
    assert data.clean.shape == data.background.shape == (count, 1, 28, 28)
    x = data.batch(np.arange(count)).x.numpy()
    assert np.array_equal(x, amplitude * data.clean + data.background)
    assert data.bounds is not None
    assert x.max() <= data.bounds[1]


def test_ink_is_near_one_on_ground_of_zero():
    clean = GrassyDigits(count=2000).clean
    assert clean.min() == 0
    assert clean.max() <= 1
    assert (clean.max((1, 2, 3)) > 0.95).all()
    assert (clean == 0).mean() > 0.7
    assert 0.10 < clean.mean() < 0.20  # MNIST: 0.13


def test_digits_can_be_told_apart_across_splits():
    train, test = GrassyDigits("train", 10_000), GrassyDigits("test", 300)
    judge = KNeighborsClassifier(3).fit(train.clean.reshape(len(train), -1), train.labels)
    assert judge.score(test.clean.reshape(len(test), -1), test.labels) > 0.9


def test_populations_are_low_and_high_digits():
    data = GrassyDigits(count=500)
    assert data.labels is not None
    assert data.population is not None
    assert np.array_equal(data.population, data.labels // 5)
    assert np.array_equal(data.labels, enlarged()[1][data.source])


def test_digits_are_shown_as_they_are():
    data = GrassyDigits(count=400)
    assert (data.clean[:, 0] == enlarged()[0][data.source]).all()


def test_splits_share_no_digits_and_each_has_every_class():
    splits = [GrassyDigits(split, 3000) for split in SPLITS]
    sources = [set(data.source.tolist()) for data in splits]
    assert sum(map(len, sources)) == len(set.union(*sources)) == 1797
    for data, share in zip(splits, (0.7, 0.15, 0.15), strict=True):
        classes = np.bincount(enlarged()[1][np.unique(data.source)])
        np.testing.assert_allclose(classes, share * 179.7, atol=4)


def test_every_digit_is_used_equally_often():
    used = np.bincount(GrassyDigits("validation", 1000).source)
    used = used[used > 0]
    assert used.max() - used.min() <= 1


def test_splits_and_seeds_share_no_grass():
    rows = [set(map(bytes, _grass(seed, part).reshape(-1, 200))) for seed in (0, 1) for part in range(3)]
    assert len(set.union(*rows)) == sum(map(len, rows))


@pytest.mark.parametrize(("split", "part"), [("train", 0), ("test", 2)])
def test_backgrounds_are_patches_of_their_split(split: Split, part: int):
    windows = sliding_window_view(_grass(0, part), (28, 28), axis=(1, 2))
    corners = windows[..., 0, 0]
    for patch in GrassyDigits(split, 5).background[:, 0]:
        assert any(np.array_equal(windows[tuple(at)], patch) for at in np.argwhere(corners == patch[0, 0]))


@pytest.mark.parametrize("seed", range(3))
def test_grass_has_the_brightness_asked_for_and_tiles(seed: int):
    rng = np.random.default_rng(seed)
    meadow = Meadow.draw(rng)
    grass = texture(100, meadow, rng)
    assert grass.dtype == np.float32
    assert grass.min() >= 0
    assert grass.max() <= 1
    even = texture(100, replace(meadow, shade=0.0), np.random.default_rng(seed))
    assert abs(even.mean() - meadow.brightness) < 0.01
    assert abs(even.std() - meadow.contrast) < 0.01
    assert grass.std() > even.std()
    seam, inside = np.abs(grass[0] - grass[-1]).mean(), np.abs(np.diff(grass, axis=0)).mean()
    assert 0.7 < seam / inside < 1.4


@pytest.mark.skipif("UNBRAID_TEST_DATA" not in os.environ, reason="UNBRAID_TEST_DATA names no folder with real data")
def test_grass_resembles_photographs():
    real = patches(photographs(Path(os.environ["UNBRAID_TEST_DATA"]) / "grass-textures.zip"))
    rng = np.random.default_rng(0)  # without the slow shade: the photographs are mostly flattened for games
    drawn = patches(np.stack([texture(100, replace(Meadow.draw(rng), shade=0.0), rng) for _ in range(48)]))
    assert abs(real.mean() - drawn.mean()) < 0.03
    assert 1 < drawn.std() / real.std() < 1.5
    assert np.abs(spectrum(real) - spectrum(drawn)).max() < 0.15


def photographs(path: Path) -> np.ndarray:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith((".jpg", ".png"))]
        grey = [Image.open(io.BytesIO(archive.read(name))).convert("L").resize((100, 100)) for name in names]
    return np.stack([np.asarray(image, dtype=np.float32) / 255 for image in grey])


def patches(grass: np.ndarray) -> np.ndarray:
    windows = sliding_window_view(grass, (28, 28), axis=(1, 2))
    rng = np.random.default_rng(0)
    return windows[tuple(rng.integers(0, limit, 3000) for limit in windows.shape[:3])]


def spectrum(images: np.ndarray) -> np.ndarray:
    """Share of the power at each frequency, averaged over images and directions, decimal logarithm."""
    centred = images - images.mean((1, 2), keepdims=True)
    power = np.abs(np.fft.fft2(centred * np.outer(np.hanning(28), np.hanning(28)))) ** 2
    share = (power / power.sum((1, 2), keepdims=True)).mean(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(28, 1 / 28), np.fft.fftfreq(28, 1 / 28))).round()
    return np.log10([share[frequency == k].mean() for k in range(1, 14)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "valid"}, "valid"),
        ({"count": 0}, "count of at least 1, got 0"),
        ({"amplitude": -1.0}, "finite amplitude of at least 0, got -1.0"),
        ({"amplitude": float("inf")}, "finite amplitude"),
        ({"amplitude": float("nan")}, "finite amplitude"),
    ],
)
def test_bad_arguments_raise(arguments: dict, message: str):
    # TypeError: where annotations are checked, a wrong literal stops there already
    with pytest.raises((ValueError, TypeError), match=message):
        GrassyDigits(**arguments)
