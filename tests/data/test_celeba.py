"""CelebA in its official layout, small and self-made; the real sample where UNBRAID_TEST_DATA has it."""

import io
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unbraid.configuration import build, describe
from unbraid.data._celeba import read_attributes, read_partition
from unbraid.data.celeba import CelebA

REAL = os.environ.get("UNBRAID_TEST_DATA")
NAMES = ("Bald", "Male", "Smiling")
Change = Callable[[str], str]


def face(number: int, scale: int = 1) -> bytes:
    """An image of 178 x 218 that is black but for the 140 x 140 in its centre, whose grey says which it is."""
    image = Image.new("RGB", (178, 218))
    image.paste((40 + number % 200,) * 3, (19, 39, 159, 179))
    stream = io.BytesIO()
    image.resize((178 // scale, 218 // scale), Image.Resampling.BOX).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def attributes_text(rows: Mapping[str, Sequence[int]], names: Sequence[str] = NAMES) -> str:
    lines = [f"{name} " + " ".join(f"{value:2d}" for value in values) for name, values in rows.items()]
    return f"{len(rows)}\n{' '.join(names)} \n" + "\n".join(lines) + "\n"


def official(at: Path, numbers: Sequence[int] = range(1, 41), partition: Sequence[int] | None = None) -> Path:
    """Even images are male, those that 4 divides smile, the first is bald."""
    names = [f"{number:06d}.jpg" for number in numbers]
    rows = {f"{n:06d}.jpg": (1 if n == numbers[0] else -1, -1 if n % 2 else 1, -1 if n % 4 else 1) for n in numbers}
    at.mkdir(exist_ok=True)
    (at / "list_attr_celeba.txt").write_text(attributes_text(rows))
    with zipfile.ZipFile(at / "img_align_celeba.zip", "w") as archive:
        for number, name in zip(numbers, names, strict=True):
            archive.writestr(f"img_align_celeba/{name}", face(number))
    if partition is not None:
        lines = [f"{name} {part}" for name, part in zip(names, partition, strict=True)]
        (at / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")
    return at


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return official(tmp_path_factory.mktemp("celeba"))


def test_attributes_make_populations_and_classes(folder: Path):
    data = CelebA("train", "Male", "Smiling", folder=folder)
    assert data.shape == (3, 64, 64)
    assert data.populations == ("not Male", "Male")
    assert data.classes == ("not Smiling", "Smiling")
    assert np.array_equal(data.population == 1, data.numbers % 2 == 0)
    assert np.array_equal(data.labels == 1, data.numbers % 4 == 0)
    assert data.attribute_names == NAMES
    assert np.array_equal(data.attribute("Bald"), data.numbers == 1)
    assert data.attributes.shape == (28, 3)


def test_images_are_those_of_the_rows(folder: Path):
    data = CelebA("validation", folder=folder)
    centre = data.batch(np.arange(len(data))).x[:, :, 30, 30] * 255
    assert np.abs(centre.mean(1).numpy() - 40 - data.numbers).max() < 1.5
    assert data.populations == ()
    assert data.labels is None


def test_crop_is_148_of_178_pixels_whatever_the_size(tmp_path: Path):
    for scale in (1, 2):
        at = official(tmp_path / str(scale), range(1, 11))
        with zipfile.ZipFile(at / "img_align_celeba.zip", "w") as archive:
            for number in range(1, 11):
                archive.writestr(f"img_align_celeba/{number:06d}.jpg", face(190, scale))
        bright = CelebA(folder=at, size=74).batch(np.arange(1)).x[0].mean(0) > 0.4
        for line in (bright[37], bright[:, 37]):  # 140 of 148 pixels, in the middle
            assert line.nonzero().flatten().tolist() == list(range(2, 72))


def test_images_may_be_unpacked(folder: Path, tmp_path: Path):
    with zipfile.ZipFile(folder / "img_align_celeba.zip") as archive:
        archive.extractall(tmp_path / "celeba")
    (tmp_path / "celeba" / "list_attr_celeba.txt").write_bytes((folder / "list_attr_celeba.txt").read_bytes())
    packed, unpacked = CelebA("test", folder=folder), CelebA("test", folder=tmp_path)
    assert torch.equal(packed.batch(np.arange(6)).x, unpacked.batch(np.arange(6)).x)


def test_parts_by_official_numbers(tmp_path: Path):
    numbers = [1, 162769, 162770, 162771, 182636, 182637, 182638, 202599]
    parts = {
        split: CelebA(split, folder=official(tmp_path / "celeba", numbers)).numbers.tolist()
        for split in ("train", "validation", "test")
    }
    assert parts == {"train": numbers[:3], "validation": numbers[3:6], "test": numbers[6:]}
    assert CelebA(folder=tmp_path).facts()["parts"] == "official numbers"


def test_parts_by_the_partition_file(tmp_path: Path):
    official(tmp_path, range(1, 11), [2, 0, 1, 0, 0, 0, 0, 0, 1, 2])
    test = CelebA("test", folder=tmp_path)
    assert test.numbers.tolist() == [1, 10]
    assert test.facts()["parts"] == "list_eval_partition.txt"
    files: Any = test.facts()["files"]
    assert set(files) == {"img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt"}


def test_parts_of_a_sample_are_drawn_and_do_not_depend_on_the_attribute(folder: Path):
    parts = [CelebA(split, folder=folder, seed=2) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [28, 6, 6]
    assert sorted(number for part in parts for number in part.numbers) == list(range(1, 41))
    assert np.array_equal(CelebA("train", "Male", folder=folder, seed=2).numbers, parts[0].numbers)
    assert not np.array_equal(CelebA("train", folder=folder, seed=3).numbers, parts[0].numbers)
    facts = parts[0].facts()
    assert facts["parts"] == "drawn with seed 2"
    assert facts["official"] is False
    assert facts["images"] == 40


def test_a_partition_that_leaves_a_part_empty_is_not_used(tmp_path: Path):
    data = CelebA("test", folder=official(tmp_path, range(1, 11), [0] * 10))
    assert data.facts()["parts"] == "drawn with seed 0"
    assert len(data) == 2


def test_description_rebuilds(folder: Path):
    data = CelebA("test", "Male", folder=folder, size=16)
    again = build(describe(data))
    assert repr(again) == repr(data)
    assert torch.equal(again.batch(np.arange(3)).x, data.batch(np.arange(3)).x)


def test_where_to_get_it_is_said(tmp_path: Path):
    with pytest.raises(ValueError, match=r"'img_align_celeba\.zip' of CelebA .*mmlab\.ie\.cuhk\.edu\.hk"):
        CelebA(folder=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "male"}, "attribute of CelebA, got 'male'; did you mean Male"),
        ({"label": "Smile"}, "did you mean Smiling"),
        ({"label": "0"}, "did you mean Bald or Male or Smiling"),
        ({"by": "Bald", "split": "validation"}, "with and without 'Bald' in the validation part.*'Bald': 0"),
        ({"split": "dev"}, "expected split to be one of"),
        ({"size": 0}, "expected size"),
    ],
)
@pytest.mark.usefixtures("as_a_user")
def test_wrong_arguments_raise(options: Any, message: str, folder: Path):
    with pytest.raises(ValueError, match=message):
        CelebA(**options, folder=folder)


FIRST = "000001.jpg  1 -1 -1"
WRONG: dict[str, tuple[Change, str]] = {
    "empty": (lambda _: "", "expected a count"),
    "no count": (lambda text: text.split("\n", 1)[1], "expected a count, names and rows .* got 'Bald"),
    "absurd count": (lambda text: "9" * 5000 + text, "expected a count"),
    "truncated": (lambda text: text[: len(text) // 2 - 8], "expected 40 images .* got 2"),
    "in a row": (lambda text: text[:-4], "'000040.jpg' once .* 3 values of 1 or -1, got 2 values"),
    "another value": (lambda text: text.replace(FIRST, "000001.jpg  1 -1  0"), "'000001.jpg' once .*, got '0'"),
    "no sign": (lambda text: text.replace(FIRST, "000001.jpg  1 -1  +1"), r"'000001.jpg' once .*, got '\+1'"),
    "long": (lambda text: text.replace(FIRST, FIRST + " 1"), "'000001.jpg' once .*, got 4 values"),
    "name twice": (lambda text: text.replace("Smiling", "Male"), "different names"),
    "no names": (lambda text: text.replace("Bald Male Smiling", ""), "different names"),
    "image twice": (lambda text: text.replace("000002", "000001"), "'000001.jpg' once .*, got it twice"),
    "other image": (lambda text: text.replace("000002", "000099"), "'000002.jpg' only in .*zip|'000099.jpg' only in"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_attribute_file_is_refused(change: Change, message: str, tmp_path: Path):
    listed = official(tmp_path) / "list_attr_celeba.txt"
    listed.write_text(change(listed.read_text()))
    with pytest.raises(ValueError, match=message):
        CelebA(folder=tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    (official(tmp_path) / "list_attr_celeba.txt").write_bytes(b"40\nBald \xff\n")
    with pytest.raises(ValueError, match=r"expected text in .*list_attr_celeba\.txt"):
        CelebA(folder=tmp_path)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path):
    official(tmp_path, range(1, 11), [0] * 8 + [1, 2])
    (tmp_path / "list_eval_partition.txt").write_text("000001.jpg 0\n")
    with pytest.raises(ValueError, match=r"every image in list_eval_partition\.txt, got no '.*000002\.jpg'"):
        CelebA(folder=tmp_path)
    (tmp_path / "list_eval_partition.txt").write_text("000001.jpg 3\n")
    with pytest.raises(ValueError, match=r"0, 1 or 2 in line 1 of list_eval_partition\.txt"):
        CelebA(folder=tmp_path)
    with zipfile.ZipFile(tmp_path / "img_align_celeba.zip", "a") as archive:
        archive.writestr("img_align_celeba/000011.jpg", face(11))
    with pytest.raises(ValueError, match=r"got 11 and 10, with '000011\.jpg' only in img_align_celeba\.zip"):
        CelebA(folder=tmp_path)


def test_an_image_that_is_broken_is_named(tmp_path: Path):
    with zipfile.ZipFile(official(tmp_path) / "img_align_celeba.zip", "w") as archive:
        for number in range(1, 41):
            archive.writestr(f"img_align_celeba/{number:06d}.jpg", face(number)[: 300 if number == 7 else None])
    with pytest.raises(ValueError, match=r"got 'img_align_celeba/000007\.jpg' \("):
        CelebA(folder=tmp_path)


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lists") / "list.txt"


WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8)


@given(
    names=st.lists(WORDS, min_size=1, max_size=5, unique=True),
    files=st.lists(WORDS, min_size=1, max_size=9, unique=True),
    signs=st.data(),
)
def test_attributes_come_back_as_written(listed: Path, names: list[str], files: list[str], signs: st.DataObject):
    row = st.lists(st.sampled_from([-1, 1]), min_size=len(names), max_size=len(names))
    rows = {file: signs.draw(row) for file in files}
    listed.write_text(attributes_text(rows, names))
    table = read_attributes(listed)
    assert table.attributes == tuple(names)
    assert {file: np.where(table.values[k], 1, -1).tolist() for file, k in table.row.items()} == rows


VALID = attributes_text({f"{n:06d}.jpg": (1, -1, 1) for n in range(1, 5)}).encode()


@given(place=st.integers(0, len(VALID) - 1), change=st.integers(1, 255))
def test_a_changed_byte_is_read_as_it_stands_or_refused(listed: Path, place: int, change: int):
    damaged = bytearray(VALID)
    damaged[place] ^= change
    listed.write_bytes(damaged)
    try:
        table = read_attributes(listed)
    except ValueError:
        return
    assert table.values.shape == (4, len(table.attributes))
    assert len(table.row) == 4
    assert (np.where(table.values, 1, -1) == (1, -1, 1)).sum() >= 11  # a sign may be lost without a trace


@given(content=st.binary())
def test_random_bytes_are_no_lists(listed: Path, content: bytes):
    listed.write_bytes(content)
    with pytest.raises(ValueError, match="expected"):
        read_attributes(listed)
    listed.write_bytes(b"a 1\n" + content)
    try:
        assert read_partition(listed)["a"] == 1
    except ValueError as error:
        assert "expected" in str(error)  # noqa: PT017


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="UNBRAID_TEST_DATA names no folder with real data")
def test_the_real_sample_loads():
    data = CelebA("train", "Male", folder=Path(REAL or "") / "celeba-10k")
    assert len(data) == 7000
    assert data.attributes.shape == (7000, 40)
    assert data.population is not None
    assert 0.35 < data.population.mean() < 0.5
    x = data.batch(np.arange(0, 7000, 10)).x
    assert 0.35 < x.mean() < 0.55
    skin, corner = x[:, :, 24:40, 24:40].mean((0, 2, 3)), x[:, :, :8, :8].mean((0, 2, 3))
    assert skin[0] - skin[2] > corner[0] - corner[2]  # the middle is a face, which is redder than what is behind it
