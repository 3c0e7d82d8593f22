"""The official file of dSprites, made here in its layout from the reconstruction."""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from unbraid.data.dsprites import CARD, DSprites
from unbraid.data.sprites import Sprites

COUNT = 737_280
NAME = CARD.files[0].name
SPRITES = Sprites()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    yield
    for file in (tmp_path / "cache").glob("*"):  # 377 MB
        file.unlink()


def classes() -> np.ndarray:
    factors = SPRITES.factors(np.arange(COUNT))
    return np.concatenate([np.zeros((COUNT, 1), np.int64), factors], axis=1)


def images(start: int, stop: int) -> np.ndarray:
    return SPRITES.batch(np.arange(start, stop)).x[:, 0].to(torch.uint8).numpy()


def official(
    folder: Path, count: int, order: np.ndarray, shape: tuple[int, ...] = (COUNT, 64, 64), factor: int = 1
) -> Path:
    """The file with `count` images in it, whatever its header says."""
    with zipfile.ZipFile(folder / NAME, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("metadata.npy", "w") as file:
            np.lib.format.write_array(file, np.array({"title": "dSprites"}, dtype=object), allow_pickle=True)
        with archive.open("imgs.npy", "w", force_zip64=True) as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for start in range(0, count, 1024):
                file.write((images(start, min(start + 1024, count)) * factor).tobytes())
        for name in ("latents_classes.npy", "latents_values.npy"):
            with archive.open(name, "w") as file:
                np.lib.format.write_array(file, order)
    return folder


@pytest.mark.slow
def test_whole_file_is_read_without_holding_it(tmp_path: Path):
    data = DSprites(official(tmp_path, COUNT, classes()))
    assert isinstance(data.bits, np.memmap)
    assert data.held == 0
    (tmp_path / NAME).write_bytes(b"")
    for index in np.random.default_rng(0).integers(0, COUNT, (200, 64)):
        assert torch.equal(data.batch(index).x, SPRITES.batch(index).x)
    assert torch.equal(data.sample(np.array([[2, 5, 39, 31, 31]])), data.batch(np.array([COUNT - 1])).x)
    assert data.facts()["official"] is False
    if "UNBRAID_TEST_DATA" in os.environ:
        file = Path(os.environ["UNBRAID_TEST_DATA"]) / "dsprites-frames" / "frames.npz"
        frames = np.load(file, allow_pickle=False)
        found = data.sample(frames["latents_classes"][:, 1:])  # the first is the colour
        assert (found[:, 0].numpy() != frames["imgs"]).sum() <= 20  # as the reconstruction


@pytest.mark.parametrize("shape", [(320, 64, 64), (COUNT, 64, 63), (COUNT, 4096), (1 << 50, 64, 64)])
def test_anything_but_the_grid_is_refused(tmp_path: Path, shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"expected 'imgs' in .* of shape \(737280, 64, 64\), got one of uint8 of"):
        DSprites(official(tmp_path, 0, np.zeros(1), shape))


@pytest.mark.skipif("UNBRAID_TEST_DATA" not in os.environ, reason="UNBRAID_TEST_DATA names no folder with real data")
def test_sample_of_frames_is_refused(tmp_path: Path):
    frames = Path(os.environ["UNBRAID_TEST_DATA"]) / "dsprites-frames" / "frames.npz"
    (tmp_path / NAME).symlink_to(frames)
    with pytest.raises(ValueError, match=r"got one of uint8 of shape \(320, 64, 64\)"):
        DSprites(tmp_path)


def test_another_order_is_refused(tmp_path: Path):
    order = classes()
    order[[5, 6]] = order[[6, 5]]
    with pytest.raises(ValueError, match="to be the whole grid in its order, but it is not"):
        DSprites(official(tmp_path, 0, order))


def test_truncated_images_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="'imgs' is shorter than its header says"):
        DSprites(official(tmp_path, 1500, classes()))


def test_other_values_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"images of zeros and ones in .*, got a value of 255"):
        DSprites(official(tmp_path, 1024, classes(), factor=255))


def test_file_that_is_no_archive_is_refused(tmp_path: Path):
    (tmp_path / NAME).write_bytes(b"<html>Please sign in</html>")
    with pytest.raises(ValueError, match="expected a whole zip, tar"):
        DSprites(tmp_path)


def test_file_that_is_missing_is_told(tmp_path: Path):
    with pytest.raises(ValueError, match=f"expected '{NAME}' of dSprites"):
        DSprites(tmp_path)
