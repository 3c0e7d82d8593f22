"""A table of runs is planned whole, and refused whole, before anything is begun."""

import json
from pathlib import Path
from typing import Any

import pytest

from unbraid.recipes import cells, sprites, vectors
from unbraid.runs import Run
from unbraid.settings import Training
from unbraid.sweeps import Job, Judging, carry_out, parse_over, sweep
from unbraid.sweeps.combinations import table
from unbraid.sweeps.job import trains, typed

OUT = Path("out")
SMALL: dict[str, Any] = {"count": 40, "widths": (4,), "training": {"steps": 2, "batch_size": 8}}


def test_values_are_separated_by_commas_outside_brackets():
    found = parse_over(["strength=1,2", "widths=[2,2],[4,4]", "training.learning-rate=1e-3"])
    assert found == {
        "strength": ["1", "2"],
        "widths": ["[2,2]", "[4,4]"],
        "training.learning_rate": ["1e-3"],
    }


@pytest.mark.parametrize("words", [["strength"], ["strength="], ["=1"], ["a=1", "a=2"]])
def test_what_is_no_list_of_values_is_refused(words):
    with pytest.raises(ValueError, match=r"expected .* for --over|expected every name once"):
        parse_over(words)


def test_every_combination_for_every_seed_in_a_folder_of_its_own():
    over = {"strength": ["1", "4.0"], "model": ["vae", "sr-vae"], "training.learning_rate": ["1e-3"]}
    jobs = table(sprites, OUT, [0, 3], over, None, {"latents": 3, "training": {"steps": 5}})
    assert len(jobs) == 8
    assert jobs[0].path == OUT / "model=vae,strength=1,training.learning_rate=0.001" / "seed-0"
    assert jobs[-1].method == "model=sr-vae,strength=4,training.learning_rate=0.001"
    assert jobs[-1].arguments == {
        "latents": 3,
        "model": "sr-vae",
        "strength": 4.0,
        "training": {"steps": 5, "learning_rate": 0.001, "seed": 3},
    }
    assert {job.steps for job in jobs} == {5}
    turned = table(sprites, OUT, [0, 3], dict(reversed(over.items())), None, {"latents": 3, "training": {"steps": 5}})
    assert {job.path for job in turned} == {job.path for job in jobs}


def test_nothing_varied_is_one_method():
    (job,) = table(cells, OUT, [2], {}, None, {"file": Path("cells.h5ad"), "population": "condition"})
    assert (job.method, job.path, job.recipe) == ("runs", OUT / "runs" / "seed-2", "cells")
    assert job.steps == 3000  # the recipe's own
    assert typed(trains(job.recipe), job.arguments) == {
        "file": Path("cells.h5ad"),
        "population": "condition",
        "training": Training(steps=3000, learning_rate=1e-3, patience=5, validate_every=100, seed=2),
    }


def test_paths_and_lists_make_names_of_folders():
    over = {"file": ["a/b.csv"], "widths": ["[4,2]", "[]"]}
    jobs = table(cells, OUT, [0], over, None, {"population": "condition"})
    assert [job.path.parent.name for job in jobs] == ["file=a-b.csv,widths=4x2", "file=a-b.csv,widths=none"]
    assert jobs[0].arguments["widths"] == [4, 2]


def test_a_job_survives_json():
    job = Job("a", 1, OUT / "a" / "seed-1", "vectors", {"widths": [4]}, Judging("mig", steps=(1, 2)))
    assert Job.from_plain(json.loads(json.dumps(job.to_plain()))) == job
    assert job.log == OUT / "logs" / "a-seed-1.log"


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"alpha": ["low"]}, "expected a number for alpha, got 'low'"),
        ({"alhpa": ["1"]}, "got 'alhpa'; did you mean alpha"),
        ({"objective": ["mi", "m1"]}, "expected one of mi, elbo for objective, got 'm1'"),
        ({"training.learning_rate": ["1e-3", "-1"]}, "expected a learning_rate above 0"),
        ({"training.rate": ["1"]}, "got 'training.rate'"),
        ({"shared": ["2", "2"]}, "expected different values of shared"),
        ({"shared": []}, "expected different values of shared, at least one"),
        ({"training.seed": ["1"]}, "beside the seed"),
        ({"out": ["x"]}, "got 'out'"),
        ({"shared": ["2", "0"]}, "^shared=0 seed 0: .*got 0"),  # what only planning finds out
    ],
)
def test_bad_values_are_refused_before_anything_starts(tmp_path: Path, over, expected):
    with pytest.raises(ValueError, match=expected):
        sweep(vectors, tmp_path / "out", [0], over, options=SMALL)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"seeds": [1, 1]}, "expected different seeds"),
        ({"seeds": []}, "expected different seeds"),
        ({"judging": Judging("miig")}, "did you mean mig"),
        ({"judging": Judging(followed="miig")}, "did you mean mig"),
        ({"processes": 0}, "expected processes of at least 1"),
        ({"threads": 0}, "expected threads of at least 1"),
    ],
)
def test_bad_settings_are_refused_before_anything_starts(tmp_path: Path, changed, expected):
    with pytest.raises(ValueError, match=expected):
        sweep(**{"recipe": vectors, "out": tmp_path / "out", "options": SMALL, **changed})
    assert not (tmp_path / "out").exists()


def test_runs_with_other_arguments_are_named(tmp_path: Path):
    out = tmp_path / "out"
    training = Training(steps=2, batch_size=8, learning_rate=1e-3, device="cpu")
    path = vectors(out / "alpha=1" / "seed-0", alpha=1.0, count=40, widths=(4,), training=training).path
    before = Run(path).record
    for changed, expected in ({"count": 50}, "'count': 50"), ({"training": {"steps": 3}}, "'training.steps': 3"):
        with pytest.raises(ValueError, match=f"^alpha=1 seed 0: .*{expected}"):
            sweep(vectors, out, [0], {"alpha": [1.0]}, options={**SMALL, **changed})
    (out / "alpha=2" / "seed-0").mkdir(parents=True)
    (out / "alpha=2" / "seed-0" / "notes.txt").touch()
    with pytest.raises(ValueError, match="expected a new or empty folder"):
        sweep(vectors, out, [0], {"alpha": [1.0, 2.0]}, options={**SMALL, "training": {"steps": 2, "batch_size": 8}})
    assert Run(path).record == before
    assert sorted(each.name for each in out.iterdir()) == ["alpha=1", "alpha=2"]


def test_two_jobs_in_one_folder_are_refused(tmp_path: Path):
    job = Job("a", 0, tmp_path / "a" / "seed-0", "vectors", SMALL | {"widths": [4]}, None)
    with pytest.raises(ValueError, match="a folder of its own"):
        carry_out([job, job], tmp_path)


def test_an_argument_that_is_missing_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match="a seed 0: expected file and population for cells"):
        carry_out([Job("a", 0, tmp_path / "a" / "seed-0", "cells")], tmp_path)


def test_a_recipe_that_does_not_train_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"expected a recipe out of .*got 'score'"):
        carry_out([Job("a", 0, tmp_path / "a" / "seed-0", "score")], tmp_path)
