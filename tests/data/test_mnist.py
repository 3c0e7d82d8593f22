import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from unbraid.configuration import build, describe
from unbraid.data._split import Split
from unbraid.data.mnist import MNIST, NAMES, FashionMNIST

REAL = Path(os.environ.get("UNBRAID_TEST_DATA", "unset"))
needs_data = pytest.mark.skipif(
    "UNBRAID_TEST_DATA" not in os.environ, reason="UNBRAID_TEST_DATA names no folder with real data"
)
COUNTS = {"train": 240, "t10k": 40}


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def contents(images: np.ndarray | None = None) -> dict[str, bytes]:
    """What four official files hold: random images unless others are given, and labels 0, 1, ..., 9, 0, ..."""
    images = np.random.default_rng(0).integers(0, 256, (280, 28, 28), np.uint8) if images is None else images
    parts = {"train": images[: COUNTS["train"]], "t10k": images[COUNTS["train"] :]}
    labels = {name: (np.arange(len(part)) % 10).astype(np.uint8) for name, part in parts.items()}
    return {name: idx((parts if "images" in name else labels)[name.split("-")[0]]) for name in NAMES}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, contents())
    return tmp_path


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)


@needs_data
@pytest.mark.parametrize(("split", "count"), [("train", 54_999), ("validation", 5_001), ("test", 10_000)])
def test_real_files_hold_the_official_content(split: Split, count: int):
    data = MNIST(split, REAL / "mnist")
    assert len(data) == count
    assert data.labels is not None
    assert np.abs(np.bincount(data.labels) / count - 0.1).max() < 0.015
    assert data.facts()["official"] is True
    assert data.held == count * 792
    x = data.batch(np.arange(2000)).x
    assert x.min() == 0
    assert x.max() == 1
    assert 0.12 < x.mean() < 0.14


@needs_data
def test_real_images_are_in_official_order():
    data = MNIST("train", REAL, validation=0.0)  # the folder above `mnist` will do
    assert data.labels is not None
    assert data.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    content = gzip.decompress((REAL / "mnist" / NAMES[0]).read_bytes())
    assert data.images.tobytes() == content[16:]


@needs_data
def test_fashion_reads_files_of_its_layout_but_not_those_of_mnist(tmp_path: Path):
    real = MNIST("test", REAL).images[:280, 0]
    write(tmp_path / "fashion-mnist", contents(real))  # not Fashion-MNIST, of which there is no copy to test with
    data = FashionMNIST("test", tmp_path)
    assert np.array_equal(data.images[:, 0], real[240:])
    assert data.classes[:2] == ("T-shirt/top", "Trouser")
    assert data.facts()["official"] is False
    with pytest.raises(
        ValueError, match=r"expected train-images.* of Fashion-MNIST in .*, got train-images.* of MNIST"
    ):
        FashionMNIST("train", REAL / "mnist")


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
def test_batches_are_the_bytes_of_the_files(folder: Path, kind: type[MNIST] | type[FashionMNIST]):
    data = kind("test", folder)
    stored = np.frombuffer(bytearray(contents()[NAMES[2]][16:]), np.uint8).reshape(-1, 1, 28, 28)
    assert torch.equal(data.batch(np.arange(40)).x, torch.from_numpy(stored).float() / 255)
    assert data.labels is not None
    assert np.array_equal(data.labels, np.arange(40) % 10)
    assert data.facts()["official"] is False
    assert repr(build(describe(data))) == repr(data)


@pytest.mark.parametrize("validation", [1 / 12, 0.5])
def test_validation_is_carved_out_of_training_by_class(folder: Path, validation: float):
    whole = MNIST("train", folder, validation=0.0)
    train, held_out = (MNIST(split, folder, 3, validation) for split in ("train", "validation"))
    parts = [set(map(bytes, data.images)) for data in (train, held_out)]
    assert parts[0].isdisjoint(parts[1])
    assert parts[0] | parts[1] == set(map(bytes, whole.images))
    assert held_out.labels is not None
    assert set(np.bincount(held_out.labels)) == {round(24 * validation)}
    assert not np.array_equal(held_out.images, MNIST("validation", folder, 4, validation).images)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name,
        lambda name: name.removesuffix(".gz"),
        lambda name: name.replace("-idx", ".idx"),
        lambda name: name.replace("-idx", ".idx").removesuffix(".gz"),
        lambda name: f"mnist/{name}",
    ],
)
def test_files_are_found_under_the_names_they_go_by(tmp_path: Path, rename, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mnist").mkdir()
    write(tmp_path, {rename(name): content for name, content in contents().items()})
    assert len(MNIST("test", tmp_path)) == COUNTS["t10k"]
    monkeypatch.setenv("UNBRAID_DATA", str(tmp_path))
    assert len(MNIST("train")) == 220


def test_missing_files_are_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz.* of MNIST .*get it from https"):
        MNIST(folder=tmp_path)


def altered(name: str, content: bytes) -> dict[str, bytes]:
    return {**contents(), name: content}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            altered(NAMES[0], idx(np.zeros((240, 28, 27), np.uint8))),
            r"shape \(n, 28, 28\).* got uint8 of \(240, 28, 27\)",
        ),
        (altered(NAMES[0], idx(np.zeros(240, np.uint8))), r"shape \(n, 28, 28\)"),
        (
            altered(NAMES[1], idx(np.zeros(239, np.uint8))),
            r"expected 240 bytes as labels .* got uint8 of shape \(239,\)",
        ),
        (altered(NAMES[1], idx(np.full(240, 10, np.uint8))), "labels below 10 .* got 10"),
        (altered(NAMES[1], b"\0\0\x0c\x01\0\0\0\xf0" + bytes(960)), "bytes as labels .* got int32"),
        (altered(NAMES[0], contents()[NAMES[0]][:-1]), "it is truncated"),
        (altered(NAMES[0], contents()[NAMES[0]] + b"\0"), "it is damaged"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, files: dict[str, bytes], message: str):
    write(tmp_path, files)
    with pytest.raises(ValueError, match=message):
        MNIST(folder=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "valid"}, "valid"),
        ({"validation": 1.0}, "below 1, got 1.0"),
        ({"validation": -0.1}, "at least 0"),
        ({"validation": float("nan")}, "got nan"),
        ({"split": "validation", "validation": 0.0}, "leaves observations for validation, got 0.0 of 240"),
    ],
)
def test_bad_arguments_raise(folder: Path, arguments: dict, message: str):
    # TypeError: where annotations are checked, a wrong literal stops there already
    with pytest.raises((ValueError, TypeError), match=message):
        MNIST(folder=folder, **arguments)
