"""A run is made, resumed or taken as it is; one with other arguments is named and never mistaken for it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from unbraid.recipes import grassy, vectors
from unbraid.recipes.existing import check_same, ensure
from unbraid.runs import Run
from unbraid.settings import Training

TINY = Training(steps=4, batch_size=8, learning_rate=1e-3, checkpoint_seconds=1e-6, device="cpu")
OPTIONS: dict[str, Any] = {"count": 40, "widths": (4,), "training": TINY}


def files(path: Path) -> dict[Path, int]:
    return {file: file.stat().st_mtime_ns for file in path.rglob("*")}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return ensure(vectors, tmp_path_factory.mktemp("runs") / "run", OPTIONS).path


def test_a_finished_run_is_left_as_it_is(made: Path):
    before = files(made)
    assert ensure(vectors, made, OPTIONS).status["status"] == "finished"
    assert files(made) == before


def test_a_stopped_run_is_gone_on_with(made: Path, tmp_path: Path, monkeypatch):
    def stopped(run, state):
        keep(run, state)
        if state["step"] == 2:
            raise KeyboardInterrupt

    keep = Run.save_checkpoint
    monkeypatch.setattr(Run, "save_checkpoint", stopped)
    with pytest.raises(KeyboardInterrupt):
        ensure(vectors, tmp_path / "run", OPTIONS)
    monkeypatch.undo()
    assert Run(tmp_path / "run").status["status"] == "interrupted"
    weights = ensure(vectors, tmp_path / "run", OPTIONS).load_weights()
    expected = Run(made).load_weights()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("recipe", "changed", "named"),
    [
        (vectors, {"alpha": 2.0}, "alpha"),
        (vectors, {"widths": (4, 4)}, "widths"),
        (vectors, {"training": replace(TINY, seed=1)}, "training.seed"),
        (grassy, {}, "recipe"),
    ],
)
def test_what_differs_is_named(made: Path, recipe, changed, named):
    with pytest.raises(ValueError, match=rf"a run with {{.*'{named}': .*choose another folder"):
        ensure(recipe, made, {**OPTIONS, **changed})


def test_what_is_not_given_is_not_compared(made: Path):
    check_same(vectors, made, {})
    check_same(vectors, made, {"count": 40})


def test_arguments_are_compared_as_the_recipe_settles_them(tmp_path: Path):
    """A VAE has no use for alpha and takes no mutual information, and its run says so."""
    small = {"count": 60, "shared": 2, "private": 2, "trunk_widths": (4, 4), "decoder_widths": (4, 4)}
    options = {"model": "vae", "objective": "mi", "alpha": 3.0, **small, "training": TINY}
    path = ensure(grassy, tmp_path / "run", options).path
    check_same(grassy, path, options)
    with pytest.raises(ValueError, match="'model': 'cpvae'"):
        check_same(grassy, path, {**options, "model": "cpvae"})


def test_a_setting_that_the_run_knows_nothing_of_is_the_default(made: Path, tmp_path: Path):
    path = shutil.copytree(made, tmp_path / "old")
    run = Run(path)
    text = (path / "run.json").read_text()
    assert run.record["training"]["capture"] is True
    (path / "run.json").write_text(text.replace('"capture": true', '"balanced": true'))
    assert "capture" not in Run(path).record["training"]
    check_same(vectors, path, OPTIONS)
    with pytest.raises(ValueError, match=r"training\.capture"):
        check_same(vectors, path, {"training": replace(TINY, capture=False)})
