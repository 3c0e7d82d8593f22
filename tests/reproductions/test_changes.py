"""Options of an experiment that someone sets by hand."""

from pathlib import Path

import pytest

from unbraid.reproductions import EXPERIMENTS, Experiment, reproduce
from unbraid.reproductions.changes import changed
from unbraid.reproductions.jobs import differences, jobs_of


def named(name: str) -> Experiment:
    return next(experiment for experiment in EXPERIMENTS if experiment.name == name)


def test_what_is_set_reaches_every_run_and_stands_with_the_differences():
    experiment = changed(named("cpvae.table1"), "laptop", ["textures=grass.zip", "training.steps=6000", "shared=7"])
    for job in jobs_of(experiment, "laptop", Path("out")):
        assert job.arguments["textures"] == "grass.zip"
        assert job.arguments["shared"] == 7
        assert job.steps == 6000
    said = differences(experiment, "laptop")
    assert (
        "but for what is set by hand: textures grass.zip, training.steps 6000, shared 7; 7 epochs of 55,000 images"
        in said
    )
    assert "by 3.162 instead of 1.1" in said


def test_data_in_front_of_the_colon_are_the_only_ones_changed():
    experiment = changed(named("cpvae.table2"), "laptop", ["mnist-grass:textures=grass.zip", "mnist-grass:shared=3"])
    given = {
        job.method.partition(":")[0]: job.arguments.get("textures") for job in jobs_of(experiment, "laptop", Path())
    }
    assert {task: where for task, where in given.items() if where} == {"MNIST-Grass": "grass.zip"}


def test_longer_methods_stay_longer():
    usual, shorter = (
        {job.method: job.steps for job in jobs_of(each, "laptop", Path(), (0,))}
        for each in (named("srvae.cost"), changed(named("srvae.cost"), "laptop", ["training.steps=300"]))
    )
    assert {method: steps / 10 for method, steps in usual.items()} == shorter


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["training.steps"], "expected NAME=VALUE for --set"),
        (["training.steps=many"], "expected a whole number for training.steps, got 'many'"),
        (["texturs=a"], "did you mean textures"),
        (["mnist:shared=3"], "expected one of grassy-mnist before the colon"),
        (["rate=2"], "rate, which CPVAE, alpha 1 sets itself"),
        (["shared=2", "grassy-mnist:shared=3"], "expected every option once for Grassy-MNIST, got shared=3 as well"),
        (["training.seed=2"], "--seeds chooses those"),
    ],
)
def test_what_cannot_be_set_is_refused_before_anything_starts(words: list[str], message: str, tmp_path: Path):
    with pytest.raises(ValueError, match=message):
        reproduce("cpvae.table1", "laptop", tmp_path / "out", options=words)
    assert not list(tmp_path.iterdir())
