"""Reproductions from the name to the page, at the scale that shows nothing but that everything runs."""

import json
import os
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from unbraid.reproductions import EXPERIMENTS, reproduce, reproductions
from unbraid.reproductions.jobs import jobs_of
from unbraid.reproductions.running import carried_out
from unbraid.reproductions.tasks import SHAPES
from unbraid.sweeps.checking import check_jobs

# one a task; what else is trained differs in arguments of recipes, which are planned for all
TRAINED = ("srvae.fig2ab", "srvae.fig2cde", "srvae.fig4", "srvae.fig5", "cpvae.combination")
FILES = {"celeba": ("celeba", "celeba-10k"), "grassy-mnist": ("mnist", "mnist"), "flowers": ("17flowers.tgz",) * 2}


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("reproductions")


def provide(source: str, folder: Path, monkeypatch) -> None:
    """A data folder with the files of a source, where it needs any."""
    if source not in FILES:
        return
    if "UNBRAID_TEST_DATA" not in os.environ:
        pytest.skip(f"UNBRAID_TEST_DATA is not set: {source} is not tried")
    here, there = FILES[source]
    (folder / here).symlink_to(Path(os.environ["UNBRAID_TEST_DATA"]) / there)
    monkeypatch.setenv("UNBRAID_DATA", str(folder))


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_every_kind_of_reproduction_runs(name: str, out: Path, monkeypatch, tmp_path: Path):
    experiment = next(experiment for experiment in EXPERIMENTS if experiment.name == name)
    provide(str(experiment.task.sizes["smoke"].options.get("source")), tmp_path, monkeypatch)
    found = reproduce(name, "smoke", out, processes=1)
    assert not found.failed
    html, plain = unescape(found.page.read_text()), json.loads(found.numbers.read_text())
    assert "smoke test" in html
    assert all(next(iter(line["notes"].values())) in html for line in plain["measures"] if line["notes"])
    assert plain["runs"] == len(json.loads((out / name / "sweep.json").read_text())["jobs"])
    assert {line["method"] for line in plain["measures"]} == {method.name for method in experiment.methods}
    assert {line["measure"] for line in plain["measures"]} >= {claim.measure.name for claim in experiment.claims}
    assert [claim["claim"] for claim in plain["claims"]] == [claim.says for claim in experiment.claims]


@pytest.mark.slow
def test_later_stages_go_on_and_what_is_forgotten_is_in_the_numbers(out: Path, monkeypatch, tmp_path: Path):
    provide("flowers", tmp_path, monkeypatch)
    whole = next(experiment for experiment in EXPERIMENTS if experiment.name == "cpvae.fig5")
    few = (whole.methods[0], *whole.methods[-2:])  # the last goes on with the first run of the one before
    shorter = replace(whole, task=replace(whole.task, arriving=("iris",)), methods=few)
    found = carried_out(replace(shorter, claims=whole.claims[:1]), "smoke", out, processes=1)
    assert (found.runs, len(found.failed)) == (5, 0)
    plain = json.loads(found.numbers.read_text())
    assert {line["measure"] for line in plain["measures"]} == {measure.name for measure in whole.measures}
    assert "What is remembered" in found.page.read_text()
    assert "forgetting,squared_error" in (out / "cpvae.fig5" / "results.csv").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", [experiment.name for experiment in EXPERIMENTS if experiment.task is SHAPES])
def test_every_other_one_can_be_planned(name: str, tmp_path: Path):
    check_jobs(jobs_of(next(each for each in EXPERIMENTS if each.name == name), "smoke", tmp_path))
    assert not list(tmp_path.iterdir())


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
