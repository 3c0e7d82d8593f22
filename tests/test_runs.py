"""The run folder: whole or not there, and readable whatever happened to it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unbraid.configuration import describe
from unbraid.data import MNIST
from unbraid.objectives import ELBO
from unbraid.runs import FORMAT, Run, write_atomically

OBJECTIVE = {"class": "unbraid.objectives.elbo.ELBO", "arguments": {}}


def made(folder: Path, **record: Any) -> Run:
    return Run.create(folder / "run", {"seed": 3, "objective": OBJECTIVE, "validation": None, **record})


def everything(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_new_run_says_what_made_it(tmp_path: Path):
    run = made(tmp_path / "deep" / "deeper")
    record = Run(run.path).record
    assert record["format"] == FORMAT
    assert record["name"] == "run"
    assert record["seed"] == 3
    assert set(record["versions"]) == {"python", "torch", "numpy"}
    assert record["created"][:2] == "20"
    assert run.status == {"status": "created", "step": 0, "seconds": 0.0, "message": ""}
    assert run.metrics() == []
    assert run.evaluation() is None
    assert run.path.stat().st_mode & 0o777 == 0o755
    assert [file.name for file in run.path.parent.iterdir()] == ["run"]


def test_parts_are_rebuilt_from_their_description(tmp_path: Path):
    run = made(tmp_path)
    assert isinstance(run.rebuild("objective"), ELBO)
    assert run.rebuild("validation") is None
    with pytest.raises(ValueError, match=r"expected the model in .*run.json.*got only .*'objective'.*damaged, or"):
        run.rebuild("model")


@pytest.mark.parametrize("taken", ["run", "other folder", "file"])
def test_what_is_there_is_not_overwritten(tmp_path: Path, taken: str):
    if taken == "run":
        made(tmp_path)
    elif taken == "file":
        (tmp_path / "run").write_text("mine")
    else:
        (tmp_path / "run" / "mine").mkdir(parents=True)
    before = everything(tmp_path)
    with pytest.raises(ValueError, match=r"expected a new or empty folder for the run, got .*or choose another folder"):
        made(tmp_path)
    assert everything(tmp_path) == before


def test_a_record_that_cannot_be_written_leaves_nothing(tmp_path: Path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        made(tmp_path, notes=object())
    assert list(tmp_path.iterdir()) == []


def test_metrics_come_back_without_a_line_that_was_cut_off(tmp_path: Path):
    run = made(tmp_path)
    for step in range(3):
        run.log({"split": "train", "step": step, "loss": 0.1 * step})
    assert [line["step"] for line in run.metrics()] == [0, 1, 2]
    assert run.metrics()[2]["loss"] == 0.1 * 2
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"split": "tra')
    assert [line["step"] for line in run.metrics()] == [0, 1, 2]


def test_a_checkpoint_cuts_the_metrics_back_to_its_step(tmp_path: Path):
    run = made(tmp_path)
    assert run.load_checkpoint() is None
    run.log({"step": 1})
    run.save_checkpoint({"step": 1, "weights": torch.arange(3.0)})
    run.log({"step": 2})
    state = run.load_checkpoint()
    assert state is not None
    assert torch.equal(state["weights"], torch.arange(3.0))
    assert len(run.metrics()) == 2  # nothing is cut before the checkpoint is accepted
    run.cut_metrics(state["metrics_bytes"])
    assert run.metrics() == [{"step": 1}]
    run.cut_metrics(state["metrics_bytes"] - 3)  # never half a line
    assert run.metrics() == []
    run.log({"step": 1})
    run.save_checkpoint({"step": 2})
    assert torch.load(run.path / "checkpoint.previous.pt", weights_only=True)["step"] == 1
    (run.path / "metrics.jsonl").write_text("")  # lost, as by a full disk: nothing is made up in its place
    run.cut_metrics(state["metrics_bytes"])
    assert (run.path / "metrics.jsonl").read_bytes() == b""


def test_one_process_at_a_time(tmp_path: Path):
    run = made(tmp_path)
    with run.locked(), pytest.raises(ValueError, match="another process"), Run(run.path).locked():
        pass
    with run.locked():  # free again
        pass


@pytest.mark.parametrize("content", ["{}", "[]", "{", '{"status": "running"}'])
def test_a_damaged_status_is_said_to_be_damaged(tmp_path: Path, content):
    run = made(tmp_path)
    (run.path / "status.json").write_text(content)
    with pytest.raises(ValueError, match="damaged"):
        _ = run.status


class Unwritable:
    """Cannot be saved by anything."""

    def __reduce__(self):
        raise RuntimeError("no")


def test_a_failed_write_leaves_the_file_before_it(tmp_path: Path):
    run = made(tmp_path)
    run.save_checkpoint({"step": 1})
    run.save_weights({"w": torch.ones(3)})
    with pytest.raises(RuntimeError, match="no"):
        run.save_checkpoint({"step": 2, "bad": Unwritable()})
    with pytest.raises((RuntimeError, ValueError)):
        run.save_weights({"w": torch.ones(3).to_sparse()})
    with pytest.raises(TypeError):
        run.set_status("running", 1, 0.0, Unwritable())  # type: ignore[arg-type]
    state = run.load_checkpoint()
    assert state is not None
    assert state["step"] == 1
    assert torch.equal(run.load_weights()["w"], torch.ones(3))
    assert run.status["status"] == "created"


def test_weights_come_back_as_they_were(tmp_path: Path):
    run = made(tmp_path)
    with pytest.raises(ValueError, match=r"expected trained weights in .*but the run is created; .*resume.*finishes"):
        run.load_weights()
    weights = {"a": torch.randn(3, 4).T, "count": torch.tensor(7), "half": torch.randn(2).double()}
    run.save_weights(weights)
    loaded = run.load_weights()
    assert {name: value.dtype for name, value in loaded.items()} == {name: w.dtype for name, w in weights.items()}
    assert all(torch.equal(loaded[name], value) for name, value in weights.items())


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "cut at the end": lambda content: content[:-1],
    "empty": lambda content: b"",
    "random": lambda content: np.random.default_rng(0).bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_weights_are_refused(tmp_path: Path, damage: Callable):
    run = made(tmp_path)
    run.save_weights({"w": torch.ones(30)})
    file = run.path / "weights.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ValueError, match=r"expected weights in '.*safetensors', but the file is damaged: .*; train"):
        run.load_weights()


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "null", '{"seed": 3}', "no JSON", "\ufeff{}", b"\xff\xfe\x00"])
def test_a_damaged_description_is_refused(tmp_path: Path, content: str | bytes):
    run = made(tmp_path)
    (run.path / "run.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"expected '.*run.json' to be a run's description in JSON, but it is damaged"):
        Run(run.path)


@pytest.mark.parametrize("content", ["", "{", b"\xff"])
def test_a_damaged_status_is_refused(tmp_path: Path, content: str | bytes):
    run = made(tmp_path)
    (run.path / "status.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"expected the run's status as JSON in '.*status.json', but it is damaged"):
        _ = run.status


def test_a_run_of_another_format_is_refused(tmp_path: Path):
    run = made(tmp_path)
    record = {**run.record, "format": FORMAT + 1, "unbraid": "99.0"}
    (run.path / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=rf"format {FORMAT} .*got format {FORMAT + 1} .*unbraid 99.0.*open it with"):
        Run(run.path)


def test_what_is_no_run_is_refused(tmp_path: Path):
    for path in (tmp_path, tmp_path / "nothing", str(tmp_path)):
        with pytest.raises(ValueError, match=r"expected a run folder \(with run.json\), got '.*'; `unbraid list"):
            Run(path)


def test_a_run_from_elsewhere_runs_no_code_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "foreign_run_module.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    run = made(tmp_path, model={"class": "foreign_run_module.Thing", "arguments": {}})
    with pytest.raises(ValueError, match=r"expected a class of unbraid, got 'foreign_run_module.Thing'"):
        run.rebuild("model")
    assert "foreign_run_module" not in sys.modules
    assert not (tmp_path / "ran").exists()


class Malicious:
    """A pickle that runs code when it is loaded."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (self.mark,))


