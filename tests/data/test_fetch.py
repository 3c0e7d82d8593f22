"""Official files, from folders and from a real server that behaves well or badly."""

import hashlib
import itertools
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from unbraid.data._files.download import download
from unbraid.data._files.fetch import cache_folder, checksum, data_folder, locate
from unbraid.data.card import Card, File

pytestmark = pytest.mark.timeout(60)

CONTENT = np.random.default_rng(0).bytes(1_000_000)
OTHER = np.random.default_rng(1).bytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """What it sends can be changed while it runs."""

    daemon_threads = True
    block_on_close = False
    content = CONTENT
    ranges = True
    tag: str | None = '"one"'
    length = True
    break_after: int | None = None  # bytes of each answer
    failures = 0  # answers with `failure` before a good one
    failure = 503
    pause = 0.0
    encoding: str | None = None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/set.bin"


class Handler(BaseHTTPRequestHandler):
    server: Server  # type: ignore[assignment]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        server, asked = self.server, self.headers["Range"]
        server.asked.append(asked)
        if server.failures:
            server.failures -= 1
            return self.send_error(server.failure)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        if self.headers["If-Range"] not in (None, server.tag):
            start = 0
        if start >= len(server.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            return self.end_headers()
        self.answer(server, start)
        return None

    def answer(self, server: Server, start: int) -> None:
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        if server.length:
            self.send_header("Content-Length", str(len(server.content) - start))
        if server.tag:
            self.send_header("ETag", server.tag)
        if server.encoding:
            self.send_header("Content-Encoding", server.encoding)
        self.end_headers()
        rest = server.content[start:][: server.break_after]
        try:
            for begin in range(0, len(rest), 50_000):
                self.wfile.write(rest[begin : begin + 50_000])
                time.sleep(server.pause)
        except OSError:  # the client has gone
            pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def official(server: Server, sha256: str | None = SHA256, size: int | None = len(CONTENT)) -> File:
    return File("set.bin", server.url, sha256, size)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "set.bin"


def test_download_arrives_alone(server: Server, target: Path, capfd: pytest.CaptureFixture[str]):
    assert download(official(server), target) == target
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("sha256", "size", "tag"), list(itertools.product((SHA256, None), (1_000_000, None), ('"one"', None)))
)
@pytest.mark.parametrize("ranges", [True, False])
def test_broken_connection_is_continued_as_far_as_it_can_be(
    server: Server, target: Path, sha256: str | None, size: int | None, tag: str | None, ranges: bool
):
    server.break_after, server.ranges, server.tag = 300_000, ranges, tag
    known = ranges and (sha256 or tag)
    if known:
        download(official(server, sha256, size), target, pause=0.01)
        assert server.asked == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]
        assert target.read_bytes() == CONTENT
    else:
        with pytest.raises(ValueError, match=r"300000 (of 1000000 bytes|bytes)|IncompleteRead|ProtocolError"):
            download(official(server, sha256, size), target, retries=2, pause=0.01)
        assert len(server.asked) >= 3


def test_server_without_ranges_starts_anew(server: Server, target: Path):
    server.break_after = 300_000
    with pytest.raises(ValueError, match="set UNBRAID_DATA"):
        download(official(server), target, retries=-1)
    server.ranges, server.break_after = False, None
    download(official(server), target)
    assert server.asked == [None, "bytes=300000-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("tag", ['"two"', None])
def test_file_that_changed_meanwhile_is_not_mixed(server: Server, target: Path, tag: str | None):
    server.break_after = 300_000
    file = official(server, sha256=None)
    with pytest.raises(ValueError, match="expected to download"):
        download(file, target, retries=-1)
    server.content, server.tag, server.break_after = OTHER, tag, None
    download(file, target)
    assert target.read_bytes() == OTHER


def test_whole_part_is_taken(server: Server, target: Path):
    target.parent.mkdir()
    part = target.with_name("set.bin.part")
    part.write_bytes(CONTENT)
    download(official(server), target)
    assert server.asked == []
    target.unlink()
    part.write_bytes(CONTENT)
    download(official(server, size=None), target)  # the server says how long it is
    assert server.asked == ["bytes=1000000-"]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [1_000_000, None])
