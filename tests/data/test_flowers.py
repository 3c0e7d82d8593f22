"""17 Flowers in their official layout, drawn small; the real photographs where UNBRAID_TEST_DATA has them."""

import io
import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unbraid.configuration import build, describe
from unbraid.data.flowers import CLASSES, Flowers17

REAL = os.environ.get("UNBRAID_TEST_DATA")


def official(at: Path, numbers: Iterable[int] = range(1, 1361)) -> Path:
    """Images whose red says their class, and green their number within it."""
    with tarfile.open(at / "17flowers.tgz", "w:gz") as archive:
        for number in numbers:
            stream = io.BytesIO()
            colour = (10 * ((number - 1) // 80), 3 * ((number - 1) % 80), 0)
            Image.new("RGB", (8, 8), colour).save(stream, "JPEG", quality=100, subsampling=0)
            member = tarfile.TarInfo(f"jpg/image_{number:04d}.jpg")
            member.size = stream.tell()
            stream.seek(0)
            archive.addfile(member, stream)
        listing = tarfile.TarInfo("jpg/files.txt")
        archive.addfile(listing)
    return at


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return official(tmp_path_factory.mktemp("flowers"))


def test_classes_are_in_the_official_order_in_every_part(folder: Path):
    parts = [Flowers17(split, 8, folder) for split in ("train", "validation", "test")]
    for part, count in zip(parts, (56, 12, 12), strict=True):
        assert part.labels is not None
        assert np.bincount(part.labels).tolist() == [count] * 17
        assert np.array_equal(part.labels, (part.numbers - 1) // 80)
        x = part.batch(np.arange(len(part))).x.numpy() * 255
        assert np.abs(x[:, 0].mean((1, 2)) - 10 * part.labels).max() < 3
        assert np.abs(x[:, 1].mean((1, 2)) - 3 * ((part.numbers - 1) % 80)).max() < 3
    assert sorted(number for part in parts for number in part.numbers) == list(range(1, 1361))
    assert parts[0].classes == CLASSES
    assert parts[0].populations == ()


def test_seed_draws_other_parts_and_the_description_keeps_it(folder: Path):
    data = Flowers17("test", 8, folder, seed=5)
    assert not np.array_equal(data.numbers, Flowers17("test", 8, folder).numbers)
    again = build(describe(data))
    assert repr(again) == repr(data)
    assert torch.equal(again.batch(np.arange(9)).x, data.batch(np.arange(9)).x)
    assert data.facts()["official"] is False


@pytest.mark.parametrize("numbers", [range(1, 1360), range(2, 1362), []])
def test_missing_images_are_noticed(numbers: Iterable[int], tmp_path: Path):
    with pytest.raises(ValueError, match=r"image_1360\.jpg in .* incomplete or another one"):
        Flowers17(folder=official(tmp_path, numbers))


def test_where_to_get_it_is_said(tmp_path: Path):
    with pytest.raises(ValueError, match=r"'17flowers\.tgz' of 17 Category Flowers .*www\.robots\.ox\.ac\.uk"):
        Flowers17(folder=tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="UNBRAID_TEST_DATA names no folder with real data")
def test_the_real_flowers_have_the_colours_of_their_classes():
    data = Flowers17(folder=REAL)
    x = data.batch(np.arange(len(data))).x[:, :, 16:48, 16:48].mean((2, 3))
    of = {name: x[data.labels == k].mean(0) for k, name in enumerate(CLASSES)}
    for yellow in ("daffodil", "sunflower", "dandelion", "buttercup", "coltsfoot", "cowslip"):
        assert of[yellow][0] > 1.5 * of[yellow][2], yellow
    assert of["bluebell"][2] > of["bluebell"][1]
    assert of["tigerlily"][0] > 1.3 * of["tigerlily"][1]
    white = [of[name].max() / of[name].min() for name in ("daisy", "snowdrop", "windflower")]
    assert max(white) < 1.35
