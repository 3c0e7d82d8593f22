"""Archives as people make them, and as nobody should."""

import gzip
import io
import os
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unbraid.data._files import members
from unbraid.data._files.archives import open_archive

FILES = {"b/2.png": b"two" * 500, "a.txt": b"", "b/1.png": bytes(range(256)) * 9, "ü/ö.jpg": b"named \xff"}


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            add(archive, name, content)
    return stream.getvalue()


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **settings: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in settings.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


def gzipped(files: dict[str, bytes]) -> bytes:
    return gzip.compress(tarred(files), mtime=0)


KINDS: dict[str, Callable[[dict[str, bytes]], bytes]] = {"zip": zipped, "tar": tarred, "tgz": gzipped}
kinds = pytest.mark.parametrize("pack", KINDS.values(), ids=list(KINDS))


def written(folder: Path, content: bytes) -> Path:
    path = folder / "archive.data"  # told by content, not by name
    path.write_bytes(content)
    return path


def spread(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def everything(path: Path, **settings: int) -> dict[str, bytes]:
    with open_archive(path, **settings) as archive:
        items = dict(archive.items())
        assert list(items) == archive.names()
    return items


@kinds
def test_contents_come_in_stored_order(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]):
    path = written(tmp_path, pack(FILES))
    assert list(everything(path).items()) == list(FILES.items())
    with open_archive(path) as archive:
        assert [archive.read(name) for name in reversed(FILES)] == list(reversed(FILES.values()))
        assert list(archive.items(["b/1.png", "b/2.png"])) == [(name, FILES[name]) for name in ("b/2.png", "b/1.png")]
        assert list(archive.items([])) == []


def test_folder_is_read_in_sorted_order(tmp_path: Path):
    spread(tmp_path, FILES)
    (tmp_path / "empty").mkdir()
    assert list(everything(tmp_path).items()) == sorted(FILES.items())
    with open_archive(str(tmp_path)) as archive:
        assert archive.read("b/2.png") == FILES["b/2.png"]


@kinds
def test_names_are_told_in_one_form(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]):
    assert list(everything(written(tmp_path, pack({"./a//b.png": b"1", "c/": b""})))) == ["a/b.png"] + (
        ["c"] if pack is not zipped else []
    )


def test_folders_are_no_files(tmp_path: Path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        add(archive, ".", type=tarfile.DIRTYPE)
        add(archive, "./a", type=tarfile.DIRTYPE)
        add(archive, "./a/b", b"x")
    assert everything(written(tmp_path, stream.getvalue())) == {"a/b": b"x"}
    assert everything(written(tmp_path, zipped({"a/": b"", "a/b": b"x"}))) == {"a/b": b"x"}


def test_windows_separators_in_zip(tmp_path: Path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a/b.png", b"x")
    assert list(everything(written(tmp_path, stream.getvalue().replace(b"a/b.png", b"a\\b.png")))) == ["a/b.png"]


@kinds
def test_missing_names_are_told(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]):
    packed, folder = written(tmp_path, pack(FILES)), spread(tmp_path / "folder", FILES)
    for path in (packed, folder):
        with open_archive(path) as archive:
            with pytest.raises(ValueError, match=r"expected 'nobody' in"):
                archive.read("nobody")
            with pytest.raises(ValueError, match="2 of the files asked for are not there"):
                list(archive.items({"a.txt", "nobody", "none"}))


OUTSIDE = ["../x", "a/../../x", "..", "/etc/passwd", "C:\\x", "c:/x", "\\x", "a\\..\\..\\x"]


@kinds
@pytest.mark.parametrize("name", OUTSIDE)
def test_names_that_lead_outside_are_refused(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes], name: str):
    with pytest.raises(ValueError, match="leads out of it"):
        everything(written(tmp_path, pack({"fine": b"", name: b"x"})))
    assert [path.name for path in tmp_path.iterdir()] == ["archive.data"]


@kinds
@pytest.mark.parametrize("name", ["a\nb", "a\x7f", "\x1b[2J"])
def test_names_that_cannot_be_printed_are_refused(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes], name: str):
    with pytest.raises(ValueError, match="no UTF-8 text that can be printed"):
        everything(written(tmp_path, pack({name: b"x"})))


