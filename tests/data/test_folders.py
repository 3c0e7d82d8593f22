"""Folders, zips and tars of images become populations, classes and parts; what is wrong with one is said plainly."""

import io
import os
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unbraid.configuration import build, describe
from unbraid.data._files.fetch import cache_folder
from unbraid.data.folders import ImageFolder, _natural

REAL = os.environ.get("UNBRAID_TEST_DATA")


def picture(number: int) -> bytes:
    """Red says which picture it is."""
    stream = io.BytesIO()
    Image.new("RGB", (4, 4), (number % 256, number // 256, 7)).save(stream, "PNG")
    return stream.getvalue()


def tree(names: Iterable[str]) -> dict[str, bytes]:
    """Picture k under the k-th name, if it is a picture's name."""
    return {name: picture(k) if name.endswith(".png") else b"text" for k, name in enumerate(names)}


def folder(at: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_bytes(content)
    return at


def zipped(at: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(at, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return at


def tarred(at: Path, files: dict[str, bytes], mode: Any = "w") -> Path:
    with tarfile.open(at, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return at


def which(data: ImageFolder) -> list[int]:
    """The numbers of the pictures."""
    x = (data.batch(np.arange(len(data))).x * 255).round().int()
    return (x[:, 0, 0, 0] + 256 * x[:, 1, 0, 0]).tolist()


def counts(groups: np.ndarray | None) -> list[int]:
    assert groups is not None
    return np.bincount(groups).tolist()


PETS = [f"pets/{kind}/{k}.png" for kind in ("Dog", "cat", "cat10", "cat2") for k in range(20)]
NOISE = ["pets/.DS_Store", "__MACOSX/pets/cat/._0.png", "pets/cat/.hidden.png", "pets/cat/notes.txt", "pets/cat.txt"]


def make(kind: str, at: Path, files: dict[str, bytes]) -> Path:
    """The same files in each form."""
    if kind == "folder":
        return folder(at / "tree", files)
    if kind == "zip":
        return zipped(at / "tree.zip", files)
    return tarred(at / "tree.tar", files) if kind == "tar" else tarred(at / "tree.tgz", files, "w:gz")


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tgz"])
def test_every_form_gives_the_same_populations(kind: str, tmp_path: Path):
    data = ImageFolder(make(kind, tmp_path, tree(PETS + NOISE)), 4, split="all")
    assert data.populations == ("cat", "cat2", "cat10", "Dog")
    assert data.shape == (3, 4, 4)
    assert len(data) == 80
    assert counts(data.population) == [20] * 4
    assert [PETS[number] for number in which(data)] == data.files
    assert data.files[:3] == ["pets/cat/0.png", "pets/cat/1.png", "pets/cat/2.png"]
    assert data.files[-1] == "pets/Dog/19.png"
    facts = data.facts()
    assert facts["images"] == 80
    assert facts["left_out"] == len(NOISE)
    assert data.labels is None


def test_parts_are_drawn_in_proportion_and_share_nothing(tmp_path: Path):
    path = zipped(tmp_path / "pets.zip", tree(PETS))
    parts = [ImageFolder(path, 4, split=split, seed=3) for split in ("train", "validation", "test")]
    assert [counts(part.population) for part in parts] == [[14] * 4, [3] * 4, [3] * 4]
    assert sorted(number for part in parts for number in which(part)) == list(range(80))
    assert which(ImageFolder(path, 4, seed=3)) == which(parts[0])
    assert which(ImageFolder(path, 4, seed=4)) != which(parts[0])


LIKE_CIFAR = [f"set/{part}/{kind}/{k}.png" for part in ("train", "test") for kind in ("ape", "bee") for k in range(20)]


def test_folders_may_name_the_parts(tmp_path: Path):
    path = zipped(tmp_path / "set.zip", tree(LIKE_CIFAR))
    train, validation, test = (
        ImageFolder(path, 4, levels=("split", "label"), split=split) for split in ("train", "validation", "test")
    )
    assert all("/test/" in name for name in test.files)
    assert which(test) == list(range(40, 80))
    assert test.classes == ("ape", "bee")
    assert test.populations == ()
    assert counts(train.labels) == [18, 18]
    assert counts(validation.labels) == [2, 2]
    assert sorted(which(train) + which(validation)) == list(range(40))


def test_a_folder_for_validation_is_used(tmp_path: Path):
    names = [f"{part}/{kind}/{k}.png" for part in ("Train", "val", "test") for kind in "ab" for k in range(5)]
    data = ImageFolder(folder(tmp_path, tree(names)), 4, levels=("split", "population"), split="validation")
    assert which(data) == list(range(10, 20))
    assert len(ImageFolder(tmp_path, 4, levels=("split", "population"), split="train")) == 10


def test_populations_and_classes_at_once_and_deeper_folders(tmp_path: Path):
    names = [f"{site}/{kind}/day{k % 3}/{k}.png" for site in ("north", "south") for kind in "xyz" for k in range(10)]
    data = ImageFolder(folder(tmp_path, tree(names)), (4, 2), 1, ("population", "label"), split="all")
    assert data.shape == (1, 4, 2)
    assert data.populations == ("north", "south")
    assert data.classes == ("x", "y", "z")
    assert data.population is not None
    assert data.labels is not None
    pairs = [(data.populations[p], data.classes[c]) for p, c in zip(data.population, data.labels, strict=True)]
    assert pairs == [tuple(name.split("/")[:2]) for name in data.files]


def test_without_levels_all_images_are_one_population(tmp_path: Path):
    data = ImageFolder(folder(tmp_path, tree(["a.png", "b/c.png", "b/d/e.png"])), 4, levels=(), split="all")
    assert data.populations == ()
    assert data.batch(np.arange(3)).population is None
    assert which(data) == [0, 1, 2]


def test_reopening_decodes_nothing(tmp_path: Path):
    path = zipped(tmp_path / "pets.zip", tree(PETS))
    first = ImageFolder(path, 4)
    before = {file: file.stat().st_mtime_ns for file in cache_folder().iterdir()}
    again = ImageFolder(path, 4, split="test")
    assert {file: file.stat().st_mtime_ns for file in cache_folder().iterdir()} == before
    assert not set(which(first)) & set(which(again))
    assert first.held < 80 * 3 * 8


def test_an_edited_image_of_the_same_size_is_decoded_again(tmp_path: Path):
    folder(tmp_path, tree(["a/0.png", "b/1.png"]))
    assert which(ImageFolder(tmp_path, 4, split="all")) == [0, 1]
    assert len(picture(5)) == len(picture(1))
    (tmp_path / "b" / "1.png").write_bytes(picture(5))
    assert which(ImageFolder(tmp_path, 4, split="all")) == [0, 5]


def test_images_of_one_size_that_change_places_are_decoded_again(tmp_path: Path):
    folder(tmp_path, tree(["a/0.png", "b/1.png"]))
    assert which(ImageFolder(tmp_path, 4, split="all")) == [0, 1]
    one, two, aside = tmp_path / "a" / "0.png", tmp_path / "b" / "1.png", tmp_path / "aside"
    for old, new in ((one, aside), (two, one), (aside, two)):
        old.rename(new)
    assert which(ImageFolder(tmp_path, 4, split="all")) == [1, 0]


def test_parts_do_not_depend_on_the_order_in_an_archive(tmp_path: Path):
    names = [f"{kind}/{number}.png" for kind in "ab" for number in range(20)]
    content = tree(names)
    one = ImageFolder(zipped(tmp_path / "one.zip", content), 4, seed=3)
    two = ImageFolder(zipped(tmp_path / "two.zip", dict(reversed(content.items()))), 4, seed=3)
    assert one.files == two.files
    assert torch.equal(one.batch(np.arange(28)).x, two.batch(np.arange(28)).x)


def test_description_pins_the_content(tmp_path: Path):
    path = zipped(tmp_path / "pets.zip", tree(PETS))
    data = ImageFolder(path, 4, levels=["population"])
    plain: Any = describe(data)
    assert plain["arguments"]["sha256"] == data.sha256
    again = build(plain)
    assert describe(again) == plain
    assert repr(again) == repr(data)
    assert torch.equal(again.batch(np.arange(5)).x, data.batch(np.arange(5)).x)
    zipped(path, tree(PETS[::-1]))
    with pytest.raises(ValueError, match=rf"SHA-256 {data.sha256}, got .* changed since"):
        build(plain)
    assert len(ImageFolder(path, 4)) == len(data)


WRONG: dict[str, tuple[Sequence[str], dict[str, Any], str]] = {
    "one population": (["top/a/1.png", "top/a/2.png"], {}, "at least two populations.*'a': 1"),
    "no folders": (["1.png", "2.png"], {}, "in folders that say population, got '1.png'"),
    "one outside": (["a/1.png", "b/1.png", "cover.png"], {}, "in folders that say population, got 'cover.png'"),
    "not deep enough": (["a/1.png", "b/1.png"], {"levels": ("split", "label")}, "say split and label"),
    "no images": (["a/1.txt", "b/1.csv"], {}, "expected images .* got 2 other files"),
    "only hidden": (["a/.1.png", "__MACOSX/1.png"], {}, "expected images .* got 2 other files"),
    "a bare class": (["a/1.png", "b/1.png", "c/1.txt"], {}, "in every folder of .* got none in 'c'"),
    "a bare class deeper": (["t/a/1.png", "t/b/1.png", "t/c/d/1.txt"], {}, "in every folder of .* got none in 'c'"),
    "unknown split": (
        ["train/a/1.png", "best/a/1.png"],
        {"levels": ("split", "label")},
        "validation.*got \\['best'\\]",
    ),
    "empty split": (["train/1.png", "dev/1.png"], {"levels": ("split",), "split": "test"}, "in the test part"),
    "population not in split": (
        ["train/a/1.png", "train/b/1.png", "test/a/1.png", "val/a/1.png"],
        {"levels": ("split", "population"), "split": "test"},
        "each with images in the test part, in .*'a': 1, 'b': 0",
    ),
    "too few to share": (["a/1.png", "b/1.png"], {"split": "test"}, "in the test part"),
    "unknown level": (["a/1.png"], {"levels": ("class",)}, "expected levels as some of"),
    "level as a word": (["a/1.png"], {"levels": "label"}, "expected levels as some of"),
    "level twice": (["a/1.png"], {"levels": ("label", "label")}, "expected levels as some of"),
    "no size": (["a/1.png"], {"size": 0}, "expected size"),
}


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(("names", "options", "message"), WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_with_a_tree_is_said(names: Sequence[str], options: Any, message: str, tmp_path: Path):
    for path in (folder(tmp_path / "tree", tree(names)), zipped(tmp_path / "tree.zip", tree(names))):
        with pytest.raises(ValueError, match=message):
            ImageFolder(path, **{"size": 4, **options})


def test_an_empty_folder_is_noticed(tmp_path: Path):
    folder(tmp_path, tree(["a/1.png", "b/1.png"]))
    (tmp_path / ".git").mkdir()
    assert ImageFolder(tmp_path, 4, split="all").populations == ("a", "b")
    (tmp_path / "c").mkdir()
    with pytest.raises(ValueError, match="got none in 'c'; remove it"):
        ImageFolder(tmp_path, 4)


def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path):
    path = zipped(tmp_path / "pets.zip", tree(PETS) | {"pets/cat/5.png": picture(5)[:40]})
    for _ in range(2):  # nor is a half-made cache taken for a whole one
        with pytest.raises(ValueError, match=r"can be decoded, got 'pets/cat/5\.png'"):
            ImageFolder(path, 4)


HOSTILE = {
    "not there": (None, "there is none|does not exist"),
    "no archive": (b"not an archive at all" * 100, "expected a whole zip"),
    "empty": (b"", "is empty"),
    "leads out": ({"../a/1.png": picture(1), "b/1.png": picture(2)}, "leads out of it"),
    "absolute": ({"/a/1.png": picture(1), "b/1.png": picture(2)}, "leads out of it"),
}


@pytest.mark.parametrize(("content", "message"), HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_archives_are_refused(content: Any, message: str, tmp_path: Path):
    path = tmp_path / "tree.zip"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        zipped(path, content)
    with pytest.raises(ValueError, match=message):
        ImageFolder(path, 4)


def test_links_out_of_a_folder_are_refused(tmp_path: Path):
    folder(tmp_path / "tree", tree(["a/1.png", "b/1.png"]))
    (tmp_path / "tree" / "b" / "2.png").symlink_to(tmp_path / "tree" / "a" / "1.png")
    with pytest.raises(ValueError, match=r"'b/2\.png' is"):
        ImageFolder(tmp_path / "tree", 4)


@given(numbers=st.lists(st.integers(0, 10**30), unique=True), word=st.text())
def test_names_with_numbers_are_ordered_by_value(numbers: list[int], word: str):
    word = word.rstrip("0123456789")
    assert sorted((f"{word}{n}" for n in numbers), key=_natural) == [f"{word}{n}" for n in sorted(numbers)]


@given(names=st.lists(st.text()))
def test_any_names_have_one_order(names: list[str]):
    backwards = names[::-1]
    assert sorted(names, key=_natural) == sorted(backwards, key=_natural)


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="UNBRAID_TEST_DATA names no folder with real data")
def test_cifar_as_images_loads_with_its_official_parts():
    parts = {
        split: ImageFolder(Path(REAL or "") / "cifar10-jpeg.zip", 32, levels=("split", "label"), split=split)
        for split in ("train", "validation", "test")
    }
    assert {split: counts(part.labels) for split, part in parts.items()} == {
        "train": [4500] * 10,
        "validation": [500] * 10,
        "test": [1000] * 10,
    }
    assert parts["test"].classes[:3] == ("airplane", "automobile", "bird")
    assert 0.4 < parts["train"].batch(np.arange(0, 45000, 50)).x.mean() < 0.55
