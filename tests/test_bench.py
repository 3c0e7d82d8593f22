"""The benchmarks run and write what they promise; how fast anything is, is nothing that a test can say."""

import importlib.util
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parent.parent
PROMISED = {
    "srvae_step_vs_naive",
    "srvae_step_vs_naive_exact",
    "vae_step_vs_naive",
    "factorvae_step_vs_naive",
    "dci_vs_reference",
    "factorvae_metric_vs_plain",
    "data_share_of_step",
}
AGAINST_PYTHAE = {"vae_step_vs_pythae", "betavae_step_vs_pythae", "factorvae_step_vs_pythae"}


@pytest.fixture(scope="module")
def harness() -> Iterator[ModuleType]:
    found = importlib.util.spec_from_file_location("harness", ROOT / "bench" / "harness.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    sys.modules["harness"] = module  # its data classes look for their module
    found.loader.exec_module(module)
    yield module
    del sys.modules["harness"]


@pytest.mark.slow
def test_a_quick_run_has_every_promised_figure(tmp_path: Path):
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--quick", "--threads", "1", "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    entries = json.loads((tmp_path / "bench.json").read_text())
    names = [entry["name"] for entry in entries]
    installed = (ROOT / "build" / "bench-env" / "ready").exists()
    assert (PROMISED | AGAINST_PYTHAE if installed else PROMISED) <= set(names)
    assert len(set(names)) == len(names)
    for entry in entries:
        assert entry["against"]
        assert math.isfinite(entry["ratio"])
        assert entry["ratio"] > 0
    table = (tmp_path / "bench.md").read_text()
    assert all(f"| {name} |" in table for name in names)


def test_contenders_take_turns_and_none_is_always_first(harness: ModuleType, tmp_path: Path):
    effort = harness.Effort(seconds=0.0, least=3, threads=1, quick=True, full=False, out=tmp_path)
    calls: list[str] = []

    def contender(name: str, seconds: float):
        def turn(count: int) -> float:
            calls.append(name)
            return seconds * count

        return turn

    names = ("a", "b", "c")
    times = harness.interleaved({name: contender(name, k + 1) for k, name in enumerate(names)}, effort)
    assert "".join(calls) == "abc" + "abc" + "bca" + "cab"
    assert times == {"a": [1000.0] * 3, "b": [2000.0] * 3, "c": [3000.0] * 3}


def test_a_ratio_is_of_medians_and_its_spread_of_rounds(harness: ModuleType):
    entry = harness.compared("name", [1.0, 2.0, 4.0], "other", [8.0, 6.0, 4.0], cells=3)
    assert (entry["ratio"], entry["median"], entry["against_median"], entry["repeats"]) == (3.0, 2.0, 6.0, 3)
    assert entry["ratio_low"] < 3 < entry["ratio_high"]
    assert (entry["unit"], entry["cells"]) == ("ms", 3)


def test_operations_are_those_of_the_products(harness: ModuleType):
    layer = torch.nn.Linear(3, 5)
    # forward, and back to the weights; the input needs no gradient
    assert harness.flops(lambda: layer(torch.ones(7, 3)).sum().backward()) == 2 * 2 * 7 * 3 * 5
    rate = harness.rates(4e9, milliseconds=1000.0, peak=8.0)
    assert (rate["gflops"], rate["share_of_peak"]) == (4.0, 0.5)


def test_a_slow_precision_has_its_peak_from_smaller_matrices(harness: ModuleType, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(harness, "LONGEST", 0.0)
    small = harness.products()
    assert set(small) == {"peak 64 float32", "peak 64 bfloat16"}
    times = {"peak 64 bfloat16": [2.0, 1.0, 4.0], "peak 2048 float32": [100.0], "another": [1.0]}
    assert harness.peaks(times) == {"bfloat16": 2 * 64**3 / 2e6, "float32": 2 * 2048**3 / 100e6}
