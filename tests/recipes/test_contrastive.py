"""CPVAE's rivals from the recipes: what they train, what is refused, and that they are judged as CPVAE is."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from unbraid.models import CPVAE, ContrastiveVAE, SequentialVAE
from unbraid.objectives import ELBO, ContrastiveMMD
from unbraid.recipes import evaluate, grassy, images, resume
from unbraid.recipes.tables import table
from unbraid.settings import Training

QUICK = Training(steps=20, batch_size=16, learning_rate=3e-3)


def study(path: Path, arms: tuple[str, ...] = ("control", "patient")) -> Path:
    """x0 to x2 follow one factor in all, x3 and x4 one that the first arm lacks."""
    rng = np.random.default_rng(0)
    arm = np.arange(240) % len(arms)
    common, own = rng.normal(size=240), (rng.normal(size=240) + 1) * (arm > 0)
    x = np.stack([common, -common, common, 2 * own, -2 * own], axis=1) + 0.1 * rng.normal(size=(240, 5))
    frame = pd.DataFrame(x, columns=[f"x{index}" for index in range(5)])
    frame["arm"], frame["high"] = np.array(arms)[arm], common > 0
    frame.to_csv(path / "study.csv", index=False)
    return path / "study.csv"


def trained(path: Path, arms: tuple[str, ...] = ("control", "patient"), **options: Any):
    usual = {"model": "contrastive", "label": "high", "training": QUICK, "widths": (8,), "shared": 2, "private": 1}
    return table(path / "run", study(path, arms), "arm", **{**usual, **options})


def subjects(run) -> set[str]:
    evaluation = run.evaluation()
    assert evaluation is not None
    return {f"{one['subject']}: {one['metric']}" for one in evaluation["results"]}


@pytest.mark.parametrize(("objective", "kind"), [(None, ELBO), ("mmd", ContrastiveMMD)])
def test_a_table_is_trained_resumed_and_judged(tmp_path: Path, objective: Any, kind: type):
    run = evaluate(resume(trained(tmp_path, objective=objective).path).path)
    model = run.rebuild("model")
    assert isinstance(model, ContrastiveVAE)
    assert (model.background, model.shared, model.private) == ("control", 2, 1)
    assert type(run.rebuild("objective")) is kind
    arguments = run.record["arguments"]
    assert arguments["objective"] == (objective or "elbo")
    assert arguments["alpha"] is None
    expected = {
        "shared code, control: clustering_ari",
        "private code, patient: clustering_ari",
        "shared code: population_leakage_balanced_accuracy",
        "private (patient) code: population_leakage_balanced_accuracy",
        "private part against other private parts, patient: explained_features",
        "model: negative_elbo",
    }
    assert expected <= subjects(run)
    arrays = np.load(run.path / "evaluation" / "arrays.npz")
    assert not arrays["codes_private"][:, 0].any()
    assert arrays["codes_private"][:, 1].all()
    assert {"private_only", "shared_only", "transfer", "samples_prior", "tsne_private"} <= set(arrays)
    assert (run.path / "evaluation" / "features.csv").is_file()


def test_the_background_can_be_named_and_must_be_among_three(tmp_path: Path):
    arms = ("control", "first", "second")
    with pytest.raises(
        ValueError, match=r"contrastive model of 3 populations, got none; pass background as one of con"
    ):
        trained(tmp_path, arms)
    run = evaluate(trained(tmp_path, arms, background="second", objective="mmd").path)
    model, minimised = run.rebuild("model"), run.rebuild("objective")
    assert isinstance(model, ContrastiveVAE)
    assert model.background == "second"
    assert minimised.background == 2
    assert "private code, first: clustering_ari" in subjects(run)
    with pytest.raises(ValueError, match=r"the background among them, got .*'second'\) and the background 'third'"):
        trained(tmp_path, arms, background="third")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "contrastive", "objective": "mi"}, r"objective elbo or mmd for the model contrastive, got mi"),
        ({"model": "cpvae", "objective": "mmd"}, r"objective mi or elbo for the model cpvae, got mmd"),
        ({"model": "vae", "objective": "mmd"}, r"objective elbo for the model vae, got mmd"),
        ({"model": "cpvae", "background": "control"}, r"no background for the model cpvae, got 'control'"),
    ],
)
def test_what_does_not_go_together_is_refused_before_data_are_read(tmp_path: Path, options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        table(tmp_path / "run", tmp_path / "absent.csv", "arm", **options)
    with pytest.raises(ValueError, match=message):
        images(tmp_path / "run", "absent", **options)
    with pytest.raises(ValueError, match=message):
        grassy(tmp_path / "run", **options)


@pytest.mark.parametrize(
    ("model", "objective", "kind", "minimised"),
    [
        ("cpvae", None, CPVAE, "CrossPopulation"),
        ("cpvae", "elbo", CPVAE, "ELBO"),
        ("vae", None, SequentialVAE, "ELBO"),
        ("vae", "mi", SequentialVAE, "ELBO"),
        ("contrastive", None, ContrastiveVAE, "ELBO"),
        ("contrastive", "mmd", ContrastiveVAE, "ContrastiveMMD"),
    ],
)
def test_every_model_on_images(tmp_path: Path, model: Any, objective: Any, kind: type, minimised: str):
    widths: dict[str, Any] = {"trunk_widths": (4, 4), "decoder_widths": (4, 4), "shared": 3, "private": 2, "count": 40}
    training = Training(steps=2, batch_size=8)
    run = grassy(tmp_path / "run", model, objective, training=training, **widths)
    assert isinstance(run.rebuild("model"), kind)
    assert type(run.rebuild("objective")).__name__ == minimised


@pytest.mark.slow
def test_grassy_digits_are_judged_with_their_truth(tmp_path: Path):
    widths: dict[str, Any] = {"trunk_widths": (4, 4), "decoder_widths": (4, 4), "shared": 3, "private": 2, "count": 100}
    run = evaluate(
        grassy(tmp_path / "run", "contrastive", "mmd", "digits 5-9", training=Training(steps=4), **widths).path
    )
    found = subjects(run)
    assert "private code, digits 0-4: clustering_ari" in found
    assert "private only against clean: pixel_correlation" in found
    assert "shared only against background: psnr" in found
    arrays = np.load(run.path / "evaluation" / "arrays.npz")
    assert not arrays["codes_private"][:, 1].any()


@pytest.mark.slow
def test_the_factor_that_the_background_lacks_is_found_in_the_private_part(tmp_path: Path):
    run = trained(tmp_path, training=Training(steps=400, learning_rate=5e-3), widths=(32,))
    model, data = run.rebuild("model"), run.rebuild("test")
    model.load_state_dict(run.load_weights())
    batch = data.batch(np.flatnonzero(data.population == 1))
    parts = {name: part.detach().numpy() for name, part in model.eval().parts(batch).items()}
    left = {name: np.mean((batch.x.numpy() - part) ** 2, 0) for name, part in parts.items()}
    own, common = data.feature_names.index("x3"), data.feature_names.index("x0")
    assert left["full"][own] < 0.3 < left["shared_only"][own]
    assert left["full"][common] < 0.3
    assert left["shared_only"][common] < left["private_only"][common]
