"""A recipe says what it would train, and trains the same under several seeds at once."""

from pathlib import Path

import pytest

from unbraid.recipes import grassy, resume_all, sprites, train_seeds, vectors
from unbraid.runs import Run
from unbraid.settings import Training

TINY = Training(steps=4, batch_size=8, learning_rate=1e-3, device="cpu")
SMALL = {"count": 60, "amplitude": 0.5, "shared": 2, "private": 2, "trunk_widths": (4, 4), "decoder_widths": (4, 4)}


def test_a_plan_writes_nothing_and_is_what_the_recipe_trains(tmp_path: Path):
    plan = vectors.plan(tmp_path / "run", count=40, widths=(4,), training=TINY)
    assert not (tmp_path / "run").exists()
    assert (plan.out, plan.training) == (tmp_path / "run", TINY)
    run = vectors(tmp_path / "run", count=40, widths=(4,), training=TINY)
    assert plan.record is not None
    assert run.record["recipe"] == plan.record["recipe"]
    assert repr(run.rebuild("model")) == repr(plan.model)


def test_a_recipe_keeps_its_name_and_description():
    assert sprites.__name__ == "sprites"
    assert (sprites.__doc__ or "").startswith("Train SR-VAE")


@pytest.mark.slow
def test_seeds_get_data_and_weights_of_their_own(tmp_path: Path):
    """Grassy digits are drawn anew for each seed, and the decoder starts at their mean."""
    runs = train_seeds(grassy, tmp_path, [0, 1], **SMALL, training=TINY)
    assert [run.path.name for run in runs] == ["seed-0", "seed-1"]
    models = [run.record["model"]["arguments"]["shared_decoder"]["arguments"]["offset"] for run in runs]
    assert models[0] != models[1]
    assert [run.record["data"]["arguments"]["seed"] for run in runs] == [0, 1]
    assert all(run.status["status"] == "finished" for run in runs)
    assert [run.path for run in resume_all(tmp_path)] == [run.path for run in runs]


def test_without_seeds_it_is_one_run(tmp_path: Path):
    (run,) = train_seeds(vectors, tmp_path / "run", count=40, widths=(4,), training=TINY)
    assert run.record["seed"] == 0
    assert "together" not in run.record
    assert [each.path for each in resume_all(run.path)] == [run.path]


def test_seeds_that_come_twice_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"expected different seeds, at least one, got \[3, 3\]"):
        train_seeds(vectors, tmp_path / "runs", [3, 3])
    assert not (tmp_path / "runs").exists()


def test_the_default_training_of_the_recipe_is_used(tmp_path: Path):
    plan = vectors.plan(tmp_path / "run")
    assert plan.training.steps == 5000
    assert not list(tmp_path.iterdir())
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="expected a run folder"):
        Run(tmp_path / "run")
