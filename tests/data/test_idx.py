import gzip
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unbraid.data.idx import TYPES, read_idx

CODES = {np.dtype(name): code for code, name in TYPES.items()}
VALID = arrays.arrays(st.sampled_from(list(CODES)), arrays.array_shapes(max_dims=4, max_side=5))


def idx(array: np.ndarray) -> bytes:
    """The array as an IDX file; it has to be of a type and byte order of IDX."""
    return bytes([0, 0, CODES[array.dtype], array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx") / "images"


def written(path: Path, content: bytes, packed: bool) -> Path:
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


@given(array=VALID, packed=st.booleans())
def test_what_was_written_is_read(path: Path, array: np.ndarray, packed: bool):
    read = read_idx(written(path, idx(array), packed))
    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.shape == array.shape
    assert np.array_equal(read, array, equal_nan=array.dtype.kind == "f")
    assert read.flags.writeable


@given(content=st.binary(max_size=60) | st.binary(max_size=60).map(lambda rest: b"\0\0\x08\x01\0\0\0" + rest))
def test_random_bytes_are_an_array_or_a_value_error(path: Path, content: bytes):
    for packed in (False, True):
        with suppress(ValueError):
            array = read_idx(written(path, content, packed))
            assert array.astype(array.dtype.newbyteorder(">")).tobytes() == content[4 + 4 * array.ndim :]


@given(array=VALID, packed=st.booleans(), pick=st.data())
def test_a_shortened_or_longer_file_is_a_value_error(path: Path, array: np.ndarray, packed: bool, pick: st.DataObject):
    whole = gzip.compress(idx(array)) if packed else idx(array)
    length = pick.draw(st.integers(0, len(whole) - 1))
    more = pick.draw(st.binary(min_size=1, max_size=5).filter(lambda tail: not packed or tail.strip(b"\0")))
    for content in (whole[:length], whole + more):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="images"):
            read_idx(path)


@given(array=VALID, packed=st.booleans(), pick=st.data())
def test_a_flipped_bit_is_a_value_error_or_does_no_harm(
    path: Path, array: np.ndarray, packed: bool, pick: st.DataObject
):
    whole = bytearray(gzip.compress(idx(array)) if packed else idx(array))
    whole[pick.draw(st.integers(0, len(whole) - 1))] ^= 1 << pick.draw(st.integers(0, 7))
    path.write_bytes(bytes(whole))
    try:
        read = read_idx(path)
    except ValueError:
        return
    assert read.nbytes == array.nbytes
    if packed:  # its checksum leaves only bits that say nothing about the content
        assert np.array_equal(read, array, equal_nan=array.dtype.kind == "f")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(2**32 - 1,) * 8, (60_000, 2**20, 2**20), (2_000_000, 28, 28)])
def test_an_absurd_size_takes_no_memory(path: Path, shape: tuple[int, ...], packed: bool):
    header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
    written(path, header + bytes(1000), packed)
    tracemalloc.start()
    with pytest.raises(ValueError, match="as its header says, but a file of"):
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_what_a_compressed_file_could_hold_is_taken_piece_by_piece(path: Path):
    shape = (800, 1000)  # of which only a tenth is there, and the rest is random, so that it does not shrink
    noise = np.random.default_rng(0).bytes(80_000)
    written(path, bytes([0, 0, 8, 2]) + np.array(shape, ">u4").tobytes() + noise, packed=True)
    with pytest.raises(ValueError, match=r"expected 800000 bytes of shape .* got 80000; it is truncated"):
        read_idx(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with 0, 0 and a type, got b''"),
        (b"\x89PNG\r\n", "begins with 0, 0 and a type"),
        (b"\0\0\x07\x01\0\0\0\x01\0", "begins with 0, 0 and a type"),
        (b"\0\0\x08\0\0", "1 to 8 dimensions .* got 0"),
        (b"\0\0\x08\xff\0", "1 to 8 dimensions .* got 255"),
        (b"\0\0\x08\x02\0\0\0\x01\0\0", "2 sides of at least 1"),
        (b"\0\0\x08\x01\0\0\0\0", "1 sides of at least 1 .* got \\(0,\\)"),
        (b"\x1f\x8b\x08nonsense", "expected whole gzip data"),
        (b"\x1f\x8b", "expected whole gzip data"),
    ],
)
def test_each_error_says_what_was_expected(path: Path, content: bytes, message: str):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_idx(path)


def test_a_file_that_is_not_there_is_a_value_error(tmp_path: Path):
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ValueError, match="expected an IDX file"):
            read_idx(place)