def test_part_that_is_too_long_starts_anew(server: Server, target: Path, size: int | None):
    target.parent.mkdir()
    target.with_name("set.bin.part").write_bytes(CONTENT + b"more")
    download(official(server, size=size), target, pause=0.01)
    assert target.read_bytes() == CONTENT


def test_wrong_content_is_kept_under_another_name(server: Server, target: Path):
    server.content = OTHER
    for name in ("set.bin.unverified", "set.bin.unverified-2"):
        with pytest.raises(ValueError, match="SHA-256") as caught:
            download(official(server), target)
        assert SHA256 in str(caught.value)
        assert hashlib.sha256(OTHER).hexdigest() in str(caught.value)
        assert f"{target.parent / name}'" in str(caught.value)
        assert (target.parent / name).read_bytes() == OTHER
    assert not target.exists()
    server.content = CONTENT
    assert download(official(server), target).read_bytes() == CONTENT
    assert sorted(path.name for path in target.parent.iterdir()) == [
        "set.bin", "set.bin.unverified", "set.bin.unverified-2"
    ]  # fmt: skip


def test_another_size_is_refused_before_it_is_loaded(server: Server, target: Path):
    server.content = CONTENT[:-1]
    with pytest.raises(ValueError, match="there it has 999999 bytes, but the official file has 1000000"):
        download(official(server), target)
    assert target.with_name("set.bin.part").stat().st_size == 0


def test_packed_transfer_is_kept_as_it_is(server: Server, target: Path):
    server.encoding = "gzip"  # as some servers say of every .gz file
    assert download(official(server), target).read_bytes() == CONTENT


def test_length_need_not_be_told(server: Server, target: Path):
    server.length, server.tag = False, None
    assert download(official(server, size=None), target).read_bytes() == CONTENT


@pytest.mark.parametrize("failure", [403, 404, 410])
def test_refusal_by_the_server_is_told_at_once(server: Server, target: Path, failure: int):
    server.failures, server.failure = 100, failure
    with pytest.raises(ValueError, match=f"answered {failure}") as caught:
        download(official(server), target)
    for part in (server.url, f"put it at '{target}'", "UNBRAID_DATA"):
        assert part in str(caught.value)
    assert len(server.asked) == 1


@pytest.mark.parametrize("failure", [429, 500, 503])
def test_server_that_is_busy_is_asked_again(server: Server, target: Path, failure: int):
    server.failures, server.failure = 3, failure
    download(official(server), target, retries=3, pause=0.01)
    assert target.read_bytes() == CONTENT
    server.failures = 100
    with pytest.raises(ValueError, match=f"answered {failure}"):
        download(official(server), target.with_name("other"), retries=2, pause=0.01)
    assert len(server.asked) == 7


def test_no_network_is_told(target: Path):
    with Server() as gone:
        url = gone.url
    with pytest.raises(ValueError, match="the connection failed") as caught:
        download(File("set.bin", url, SHA256), target, retries=1, pause=0.01)
    for part in (url, f"put it at '{target}'", "UNBRAID_DATA"):
        assert part in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://example.org/set.bin", "nonsense", "http://"])
def test_url_that_is_none_is_told(target: Path, url: str):
    with pytest.raises(ValueError, match=r"expected to download 'set.bin' from"):
        download(File("set.bin", url), target, retries=1, pause=0.01)


def test_folder_that_cannot_be_written_is_told(server: Server, tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ValueError, match=r"it cannot be written \(.*file'\); get it by hand"):
        download(official(server), tmp_path / "file" / "set.bin")