def test_names_that_are_not_utf8_are_refused(tmp_path: Path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
        add(archive, "grün.png", b"x")
    with pytest.raises(ValueError, match="no UTF-8 text"):
        everything(written(tmp_path, stream.getvalue()))
    claimed = zipped({"grün.png": b"x"}).replace("grün".encode(), b"gr\xff\xffn")  # the flag says UTF-8
    with pytest.raises(ValueError, match="utf-8"):
        everything(written(tmp_path, claimed))
    (tmp_path / "folder").mkdir()
    Path(os.fsdecode(bytes(tmp_path / "folder") + b"/gr\xfcn.png")).write_bytes(b"x")
    with pytest.raises(ValueError, match="no UTF-8 text"):
        everything(tmp_path / "folder")


SPECIAL = {
    "link": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE,
    "disk": tarfile.BLKTYPE,
    "pipe": tarfile.FIFOTYPE,
    "unknown": b"Z",
}


@pytest.mark.parametrize("kind", SPECIAL.values(), ids=list(SPECIAL))
def test_special_members_of_tar_are_refused(tmp_path: Path, kind: bytes):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        add(archive, "fine", b"x")
        add(archive, "not", type=kind, linkname="/etc/passwd")
    for content in (stream.getvalue(), gzip.compress(stream.getvalue())):
        with pytest.raises(ValueError, match="'not' is a link, a device or another special file"):
            everything(written(tmp_path, content))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_special_members_of_zip_are_refused(tmp_path: Path, kind: int):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        member = zipfile.ZipInfo("not")
        member.create_system, member.external_attr = 3, (kind | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(ValueError, match="'not' is a link, a device or another special file"):
        everything(written(tmp_path, stream.getvalue()))


@pytest.mark.parametrize("target", ["/etc/passwd", "a.txt", ".", "nothing"])
def test_links_in_folders_are_refused(tmp_path: Path, target: str):
    spread(tmp_path, {"a.txt": b"x"})
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(ValueError, match="'link' is a link"):
        everything(tmp_path)


def test_folder_may_itself_be_a_link(tmp_path: Path):
    spread(tmp_path / "real", {"a.txt": b"x"})
    (tmp_path / "link").symlink_to("real")
    assert everything(tmp_path / "link") == {"a.txt": b"x"}


@kinds
def test_large_members_are_refused_before_they_are_read(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]):
    path = written(tmp_path, pack({"small": b"x", "bomb": bytes(2_000_000)}))
    with pytest.raises(ValueError, match=r"'bomb' has 2000000 bytes, more than 1999999"):
        everything(path, limit=1_999_999)
    assert len(everything(path, limit=2_000_000)) == 2
    with pytest.raises(ValueError, match="more than"):
        everything(spread(tmp_path / "folder", {"bomb": bytes(9)}), limit=8)


@pytest.mark.parametrize("declared", [99, 1_000_000, 2_000_000_000])
def test_zip_that_lies_about_sizes_is_refused(tmp_path: Path, declared: int):
    content, size = bytes(1_000_001), (1_000_001).to_bytes(4, "little")
    packed = zipped({"bomb": content})
    assert packed.count(size) == 2
    with pytest.raises(ValueError, match="expected a"):
        everything(written(tmp_path, packed.replace(size, declared.to_bytes(4, "little"))))


@pytest.mark.parametrize("size", [-512, -1, 1 << 40, 1 << 62])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_tar_that_lies_about_sizes_is_refused(tmp_path: Path, kind: bytes, size: int):
    member = tarfile.TarInfo("bomb")
    member.size, member.type = 5, kind
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = (size & (1 << 96) - 1).to_bytes(12, "big") if size < 0 else b"\x80" + size.to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    content = bytes(block) + b"12345".ljust(512, b"\0") + bytes(1024)
    for packed in (content, gzip.compress(content)):
        with pytest.raises(ValueError, match="expected a"):
            everything(written(tmp_path, packed))


def test_sparse_members_are_refused(tmp_path: Path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        add(archive, "holes", b"1\n0\n5\n".ljust(512, b"\0") + b"12345", pax_headers={"GNU.sparse.size": "99"})
    with pytest.raises(ValueError, match="expected a"):
        everything(written(tmp_path, stream.getvalue()))


@kinds
def test_duplicate_names_are_refused(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]):
    packed = pack({"./a.png": b"1", "a.png": b"2"})
    with pytest.raises(ValueError, match="comes twice"):
        everything(written(tmp_path, packed))


def test_same_name_twice_in_zip_is_refused(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("a", b"1")
            archive.writestr("a", b"2")
    with pytest.raises(ValueError, match="'a' comes twice"):
        everything(written(tmp_path, stream.getvalue()))


def test_zip_that_hides_members_is_refused(tmp_path: Path):
    packed = bytearray(zipped({"a": b"1", "b": b"2"}))
    first = packed.index(b"PK\1\2")
    packed[first + 32 : first + 34] = (47).to_bytes(2, "little")  # a comment that covers the second entry
    with pytest.raises(ValueError, match="there are 1 members, but it declares 2"):
        everything(written(tmp_path, bytes(packed)))


@kinds
def test_too_many_members_are_refused(
    tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(members, "MEMBERS", 3)
    with pytest.raises(ValueError, match="more than 3 members"):
        everything(written(tmp_path, pack(FILES)))


def test_encrypted_zip_is_refused(tmp_path: Path):
    packed = bytearray(zipped({"a": b"x"}))
    packed[packed.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(ValueError, match="encrypted; unpack it"):
        everything(written(tmp_path, bytes(packed)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello", "is none, or damaged"),
        (b"\x1f\x8b", "is none, or damaged"),
        (gzip.compress(b"no tar file", mtime=0), "is none, or damaged"),
        (b"PK\3\4", "is none, or damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), "is none, or damaged"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes, message: str):
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match=message) as caught:
        everything(path)
    assert str(path) in str(caught.value)
    with pytest.raises(ValueError, match="but there is none"):
        open_archive(tmp_path / "nothing")


@kinds
def test_archive_without_members_is_empty(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]):
    assert everything(written(tmp_path, pack({}))) == {}


@kinds
def test_truncated_archives_are_refused(tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]):
    whole = pack(FILES)
    ends = [len(whole) * part // 20 for part in range(20)]
    if pack is tarred:  # whatever follows the two blocks of zeros says nothing
        ends = [end for end in ends if end < len(whole.rstrip(b"\0"))]
    for end in ends:
        with pytest.raises(ValueError, match="expected"):
            everything(written(tmp_path, whole[:end]))


names = st.text(st.characters(codec="utf-8", exclude_characters="\\:", exclude_categories=["Cc", "Cs"]), min_size=1)
trees = st.dictionaries(
    names.filter(lambda name: all(part not in ("", ".", "..") for part in name.split("/"))),
    st.binary(min_size=1, max_size=2000),
    max_size=4,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


@given(tree=trees, pack=st.sampled_from(list(KINDS.values())))
def test_any_tree_comes_back(place: Path, tree: dict[str, bytes], pack: Callable[[dict[str, bytes]], bytes]):
    assert list(everything(written(place, pack(tree))).items()) == list(tree.items())


@given(content=st.binary(max_size=3000), start=st.sampled_from([b"", b"PK\3\4", b"PK\5\6", b"\x1f\x8b\x08"]))
def test_any_bytes_are_read_or_refused(place: Path, content: bytes, start: bytes):
    try:
        everything(written(place, start + content))
    except ValueError as error:
        assert str(place) in str(error)  # noqa: PT017


@given(pack=st.sampled_from(list(KINDS.values())), flips=st.lists(st.integers(0, 1 << 20), min_size=1, max_size=3))
def test_flipped_bits_are_noticed(place: Path, pack: Callable[[dict[str, bytes]], bytes], flips: list[int]):
    files = {name: content for name, content in FILES.items() if content}
    packed = bytearray(pack(files))
    for flip in flips:
        packed[flip // 8 % len(packed)] ^= 1 << flip % 8
    try:
        found = everything(written(place, bytes(packed)))
    except ValueError as error:
        assert str(place) in str(error)  # noqa: PT017
    else:
        if pack is tarred:  # it has checksums of headers only
            assert {name: len(content) for name, content in found.items()} == {n: len(c) for n, c in files.items()}
        else:
            assert found == files
