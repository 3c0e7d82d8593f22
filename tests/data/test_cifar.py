import io
import os
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unbraid.configuration import build, describe
from unbraid.data.cifar import CIFAR10, INSIDE, RECORD

NAMES = [f"data_batch_{k}.bin" for k in range(1, 6)] + ["test_batch.bin"]
META = "\n".join(CIFAR10.classes) + "\n\n"
Contents = dict[str, bytes]


def records(count: int = 20, seed: int = 0) -> np.ndarray:
    """Random records, labels 0, 1, ..., 9, 0, ..."""
    rows = np.random.default_rng(seed).integers(0, 256, (count, RECORD), np.uint8)
    rows[:, 0] = np.arange(count) % 10
    return rows


def contents(**changed: bytes | None) -> Contents:
    """What an official archive has, twenty records a file; `changed` says otherwise, None leaves a file out."""
    made = {
        "batches.meta.txt": META.encode(),
        "readme.html": b"",
        **{n: records(20, k).tobytes() for k, n in enumerate(NAMES)},
    }
    made |= {name.replace("__", "."): content for name, content in changed.items() if content is not None}
    return {name: content for name, content in made.items() if changed.get(name.replace(".", "__"), b"") is not None}


def written(folder: Path, files: Contents) -> Path:
    """The archive in its official layout, whose members are in no order."""
    path = folder / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name in sorted(files, key=lambda name: name[::-1]):
            member = tarfile.TarInfo(INSIDE + name)
            member.size = len(files[name])
            archive.addfile(member, io.BytesIO(files[name]))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    written(tmp_path, contents())
    return tmp_path


@pytest.mark.skipif("UNBRAID_TEST_DATA" not in os.environ, reason="UNBRAID_TEST_DATA names no folder with real data")
def test_an_official_layout_of_real_images_reads_back_exactly(tmp_path: Path):
    """Images of a JPEG copy, in files like those of the official archive, of which there is no copy to test with."""
    rows = []
    with zipfile.ZipFile(Path(os.environ["UNBRAID_TEST_DATA"]) / "cifar10-jpeg.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        for name in sorted(names)[:: len(names) // 600][:600]:
            pixels = np.asarray(Image.open(io.BytesIO(archive.read(name)))).transpose(2, 0, 1)
            rows.append([CIFAR10.classes.index(name.split("/")[2]), *pixels.ravel()])
    stored = np.random.default_rng(0).permutation(np.array(rows, np.uint8))
    files = {name: part.tobytes() for name, part in zip(NAMES, np.split(stored, 6), strict=True)}
    written(tmp_path, {"batches.meta.txt": META.encode(), **files})
    train, test = CIFAR10("train", tmp_path, validation=0.0), CIFAR10("test", tmp_path)
    assert test.labels is not None
    assert set(test.labels.tolist()) == set(range(10))
    for data, part in ((train, stored[:500]), (test, stored[500:])):
        assert np.array_equal(np.asarray(data.labels), part[:, 0])
        x = data.batch(np.arange(len(part))).x
        assert torch.equal((x * 255).round().byte().flatten(1), torch.from_numpy(part[:, 1:].copy()))


def test_batches_are_the_bytes_of_the_archive(folder: Path):
    data = CIFAR10("test", folder)
    expected = torch.from_numpy(records(20, 5)[:, 1:].reshape(-1, 3, 32, 32)).float() / 255
    assert torch.equal(data.batch(np.arange(20)).x, expected)
    assert np.array_equal(np.asarray(data.labels), np.arange(20) % 10)
    assert data.held == 20 * 3080
    assert repr(build(describe(data))) == repr(data)


def test_validation_is_carved_out_of_training_by_class(folder: Path):
    train, held_out = CIFAR10("train", folder, validation=0.2), CIFAR10("validation", folder, validation=0.2)
    whole = np.concatenate([records(20, k) for k in range(5)])
    place = {bytes(row[1:]): k for k, row in enumerate(whole)}
    parts = [[place[bytes(image)] for image in data.images] for data in (train, held_out)]
    assert sorted(parts[0] + parts[1]) == list(range(100))
    for data, part in zip((train, held_out), parts, strict=True):
        assert part == sorted(part)  # official order
        assert np.array_equal(np.asarray(data.labels), whole[part, 0])
    assert held_out.labels is not None
    assert np.bincount(held_out.labels).tolist() == [2] * 10


def test_facts_tell_a_copy_from_the_official_archive(folder: Path):
    facts = CIFAR10("test", folder).facts()
    assert facts["official"] is False
    assert len(facts["files"]["cifar-10-binary.tar.gz"]) == 64  # type: ignore[index, call-overload, arg-type]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            contents(data_batch_3__bin=records().tobytes()[:-1]),
            "whole records of 3073 bytes .*data_batch_3.* 61459 bytes",
        ),
        (contents(data_batch_3__bin=b""), "whole records .* got 0 bytes"),
        (contents(data_batch_3__bin=b"\x0a" + bytes(3072)), "labels below 10 in .*data_batch_3.* got 10"),
        (contents(data_batch_5__bin=None), "data_batch_5"),
        (contents(batches__meta__txt=None), "batches.meta.txt"),
        (contents(batches__meta__txt=b"\xff\xfe apple beaver"), "expected the classes .* got"),
        (contents(batches__meta__txt=META[:-9].encode()), "expected the classes .* got"),
    ],
)
def test_damaged_archives_are_refused(tmp_path: Path, files: Contents, message: str):
    written(tmp_path, files)
    with pytest.raises(ValueError, match=message):
        CIFAR10(folder=tmp_path)


def test_a_missing_archive_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"'cifar-10-binary.tar.gz' of CIFAR-10 .* get it from https"):
        CIFAR10(folder=tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = tmp_path_factory.mktemp("cifar")
    return folder, written(folder, contents()).read_bytes()


@given(pick=st.data())
def test_a_shortened_or_flipped_archive_is_a_value_error_or_does_no_harm(
    whole: tuple[Path, bytes], pick: st.DataObject
):
    folder, content = whole
    place = pick.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[place] ^= 1 << pick.draw(st.integers(0, 7))
    for broken in (content[:place], bytes(damaged)):
        (folder / "cifar-10-binary.tar.gz").write_bytes(broken)
        with suppress(ValueError):
            assert np.array_equal(CIFAR10("test", folder).images.reshape(20, -1), records(20, 5)[:, 1:])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "valid"}, "valid"),
        ({"validation": 1.0}, "below 1, got 1.0"),
        ({"split": "validation", "validation": 0.0}, "leaves observations for validation"),
    ],
)
def test_bad_arguments_raise(folder: Path, arguments: dict, message: str):
    # TypeError: where annotations are checked, a wrong literal stops there already
    with pytest.raises((ValueError, TypeError), match=message):
        CIFAR10(folder=folder, **arguments)
