"""A table from file to judged run: what a first user does, with missing values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from unbraid.data import Table
from unbraid.likelihoods import IgnoreMissing
from unbraid.models import CPVAE
from unbraid.nets import MaskedTrunk
from unbraid.recipes import evaluate
from unbraid.recipes.tables import table
from unbraid.settings import Training

QUICK = Training(steps=60, learning_rate=3e-3, patience=3, validate_every=20)


def study(path: Path, gaps: bool = True) -> Path:
    """90 subjects with two samples each; x0 to x3 follow one factor, x4 another, in patients alone."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(90), 2)
    patient = subjects % 2 == 0
    common, own = rng.normal(size=90)[subjects], rng.normal(size=90)[subjects] * patient
    x = np.stack([common, -common, common, common, 2 * own], axis=1) + 0.1 * rng.normal(size=(180, 5))
    if gaps:
        x[rng.random(x.shape) < 0.1] = np.nan
        x[:, 0] = common
    frame = pd.DataFrame(x, columns=[f"x{index}" for index in range(5)])
    frame.insert(0, "sample", [f"s{subject}_{index % 2}" for index, subject in enumerate(subjects)])
    frame["arm"], frame["high"] = np.where(patient, "patient", "control"), common > 0
    frame.to_csv(path / "study.csv", index=False)
    return path / "study.csv"


def trained(path: Path, gaps: bool = True, **options: Any):
    usual = {"group": "sample", "group_pattern": "[^_]+", "label": "high", "training": QUICK, "widths": (8,)}
    return table(path / "run", study(path, gaps), "arm", **{**usual, **options})


@pytest.mark.parametrize("model", ["cpvae", "vae"])
def test_a_table_with_gaps_is_trained_and_judged_by_what_was_observed(tmp_path: Path, model: Any):
    run = evaluate(trained(tmp_path, model=model).path)
    evaluation = run.evaluation()
    assert evaluation is not None
    assert json.loads((run.path / "run.json").read_text())["test"] == evaluation["judged_on"]["data"]
    results = {(one["subject"], one["metric"]): one for one in evaluation["results"]}
    error = results["reconstruction", "squared_error"]
    assert error["parameters"]["coordinates"] == "observed coordinates only"
    assert 0 < error["value"] < error["chance"]
    likelihood = results["reconstruction", "negative_log_likelihood"]
    assert likelihood["protocol"] == "Gaussian, observed coordinates only"
    assert not [one for one in evaluation["left_out"] if "NaN" in one["reason"]]
    assert isinstance(run.rebuild("model").likelihood, IgnoreMissing)


def test_the_error_is_that_of_the_observed_coordinates(tmp_path: Path):
    run = evaluate(trained(tmp_path).path)
    model, data = run.rebuild("model"), run.rebuild("test")
    model.load_state_dict(run.load_weights())
    shown = model.eval()(data.batch(np.arange(len(data)))).output.detach().numpy()
    evaluation = run.evaluation()
    assert evaluation is not None
    found = next(one for one in evaluation["results"] if one["metric"] == "squared_error")
    assert found["value"] == pytest.approx(np.nansum((data.x - shown) ** 2) / len(data), rel=1e-4)
    chance = np.nansum((data.x - np.nanmean(data.x, 0)) ** 2) / len(data)
    assert found["chance"] == pytest.approx(chance, rel=1e-4)


def test_a_complete_table_needs_no_mask(tmp_path: Path):
    run = trained(tmp_path, gaps=False, objective="elbo", linear=False)
    model = run.rebuild("model")
    assert isinstance(model, CPVAE)
    assert not isinstance(model.trunk, MaskedTrunk)
    assert not model.likelihood.missing


def test_the_run_says_what_must_be_known(tmp_path: Path):
    run = trained(tmp_path)
    assert run.record["arguments"]["file"] == str(tmp_path / "study.csv")
    assert run.record["arguments"]["group_pattern"] == "[^_]+"
    assert "Rows of one sample are in one split" in run.record["notes"][0]
    for part in ("data", "validation", "test"):
        assert isinstance(run.rebuild(part), Table)


@pytest.mark.slow
def test_the_private_factor_of_the_patients_is_found_in_their_private_part(tmp_path: Path):
    training = Training(steps=1500, learning_rate=3e-3, patience=8, validate_every=100)
    run = trained(tmp_path, training=training, shared=2, private=1, widths=(32,))
    model, data = run.rebuild("model"), run.rebuild("test")
    model.load_state_dict(run.load_weights())
    batch = data.batch(np.flatnonzero(data.population == 1))
    parts = {name: part.detach().numpy() for name, part in model.eval().parts(batch).items()}
    x = batch.x.numpy()
    left = {name: np.nanmean((x - part) ** 2, 0) for name, part in parts.items()}
    own, common = data.feature_names.index("x4"), data.feature_names.index("x1")
    assert left["full"][own] < 0.3 < left["shared_only"][own]
    assert left["full"][common] < 0.3
    assert left["shared_only"][common] < left["private_only"][common]
