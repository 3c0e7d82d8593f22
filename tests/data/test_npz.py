"""Arrays in .npz files, whole, damaged and hostile."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unbraid.data._files.archives import open_archive
from unbraid.data._files.npz import Member

TABLE = np.arange(600, dtype=np.int32).reshape(50, 3, 4)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("npz") / "arrays.npz"


def read(path: Path, cuts: list[int], shape: tuple[int, ...] = TABLE.shape, dtype: type = np.int32) -> np.ndarray:
    """In pieces that end at the cuts."""
    with open_archive(path) as archive:
        member = Member(archive, "table", shape, dtype)
        ends = sorted({cut % shape[0] for cut in cuts} - {0})
        pieces = [member.rows(*bounds) for bounds in zip([0, *ends], [*ends, shape[0]], strict=True)]
    return np.concatenate(pieces)


def stored(path: Path, content: bytes, name: str = "table.npy") -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)


def described(header: str, version: bytes = b"\1\0") -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2 if version == b"\1\0" else 4, "little") + text


@given(
    table=arrays.arrays(
        st.sampled_from([np.uint8, np.int64, np.float32]), arrays.array_shapes(max_dims=3, max_side=20)
    ),
    cuts=st.lists(st.integers(0, 1000)),
    packed=st.booleans(),
)
def test_arrays_come_back_in_pieces(path: Path, table: np.ndarray, cuts: list[int], packed: bool):
    (np.savez_compressed if packed else np.savez)(path, other=np.zeros(3), table=table)
    found = read(path, cuts, table.shape, table.dtype.type)
    assert found.tobytes() == table.tobytes()


def test_rows_may_be_skipped(path: Path):
    np.savez(path, table=TABLE)
    with open_archive(path) as archive:
        member = Member(archive, "table", TABLE.shape, np.int32)
        assert np.array_equal(member.rows(7, 9), TABLE[7:9])
        assert np.array_equal(member.rows(40, 50), TABLE[40:])


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (TABLE.astype(np.int64), r"of int32 of shape \(50, 3, 4\), got one of int64 of shape \(50, 3, 4\)"),
        (TABLE.astype(">i4"), "got one of >i4"),
        (TABLE[:49], r"got one of int32 of shape \(49, 3, 4\)"),
        (np.asfortranarray(TABLE), "in Fortran order"),
        (np.array(3), r"of shape \(\)"),
        (TABLE.astype(object), "got one of object"),  # the pickle is never looked at
    ],
)
def test_another_array_is_refused(path: Path, array: np.ndarray, message: str):
    np.savez(path, table=array)
    with pytest.raises(ValueError, match=message):
        read(path, [])


def test_missing_array_is_told(path: Path):
    np.savez(path, another=TABLE)
    with pytest.raises(ValueError, match=r"expected 'table.npy' in"):
        read(path, [])


HEADERS = {
    "empty": b"",
    "no array": b"hello" * 100,
    "future": described("{}", b"\x09\0"),
    "no dictionary": described("[1, 2]"),
    "keys missing": described("{'descr': '<i4'}"),
    "no Python": described("{'descr': '<i4', (("),
    "code": described("__import__('os').system('false')"),
    "unhashable": described("{[]: 1}"),
    "no type": described("{'descr': 'nonsense', 'fortran_order': False, 'shape': (50, 3, 4)}"),
    "negative": described("{'descr': '<i4', 'fortran_order': False, 'shape': (-50, 3, 4)}"),
    "no shape": described("{'descr': '<i4', 'fortran_order': False, 'shape': '50'}"),
    "vast": described("{'descr': '<i4', 'fortran_order': False, 'shape': (10000000000000, 3, 4)}"),
    "long header": b"\x93NUMPY\2\0" + (1 << 31).to_bytes(4, "little") + b"{" * 5000,
    "nested": b"\x93NUMPY\1\0" + (9000).to_bytes(2, "little") + b"(" * 9000,
    "short": described("{'descr': '<i4', 'fortran_order': False, 'shape': (50, 3, 4)}") + bytes(2399),
    "trailing": described("{'descr': '<i4', 'fortran_order': False, 'shape': (50, 3, 4)}") + bytes(2401),
}


@pytest.mark.parametrize("content", HEADERS.values(), ids=list(HEADERS))
def test_hostile_headers_are_refused(path: Path, content: bytes):
    stored(path, content)
    with pytest.raises(ValueError, match="expected") as caught:
        read(path, [])
    assert str(path) in str(caught.value)


def test_header_that_python_2_wrote_is_read(path: Path):
    text = "{'descr': '<i4', 'fortran_order': False, 'shape': (50L, 3L, 4L), }"
    stored(path, described(text) + TABLE.tobytes())
    assert np.array_equal(read(path, []), TABLE)


def saved() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, table=TABLE)
    return stream.getvalue()


@given(flips=st.lists(st.integers(0, 1 << 16), max_size=3), end=st.integers(0, 1 << 16))
def test_damage_is_noticed(path: Path, flips: list[int], end: int):
    content = bytearray(saved())
    for flip in flips:
        content[flip // 8 % len(content)] ^= 1 << flip % 8
    path.write_bytes(content[: end % len(content) + 1])
    try:
        found = read(path, [10])
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        assert np.array_equal(found, TABLE)


@given(content=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(path: Path, content: bytes):
    stored(path, b"\x93NUMPY\1\0" + content)
    with pytest.raises(ValueError, match="expected"):
        read(path, [])