def test_full_disk_is_told_and_continued(server: Server, target: Path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, before[1]))
        with pytest.raises(ValueError, match=r"it cannot be written \(.*File too large\); get it by hand"):
            download(official(server), target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    download(official(server), target)
    assert server.asked == [None, "bytes=400000-"]
    assert target.read_bytes() == CONTENT


def test_two_at_once_load_it_once(server: Server, target: Path):
    server.pause = 0.01
    threads = [threading.Thread(target=download, args=(official(server), target)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.asked) == 1
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


KILLED = """
import sys
from pathlib import Path
from unbraid.data._files.download import download
from unbraid.data.card import File
download(File("set.bin", sys.argv[1], sys.argv[3]), Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_killed_download_is_continued(server: Server, target: Path):
    server.pause = 0.05
    with subprocess.Popen([sys.executable, "-c", KILLED, server.url, str(target), SHA256]) as process:
        part = target.with_name("set.bin.part")
        while not part.exists() or part.stat().st_size < 300_000:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    server.pause = 0.0
    download(official(server), target)
    assert target.read_bytes() == CONTENT
    assert int((server.asked[-1] or "").removeprefix("bytes=").removesuffix("-")) >= 300_000


def test_progress_is_logged_elsewhere_than_on_a_terminal(
    server: Server, target: Path, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO, "unbraid"):
        download(official(server), target)
    assert "downloading set.bin: 1.0 of 1.0 MB, 0 s left" in caplog.text


@pytest.mark.slow
def test_progress_is_a_bar_on_a_terminal(server: Server, target: Path):
    server.pause = 0.02
    reader, writer = os.openpty()
    command = [sys.executable, "-c", KILLED, server.url, str(target), SHA256]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=writer, env=environment, check=True)
    os.close(writer)
    shown = os.read(reader, 1 << 16)
    os.close(reader)
    assert done.stdout == b""
    assert b"downloading set.bin" in shown
    assert b"MB" in shown


# where files are looked for


FILE = File("set.bin", None, SHA256)
CARD = Card("set", "Some Set", "free", "nobody", "https://example.org/set", (FILE,))


@pytest.mark.parametrize("place", ["set.bin", "set/set.bin"])
def test_file_is_found_in_a_folder(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(b"not verified")
    assert locate(CARD, FILE, tmp_path) == tmp_path / place
    assert locate(CARD, FILE, str(tmp_path)) == tmp_path / place
    monkeypatch.setenv("UNBRAID_DATA", str(tmp_path))
    assert locate(CARD, FILE, None) == tmp_path / place


def test_file_that_is_not_there_is_told(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(
        ValueError, match=r"'set.bin' of Some Set as .*; get it from https://example.org/set$"
    ) as caught:
        locate(CARD, FILE, tmp_path)
    assert f"'{tmp_path / 'set.bin'}' or '{tmp_path / 'set' / 'set.bin'}'" in str(caught.value)
    with pytest.raises(ValueError, match=f"get it from {server.url}$"):  # a folder was named: nothing is downloaded
        locate(CARD, official(server), tmp_path)
    assert server.asked == []
    monkeypatch.setenv("UNBRAID_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="or set UNBRAID_DATA to a folder that has it"):
        locate(CARD, FILE, None)


def test_file_that_is_nowhere_is_downloaded_once(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("UNBRAID_DATA", str(tmp_path))
    for _ in range(2):
        path = locate(CARD, official(server), None)
        assert path == tmp_path / "set" / "set.bin"
        assert checksum(path) == SHA256
    assert len(server.asked) == 1


def test_folders_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("UNBRAID_CACHE")
    monkeypatch.delenv("UNBRAID_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "system"))
    assert data_folder().name == "unbraid"
    assert cache_folder() == data_folder() / "cache"
    monkeypatch.setenv("UNBRAID_DATA", str(tmp_path / "mine"))
    assert data_folder() == tmp_path / "mine"
    assert cache_folder() == tmp_path / "mine" / "cache"
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("UNBRAID_DATA", str(tmp_path / "file"))
    assert cache_folder() == data_folder().parent / "system" / "unbraid" / "cache"
    monkeypatch.setenv("UNBRAID_CACHE", "~/cache")
    assert cache_folder() == Path.home() / "cache"
    monkeypatch.setenv("UNBRAID_DATA", "")
    assert data_folder() == tmp_path / "system" / "unbraid"


def test_checksum_is_of_the_content(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    assert checksum(path) == checksum(str(path)) == SHA256
    path.write_bytes(OTHER)
    os.utime(path, (1, 1))
    assert checksum(path) == hashlib.sha256(OTHER).hexdigest()
    with pytest.raises(ValueError, match="which does not exist"):
        checksum(tmp_path / "nothing")


def test_checksum_of_a_folder_is_of_names_and_sizes(tmp_path: Path):
    for name in ("b", "a/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"12")
    before = checksum(tmp_path)
    (tmp_path / "b").write_bytes(b"34")
    assert checksum(tmp_path) == before
    (tmp_path / "b").write_bytes(b"345")
    longer = checksum(tmp_path)
    (tmp_path / "b").rename(tmp_path / "d")
    assert len({before, longer, checksum(tmp_path)}) == 3
