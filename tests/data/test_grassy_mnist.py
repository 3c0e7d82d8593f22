import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from unbraid.configuration import build, describe
from unbraid.data._drawn.textures import cut, grey_textures
from unbraid.data._split import Split
from unbraid.data.grassy_mnist import GrassyMNIST
from unbraid.data.mnist import MNIST, NAMES

COUNTS = {"train": 240, "t10k": 40}
TEXTURES = 12
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    return stream.getvalue()


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few random images in MNIST's official layout."""
    folder, rng = tmp_path_factory.mktemp("mnist"), np.random.default_rng(0)
    for name in NAMES:
        count = COUNTS[name.split("-")[0]]
        labels = (np.arange(count) % 10).astype(np.uint8)
        images = rng.integers(0, 256, (count, 28, 28), np.uint8)
        (folder / name.removesuffix(".gz")).write_bytes(idx(images if "images" in name else labels))
    return folder


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve textures of 60 x 80, of which the k-th has values from 20 k to 20 k + 9; and what is no texture."""
    folder, rng = tmp_path_factory.mktemp("textures"), np.random.default_rng(1)
    (folder / "deep").mkdir()
    for k in range(TEXTURES):
        pixels = rng.integers(20 * k, 20 * k + 10, (60, 80), np.uint8)
        (folder / "deep" / f"{k}.png").write_bytes(png(pixels))
    (folder / "licence.txt").write_text("none")
    (folder / ".hidden.png").write_bytes(b"not an image")
    return folder


@pytest.fixture(scope="module", params=["drawn", "given", "scaled, dimmed"])
def data(request: pytest.FixtureRequest, digits: Path, textures: Path) -> GrassyMNIST:
    if request.param == "drawn":
        return GrassyMNIST("train", digits)
    if request.param == "given":
        return GrassyMNIST("train", digits, textures, size=60)
    return GrassyMNIST("train", digits, textures, amplitude=0.5, size=60, scale=(0.6, 2), brightness=(0.5, 0.9))


@settings(max_examples=15)  # each makes the data anew
@given(pick=st.data())
def test_the_seed_says_what_the_images_are_whatever_the_batch(data: GrassyMNIST, pick: st.DataObject):
    index = np.array(pick.draw(st.lists(st.integers(0, len(data) - 1), min_size=1, max_size=20)))
    again = build(describe(data))
    assert repr(again) == repr(data)
    assert torch.equal(data.batch(np.arange(len(data))).x[index], again.batch(index).x)


def test_images_are_exactly_ink_plus_grass(data: GrassyMNIST):
    index = np.arange(len(data))
    clean, background = data.clean_at(index), data.background_at(index)
    assert clean.dtype == background.dtype == np.float32
    x = data.batch(index).x.numpy()
    assert np.array_equal(x, data.amplitude * clean + background)
    assert data.bounds is not None
    assert x.min() >= 0
    assert x.max() <= data.bounds[1]
    assert background.max() <= data.brightness[1]


def test_digits_are_those_of_mnist(data: GrassyMNIST, digits: Path):
    mnist = MNIST("train", digits)
    assert np.array_equal(data.clean_at(np.arange(len(data))), mnist.batch(np.arange(len(mnist))).x.numpy())
    assert np.array_equal(np.asarray(data.labels), np.asarray(mnist.labels))
    assert np.array_equal(np.asarray(data.population), np.asarray(mnist.labels) // 5)
    assert data.populations == ("digits 0-4", "digits 5-9")
    assert [card.name for card in data.cards] == ["grassy-mnist", "mnist"]


@pytest.mark.parametrize("given", [False, True])
def test_backgrounds_are_patches_of_the_textures_of_their_split(digits: Path, textures: Path, given: bool):
    data = GrassyMNIST("test", digits, textures if given else None, size=60)
    windows = sliding_window_view(data._grass(), (28, 28), axis=(1, 2))
    corners = windows[..., 0, 0]
    for patch in data.background[:5, 0]:
        assert any(np.array_equal(windows[tuple(at)], patch) for at in np.argwhere(corners == patch[0, 0]))


def test_splits_share_no_textures_and_use_all(digits: Path, textures: Path):
    used = [set((GrassyMNIST(split, digits, textures, size=60).background // 20).ravel().tolist()) for split in SPLITS]
    assert set.union(*used) == set(range(TEXTURES))
    assert sum(map(len, used)) == TEXTURES
    other = [set((GrassyMNIST(split, digits, textures, size=60, seed=1).background // 20).ravel()) for split in SPLITS]
    assert used != other


def test_a_folder_and_its_archive_give_the_same_images(digits: Path, textures: Path, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "grass.zip", "w") as archive:
        for file in sorted((textures / "deep").iterdir(), reverse=True):
            archive.write(file, f"deep/{file.name}")
    x = [GrassyMNIST("test", digits, path).batch(np.arange(40)).x for path in (textures, tmp_path / "grass.zip")]
    assert torch.equal(*x)


def test_textures_are_grey_centred_squares(tmp_path: Path):
    colours = np.zeros((100, 200, 3), np.uint8)
    colours[:, 50:150] = (255, 0, 0)  # the centre, and the rest is green
    colours[:, :50] = colours[:, 150:] = (0, 255, 0)
    for k in range(6):
        (tmp_path / f"{k}.png").write_bytes(png(colours))
    grey = grey_textures(tmp_path, 100, "train", 0)
    assert grey.shape == (4, 100, 100)
    assert (grey == 76).all()  # 0.299 of 255 (ITU-R 601)


def test_scale_enlarges_before_the_patch_is_cut():
    ramp = np.tile(np.arange(0, 200, 2, dtype=np.uint8), (100, 1))[None]
    where = np.random.default_rng(0).random((4, 50))
    slopes = [
        np.diff(cut(ramp, where, scale).astype(int)[:, 0, 2:-2]).mean((1,)) for scale in ((1, 1), (2, 2), (0.5, 0.5))
    ]
    for slope, expected in zip(slopes, (2, 1, 4), strict=True):
        np.testing.assert_allclose(slope, expected, atol=0.1)
    whole = cut(ramp, where, (0.28, 0.28))
    assert (whole == whole[0]).all()
    mixed = np.diff(cut(ramp, where, (0.5, 2)).astype(int)[:, 0, 2:-2]).mean(1)
    assert mixed.min() < 1.4
    assert mixed.max() > 3


def test_where_patches_lie_is_uniform_and_ends_at_the_edge():
    ramp = np.arange(100, dtype=np.uint8)
    where = np.random.default_rng(0).random((4, 8000))
    for texture in (np.tile(ramp, (100, 1)), np.tile(ramp[:, None], (1, 100))):
        corner = cut(texture[None], where, (1, 1))[:, 0, 0]
        counts = np.bincount(corner, minlength=73)
        assert len(counts) == 73
        assert abs(counts - 8000 / 73).max() < 5 * np.sqrt(8000 / 73)


def test_brightness_dims_each_patch_and_leaves_the_rest_alone(digits: Path, textures: Path):
    plain, dimmed = (GrassyMNIST("test", digits, textures, brightness=(low, 1)) for low in (1, 0.5))
    index = np.arange(40)
    ratio = dimmed.background_at(index)[plain.background > 0] / plain.background_at(index)[plain.background > 0]
    assert np.array_equal(plain.background, dimmed.background)
    assert 0.5 <= ratio.min() < 0.6
    assert 0.9 < ratio.max() <= 1 + 1e-6
    assert np.array_equal(plain.clean_at(index), dimmed.clean_at(index))


def test_groups_make_populations_and_leave_out_other_digits(digits: Path):
    groups = {"round": ("0", "8"), "straight": ["1"]}
    data, whole = GrassyMNIST("test", digits, groups=groups), GrassyMNIST("test", digits)
    assert data.populations == ("round", "straight")
    assert set(np.asarray(data.labels)[data.population == 0].tolist()) == {0, 8}
    assert set(np.asarray(data.labels)[data.population == 1].tolist()) == {1}
    assert torch.equal(
        data.batch(np.arange(len(data))).x, whole.batch(data.chosen).x
    )  # the same digits on the same grass
    every = GrassyMNIST("test", digits, groups={digit: (digit,) for digit in "0123456789"})
    assert np.array_equal(np.asarray(every.population), np.asarray(every.labels))
    assert repr(build(describe(data))) == repr(data)


def test_textures_that_changed_are_refused(digits: Path, tmp_path: Path):
    def store(seed: int) -> None:
        with zipfile.ZipFile(tmp_path / "grass.zip", "w") as archive:
            for k in range(6):
                archive.writestr(f"{k}.png", png(np.random.default_rng([seed, k]).integers(0, 256, (30, 30), np.uint8)))

    store(0)
    description = describe(GrassyMNIST("test", digits, tmp_path / "grass.zip"))
    assert build(description).facts()["textures"] == {"grass.zip": description["arguments"]["sha256"]}  # type: ignore[index, call-overload]
    store(1)
    with pytest.raises(ValueError, match="it has changed since"):
        build(description)


def images(count: int, **others: bytes) -> dict[str, bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (count, 30, 30), np.uint8)
    return {**{f"{k}.png": png(pixels) for k, pixels in enumerate(noise)}, **others}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "at least 6 images"),
        ({"notes.txt": b"grass"}, "at least 6 images .* got 0"),
        (images(5), "at least 6 images .* got 5"),
        (images(6) | dict.fromkeys(images(6), b"no image"), "expected an image that can be decoded"),
        (
            images(6) | dict.fromkeys(images(6), png(np.zeros((27, 90), np.uint8))),
            "at least 28 x 28 pixels, got 90 x 27",
        ),
        (images(6) | dict.fromkeys(images(6), images(1)["0.png"][:-200]), "expected an image that can be decoded"),
    ],
)
def test_textures_that_will_not_do_are_refused(digits: Path, tmp_path: Path, files: dict[str, bytes], message: str):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        GrassyMNIST("train", digits, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "valid"}, "valid"),
        ({"amplitude": -1.0}, "finite amplitude of at least 0, got -1.0"),
        ({"amplitude": float("nan")}, "finite amplitude"),
        ({"size": 27}, "size from 28 to 1024 pixels, got 27"),
        ({"scale": (0.1, 1.0)}, "scale as .* from 0.14"),
        ({"scale": (2.0, 1.0)}, r"scale as .* got \(2.0, 1.0\)"),
        ({"scale": (1.0, 4.1)}, "to 4.0"),
        ({"scale": (1.0,)}, "scale as"),
        ({"brightness": (0.0, 1.0)}, "brightness as .* above 0"),
        ({"brightness": (0.5, 1.5)}, "at most 1"),
        ({"groups": {"low": ("0", "1")}}, "at least two populations"),
        ({"groups": {"low": ("0",), "high": ("ten",)}}, "'ten'"),
        ({"textures": "no such folder"}, "no such folder"),
        ({"validation": 2.0}, "validation"),
        ({"sha256": "0" * 64}, "sha256 alone"),
    ],
)
def test_bad_arguments_raise(digits: Path, arguments: dict, message: str):
    # TypeError: where annotations are checked, a wrong literal stops there already
    with pytest.raises((ValueError, TypeError), match=message):
        GrassyMNIST(folder=digits, **arguments)


@pytest.mark.skipif("UNBRAID_TEST_DATA" not in os.environ, reason="UNBRAID_TEST_DATA names no folder with real data")
def test_real_digits_on_real_textures():
    real = Path(os.environ["UNBRAID_TEST_DATA"])
    data = GrassyMNIST("test", real, real / "grass-textures.zip")
    assert len(data) == 10_000
    assert data._grass().shape == (15, 100, 100)  # of 102
    assert data.held == 10_000 * 1604
    assert data.facts()["official"] is True
    background = data.background_at(np.arange(1000))
    assert 0.3 < background.mean() < 0.6
    assert 0.03 < background.std((1, 2, 3)).mean() < 0.15