def test_a_checkpoint_from_elsewhere_runs_no_code(tmp_path: Path):
    run = made(tmp_path)
    run.save_checkpoint({"step": 1, "model": Malicious(tmp_path / "ran")})
    with pytest.raises(ValueError, match=r"expected a checkpoint in .*damaged"):
        run.load_checkpoint()
    assert not (tmp_path / "ran").exists()


def test_evaluations_come_back_and_are_replaced(tmp_path: Path):
    run = made(tmp_path)
    for value in (1, 2):
        run.save_evaluation({"results": [value]}, {"codes": np.full((3, 2), value), "names": np.array(["a"])})
        assert run.evaluation() == {"results": [value]}
    with np.load(run.path / "evaluation" / "arrays.npz") as arrays:
        assert arrays["codes"].tolist() == [[2, 2]] * 3
    assert {file.name for file in (run.path / "evaluation").iterdir()} == {"results.json", "arrays.npz"}


def test_files_are_replaced_whole(tmp_path: Path):
    file = tmp_path / "file"
    for content in (b"one", b"", b"\x00\xff"):
        write_atomically(file, content)
        assert file.read_bytes() == content
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_official_data_are_not_rebuilt_from_other_files(tmp_path: Path):
    labels = (np.arange(40) % 10).astype(np.uint8)
    for what, array in (("images-idx3", np.zeros((40, 28, 28), np.uint8)), ("labels-idx1", labels)):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        (tmp_path / f"t10k-{what}-ubyte").write_bytes(header + array.tobytes())
    data = MNIST("test", tmp_path)
    run = Run.create(tmp_path / "run", {"data": describe(data), "facts": {"data": data.facts()}})
    assert repr(run.rebuild("data")) == repr(data)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 40]) + labels[::-1].tobytes())
    with pytest.raises(ValueError, match=r"expected data from the run's files, .* bring them back"):
        run.rebuild("data")
