"""What was measured is not measured again, unless something that it depends on has changed."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from unbraid.data import Arrays
from unbraid.metrics import LOGISTIC, Result, population_leakage
from unbraid.recipes import evaluate, sprites, vectors
from unbraid.recipes.remembered import Memory, keep_codes, recall_codes, settings
from unbraid.runs import Run
from unbraid.settings import Training

QUICK = Training(3, batch_size=16, learning_rate=1e-3, validate_every=2, log_every=2)
RESULT = Result("mig", 0.5, "dlib", {"bins": 20}, interval=(0.4, 0.6), detail={"matrix": [[1.0]]})


def names(run: Run) -> set[str]:
    evaluation = run.evaluation()
    assert evaluation is not None
    return {each["metric"] for each in evaluation["results"]}


def lines(run: Run) -> list[dict]:
    return [json.loads(line) for line in (run.path / "evaluation" / "measured.jsonl").read_text().splitlines()]


def test_results_and_reasons_are_recalled_for_the_same_state_alone(tmp_path: Path):
    file = tmp_path / "evaluation" / "measured.jsonl"
    memory = Memory(file, {"weights": "a"})
    assert memory.recall("z: mig()") is None
    memory.keep("z: mig()", [RESULT])
    memory.keep("z: irs()", "too few")
    again = Memory(file, {"weights": "a"})
    assert again.recall("z: mig()") == [RESULT]
    assert again.recall("z: irs()") == "too few"
    assert Memory(file, {"weights": "b"}).recall("z: mig()") is None


def test_a_line_that_was_cut_off_costs_that_line_only(tmp_path: Path):
    file = tmp_path / "measured.jsonl"
    Memory(file, {}).keep("one", [RESULT])
    Memory(file, {}).keep("two", [RESULT])
    file.write_bytes(file.read_bytes()[:-30])
    memory = Memory(file, {})
    assert memory.recall("one") == [RESULT]
    assert memory.recall("two") is None
    memory.keep("three", "why not")
    assert Memory(file, {}).recall("three") == "why not"


@pytest.mark.parametrize(
    "damage", [b"\xff\xfe\n", b"null\n", b'{"key": "two"}\n', b'{"state": "S", "key": "two", "results": [{"a": 1}]}\n']
)
def test_lines_that_say_nothing_are_passed_over(tmp_path: Path, damage):
    file = tmp_path / "measured.jsonl"
    memory = Memory(file, {})
    memory.keep("one", [RESULT])
    file.write_bytes(file.read_bytes() + damage.replace(b"S", memory.state.encode()))
    again = Memory(file, {})
    assert again.recall("one") == [RESULT]
    assert again.recall("two") is None


def test_settings_name_everything_but_arrays():
    codes, population = np.zeros((4, 2)), np.zeros(4, dtype=np.int64)
    said = settings(partial(population_leakage, codes, population, LOGISTIC, seed=3))
    assert said == "population_leakage(2=Probe({'name': 'logistic regression'}), seed=3)"
    assert said != settings(partial(population_leakage, codes, population, LOGISTIC, seed=4))


def test_codes_are_recalled_under_their_key_alone(tmp_path: Path):
    file, codes = tmp_path / "evaluation" / "codes.npz", {"z": np.arange(6.0).reshape(3, 2)}
    assert recall_codes(file, "a") is None
    keep_codes(file, "a", codes)
    np.testing.assert_array_equal((recall_codes(file, "a") or {})["z"], codes["z"])
    assert recall_codes(file, "b") is None
    file.write_bytes(file.read_bytes()[:40])
    assert recall_codes(file, "a") is None


def test_metrics_are_added_to_a_run_and_not_measured_twice(tmp_path: Path):
    path = vectors(tmp_path / "run", count=100, widths=(8,), training=QUICK).path
    run = evaluate(path, "kl_per_latent")
    assert names(run) == {"kl"}
    before = len(lines(run))
    run = evaluate(path, "kl-per-latent,active_units")
    assert names(run) == {"kl", "active_units"}
    measured = lines(run)
    assert len(measured) > before
    assert names(evaluate(path, "active_units")) == {"kl", "active_units"}  # what was measured stays
    assert lines(run) == measured  # and nothing was measured again
    evaluate(path, "active_units", seed=1)  # other observations
    assert len(lines(run)) > len(measured)


def test_other_weights_are_measured_anew(tmp_path: Path):
    path = vectors(tmp_path / "run", count=100, widths=(8,), training=QUICK).path
    one = lines(evaluate(path, "active_units"))
    run = Run(path)
    run.save_weights({name: value * 2 for name, value in run.load_weights().items()})
    two = lines(evaluate(path, "active_units"))
    assert len(two) == 2 * len(one)


def test_other_classes_of_the_same_observations_are_measured_anew(tmp_path: Path):
    path, rng = vectors(tmp_path / "run", count=100, widths=(8,), training=QUICK).path, np.random.default_rng(0)
    x, population = rng.normal(size=(60, 20)).astype(np.float32), ["first", "second"] * 30
    for labels in (np.arange(60) // 2 % 2, np.arange(60) // 4 % 2):
        data = Arrays(x, population, ("first", "second"), labels)
        found = lines(evaluate(path, "clustering", data=data))
    assert len({line["state"] for line in found}) == 2


def test_an_unknown_metric_is_refused_before_anything_is_computed(tmp_path: Path):
    with pytest.raises(ValueError, match="got 'active_unit'; did you mean active_units"):
        evaluate(tmp_path / "nowhere", "active_unit")


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_where_it_was(tmp_path: Path):
    path = sprites(tmp_path / "run", latents=3, size=16, widths=(4, 4), features=8, training=QUICK).path
    file = path / "evaluation" / "measured.jsonl"
    command = [sys.executable, "-m", "unbraid", "evaluate", str(path), "--metrics", "all", "--max-codes", "600"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ})
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (file.is_file() and file.read_text().count("\n") >= 3):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (path / "evaluation" / "results.json").exists()
    before = file.read_text()
    kept = before[: before.rfind("\n") + 1]
    run = evaluate(path, "all", max_codes=600)
    assert file.read_text().startswith(kept)
    keys = [line["key"] for line in lines(run)]
    assert len(keys) == len(set(keys))
    assert {"factor_vae", "mig", "dci_disentanglement"} <= names(run)
