"""Arrays in the cache: made once, whatever interrupts it, and never written again."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unbraid.data._files.cache import cached_rows

COUNT, SHAPE = 2500, (3, 4)


def rows(start: int, stop: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, (COUNT, *SHAPE)).astype(np.int32)[start:stop]


WHOLE = rows(0, COUNT)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def cached(make: Callable[[int, int], np.ndarray] = rows, key: object = 1, chunk: int = 100) -> np.ndarray:
    return cached_rows("numbers", {"key": key}, COUNT, SHAPE, np.int32, make, chunk, "making numbers")


def never(start: int, stop: int) -> np.ndarray:
    raise AssertionError("made again")


def interrupted(at: int) -> Callable[[int, int], np.ndarray]:
    def make(start: int, stop: int) -> np.ndarray:
        if start >= at:
            raise KeyboardInterrupt
        return rows(start, stop)

    return make


def test_rows_are_made_once_and_mapped_read_only(folder: Path):
    asked: list[tuple[int, int]] = []
    made = cached(lambda start, stop: asked.append((start, stop)) or rows(start, stop), chunk=1000)
    assert asked == [(0, 1000), (1000, 2000), (2000, 2500)]
    for array in (made, cached(never)):
        assert isinstance(array, np.memmap)
        assert array.dtype == np.int32
        assert np.array_equal(array, WHOLE)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_file_is_a_plain_npy_with_its_key_beside_it(folder: Path):
    cached(key=[1, "two"])
    (path,) = folder.glob("*.npy")
    assert np.array_equal(np.load(path, allow_pickle=False), WHOLE)
    assert json.loads(path.with_suffix(".json").read_text())["key"] == {"key": [1, "two"]}
    assert sorted(folder.iterdir()) == sorted([path, path.with_suffix(".json")])


def test_whatever_differs_gets_a_file_of_its_own(folder: Path):
    cached()
    cached(key=2)
    cached_rows("others", {"key": 1}, COUNT, SHAPE, np.int32, rows)
    cached_rows("numbers", {"key": 1}, 2400, SHAPE, np.int32, rows)
    cached_rows("numbers", {"key": 1}, COUNT, (12,), np.int32, lambda a, b: rows(a, b).reshape(-1, 12))
    cached_rows("numbers", {"key": 1}, COUNT, SHAPE, np.int64, lambda a, b: rows(a, b).astype(np.int64))
    assert len(list(folder.glob("*.npy"))) == 6


def test_interrupted_work_is_continued(folder: Path):
    asked: list[int] = []
    for at in (300, 1700):
        with pytest.raises(KeyboardInterrupt):
            cached(interrupted(at))
        assert not list(folder.glob("*.npy"))
    made = cached(lambda start, stop: asked.append(start) or rows(start, stop))
    assert asked == list(range(1700, 2500, 100))
    assert np.array_equal(made, WHOLE)


def test_another_chunk_size_continues_too(folder: Path):
    with pytest.raises(KeyboardInterrupt):
        cached(interrupted(300))
    assert np.array_equal(cached(chunk=170), WHOLE)


@pytest.mark.parametrize("cut", [0, 1, 50, 127, 128, 129, 5000])
def test_whatever_a_power_cut_leaves_is_continued(folder: Path, cut: int):
    with pytest.raises(KeyboardInterrupt):
        cached(interrupted(300))
    (part,) = folder.glob("*.part")
    part.write_bytes(part.read_bytes()[:cut])
    assert np.array_equal(cached(), WHOLE)


def test_rubbish_in_an_unfinished_file_is_made_anew(folder: Path):
    with pytest.raises(KeyboardInterrupt):
        cached(interrupted(300))
    (part,) = folder.glob("*.part")
    part.write_bytes(b"rubbish" * 10_000)
    assert np.array_equal(cached(), WHOLE)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:100], lambda b: b"", lambda b: b + b"x"])
def test_damaged_file_is_noticed_and_kept(
    folder: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
):
    cached()
    (path,) = folder.glob("*.npy")
    path.write_bytes(damage(path.read_bytes()))
    kept = path.read_bytes()
    with caplog.at_level(logging.WARNING, "unbraid"):
        assert np.array_equal(cached(), WHOLE)
    assert "is damaged" in caplog.text
    assert path.with_name(path.name + ".damaged").read_bytes() == kept


def test_folder_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("UNBRAID_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ValueError, match=r"expected to keep making numbers in .* set UNBRAID_CACHE to a folder"):
        cached()


def test_full_disk_is_told_before_anything_is_made():
    with pytest.raises(ValueError, match=r"it needs \d+ MB and has \d+ MB left; set UNBRAID_CACHE"):
        cached_rows("vast", {}, 1 << 40, (1 << 20,), np.uint8, never)


def test_progress_is_logged_and_nothing_is_printed(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]):
    with caplog.at_level(logging.INFO, "unbraid"):
        cached()
    assert "making numbers: 2,500 of 2,500 rows, 0 s left" in caplog.text
    assert capfd.readouterr().out == ""


SLOW = """
import sys, time
from pathlib import Path
import numpy as np
from unbraid.data._files.cache import cached_rows

def make(start, stop):
    print(start, flush=True)
    time.sleep(float(sys.argv[1]))
    return np.random.default_rng(0).integers(0, 1000, (2500, 3, 4)).astype(np.int32)[start:stop]

made = cached_rows("numbers", {"key": 1}, 2500, (3, 4), np.int32, make, 100)
print("sum", int(made.sum(dtype=np.int64)), flush=True)
"""


def process(pause: float) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SLOW, str(pause)], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_killed_process_is_continued(folder: Path):
    with process(0.05) as first:
        assert first.stdout is not None
        while first.stdout.readline() != "500\n":
            pass
        os.kill(first.pid, signal.SIGKILL)
    asked: list[int] = []
    assert np.array_equal(cached(lambda start, stop: asked.append(start) or rows(start, stop)), WHOLE)
    assert asked[0] in (500, 600)


@pytest.mark.slow
def test_two_processes_make_it_once(folder: Path):
    with process(0.02) as one, process(0.02) as other:
        outputs = [running.communicate(timeout=60)[0].splitlines() for running in (one, other)]
    assert [output[-1] for output in outputs] == [f"sum {WHOLE.sum(dtype=np.int64)}"] * 2
    assert sum(len(output) - 1 for output in outputs) == 25


@pytest.mark.slow
def test_second_process_takes_over_from_a_killed_one(folder: Path):
    with process(0.05) as first:
        assert first.stdout is not None
        first.stdout.readline()
        with process(0) as second:
            time.sleep(0.3)
            os.kill(first.pid, signal.SIGKILL)
            assert second.communicate(timeout=60)[0].splitlines()[-1] == f"sum {WHOLE.sum(dtype=np.int64)}"
