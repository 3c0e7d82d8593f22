"""How far a table of runs is, from what the runs themselves logged."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from unbraid.sweeps import Job
from unbraid.sweeps.watching import Watch, duration, training_lines


def job(folder: Path, method: str, seed: int, step: int = 0, seconds_a_step: float = 0.1, done: bool = False) -> Job:
    path = folder / method / f"seed-{seed}"
    path.mkdir(parents=True)
    steps = range(10, step + 1, 10)
    lines = [{"split": "train", "step": each, "seconds": each * seconds_a_step} for each in steps]
    text = "".join(json.dumps(line) + "\n" for line in [*lines, {"split": "valid", "step": step, "seconds": 1.0}])
    (path / "metrics.jsonl").write_text(text + '{"split": "tra')
    (path / "status.json").write_text(json.dumps({"status": "finished" if done else "running"}))
    (path / "weights.safetensors").touch()
    return Job(method, seed, path, "vectors", {"training": {"steps": 100}})


def test_time_left_is_by_the_pace_of_the_run_its_method_or_the_others(tmp_path: Path):
    jobs = [
        job(tmp_path, "a", 0, 100, 0.1, done=True),
        job(tmp_path, "a", 1, 50, 0.2),
        job(tmp_path, "a", 2),
        job(tmp_path, "b", 0),
    ]
    watch = Watch(jobs, 2)
    watch(jobs[0], "finished", "")
    watch(jobs[1], "running", "")
    # the run's own, the mean of its method's, the mean of all
    assert [watch.pace.left(each) for each in jobs[1:]] == pytest.approx([10.0, 15.0, 15.0])
    assert watch.left() == pytest.approx(20.0)
    assert watch.line() == "1 of 4 done, 1 running, 0 failed, about 20 s left"
    assert Watch(jobs[:1], 1).line() == "0 of 1 done, 0 running, 0 failed, all trained"
    watch(jobs[3], "failed", "it broke")
    assert watch.line() == "1 of 4 done, 1 running, 1 failed, about 15 s left"  # one cannot be shared out


def test_what_is_unknown_is_said_to_be(tmp_path: Path):
    watch = Watch([job(tmp_path, "a", 0), job(tmp_path, "b", 0)], 1)
    assert watch.line() == "0 of 2 done, 0 running, 0 failed, unknown time left"


def test_the_table_has_the_running_ones_first(tmp_path: Path):
    jobs = [job(tmp_path, "a", seed, 10 * seed) for seed in range(4)]
    watch = Watch(jobs, 2)
    watch(jobs[3], "running", "")
    shown = Console(file=io.StringIO(), width=200)
    shown.print(watch.table(2))
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    rows = [line.split() for line in text.splitlines() if line.strip().startswith("a ")]
    assert rows[0] == ["a", "3", "training", "30", "of", "100", "10", "about", "7", "s"]
    assert len(rows) == 2
    assert "and 2 more" in text


@pytest.mark.parametrize("content", [None, b"", b"\xff\n", b"[]\n", b'{"split": "train"}\n'])
def test_metrics_that_say_nothing_are_no_error(tmp_path: Path, content):
    if content is not None:
        (tmp_path / "metrics.jsonl").write_bytes(content)
    assert training_lines(tmp_path / "metrics.jsonl") == []


def test_only_the_end_of_long_metrics_is_read(tmp_path: Path):
    lines = [json.dumps({"split": "train", "step": step, "seconds": step / 2}) for step in range(5000)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    found = training_lines(tmp_path / "metrics.jsonl")
    assert found[-1] == (4999, 2499.5)
    assert len(found) < 1000


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "unknown time"), (40, "about 40 s"), (600, "about 10 min"), (9000, "about 2 h")]
)
def test_durations(seconds, said):
    assert duration(seconds) == said
