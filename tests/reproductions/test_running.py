"""Reproductions from the name to the page, at the scale that shows nothing but that everything runs."""

import json
import os
from pathlib import Path

import pytest

from unbraid.reproductions import EXPERIMENTS, reproduce, reproductions

SLOW = [experiment.name for experiment in EXPERIMENTS]


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("reproductions")


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_every_reproduction_runs(name: str, out: Path, monkeypatch):
    """One folder for all: what one has trained the next one takes."""
    experiment = next(experiment for experiment in EXPERIMENTS if experiment.name == name)
    if experiment.task.sizes["smoke"].options.get("source") == "celeba":
        if "UNBRAID_TEST_DATA" not in os.environ:
            pytest.skip("UNBRAID_TEST_DATA is not set: CelebA is not tried")
        monkeypatch.setenv("UNBRAID_DATA", os.environ["UNBRAID_TEST_DATA"])
    found = reproduce(name, "smoke", out, processes=1)
    assert not found.failed
    html, plain = found.page.read_text(), json.loads(found.numbers.read_text())
    assert "smoke test" in html
    assert plain["runs"] == len(json.loads((out / name / "sweep.json").read_text())["jobs"])
    assert {line["method"] for line in plain["measures"]} == {method.name for method in experiment.methods}
    missing = {measure.name for measure in experiment.measures} - {line["measure"] for line in plain["measures"]}
    judging = experiment.task.sizes["smoke"].judging.metrics
    assert not [name for name in missing if name in judging]
    assert [claim["claim"] for claim in plain["claims"]] == [claim.says for claim in experiment.claims]


@pytest.mark.slow
def test_what_is_there_is_not_trained_again_and_says_the_same(out: Path):
    first = reproduce("srvae.fig2ab", "smoke", out, processes=1)
    before = {file: file.stat().st_mtime_ns for file in (out / "runs").rglob("*.safetensors")}
    page, numbers = first.page.read_bytes(), first.numbers.read_bytes()
    again = reproduce("srvae.fig2ab", "smoke", out, processes=1)
    assert {file: file.stat().st_mtime_ns for file in (out / "runs").rglob("*.safetensors")} == before
    assert (again.page.read_bytes(), again.numbers.read_bytes()) == (page, numbers)


@pytest.mark.slow
def test_another_scale_in_one_folder_is_refused_before_anything_starts(out: Path):
    reproduce("srvae.fig2ab", "smoke", out, processes=1)
    with pytest.raises(ValueError, match=r"expected .* to be a run with"):
        reproduce("srvae.fig2ab", "laptop", out, processes=1)


def test_an_unknown_name_is_refused_with_the_closest(tmp_path: Path):
    with pytest.raises(ValueError, match=r"did you mean srvae\.fig2ab"):
        reproduce("srvae.fig2a", "smoke", tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_list_counts_runs():
    found = {each.name: each for each in reproductions()}
    assert found["srvae.fig2ab"].runs["paper"] == 90
    assert found["srvae.fig2ab"].figure == "figure 2 (a), (b)"
    assert found["srvae.rivals"].figure == "beyond the paper"
