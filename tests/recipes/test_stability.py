"""Seeds of one recipe side by side: what all of them find, and what shuffled populations would."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from unbraid.recipes import evaluate, stability, table
from unbraid.settings import Training

METRICS = "explained_features,variance_explained"


def study(path: Path) -> Path:
    """60 subjects with two samples each; x0 to x3 follow one factor, x4 and x5 are high in patients."""
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(60), 2)
    patient = subject % 2 == 0
    common = rng.normal(size=60)[subject]
    x = np.stack([common, -common, common, common, 3.0 * patient, 2.5 * patient], axis=1)
    frame = pd.DataFrame(x + 0.5 * rng.normal(size=x.shape), columns=[f"x{k}" for k in range(6)])
    frame["who"], frame["arm"] = [f"s{one}" for one in subject], np.where(patient, "patient", "control")
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stability")
    file, found = study(folder / "study.csv"), {}
    for name, shuffled, seed in [("0", False, 0), ("1", False, 1), ("null 0", True, 0), ("null 1", True, 1)]:
        training = Training(steps=250, learning_rate=1e-2, validate_every=50, patience=3, seed=seed)
        options = {"group": "who", "widths": (8,), "shared": 1, "private": 1, "training": training}
        found[name] = table(folder / name, file, "arm", objective="elbo", shuffle_populations=shuffled, **options).path
        evaluate(found[name], METRICS)
    return found


def test_what_differs_between_populations_is_found_under_every_seed(runs, tmp_path):
    found = stability(list(runs.values()), tmp_path / "out", "variance_private_together", top=2)
    assert {row["feature"] for row in found.rows[:2]} == {"x4", "x5"}
    for row in found.rows[:2]:
        assert (row["runs"], row["in_first_2"], row["beyond_null"]) == (2, 2, 2)
        assert row["low"] <= row["mean"] <= row["high"]
        assert row["mean"] > row["null_largest"] >= row["null_mean"]
    results = {(subject, result.metric): result for subject, result in found.results}
    assert results["all populations together", "top_agreement"].value == 1
    assert ("all populations together, shuffled", "rank_agreement") in results
    assert found.picture.read_bytes().startswith(b"\x89PNG")


def test_the_table_holds_means_over_the_runs(runs, tmp_path):
    found = stability([runs["1"], runs["0"]], tmp_path / "out", by="gain_nats", top=3)
    with found.table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["population"] for row in rows} == {"patient", "control"}
    assert len(rows) == 12
    assert "null_mean" not in rows[0]
    each = [pd.read_csv(runs[seed] / "evaluation" / "features.csv") for seed in "01"]
    for row in rows:
        where = [t[(t["population"] == row["population"]) & (t["feature"] == row["feature"])].iloc[0] for t in each]
        for mine, theirs in (("mean", "gain_nats"), ("variance_shared", "variance_shared")):
            assert float(row[mine]) == pytest.approx(np.mean([one[theirs] for one in where]))


def test_shuffled_runs_know_and_their_units_stay_together(runs):
    from unbraid.data import Shuffled
    from unbraid.runs import Run

    run = Run(runs["null 0"])
    data = run.rebuild("data")
    assert isinstance(data, Shuffled)
    assert data.unit is not None
    assert data.population is not None
    for unit in np.unique(data.unit):
        assert len(set(data.population[data.unit == unit].tolist())) == 1
    assert run.record["arguments"]["shuffle_populations"] is True
    results = (run.evaluation() or {})["results"]
    counted = [one["parameters"]["units"] for one in results if one["metric"] == "variance_explained"]
    assert counted == [counted[0]] * 6 + [counted[-1]] * 3  # units of a population, then of all


def test_runs_that_do_not_go_together_are_refused(runs, tmp_path):
    with pytest.raises(ValueError, match="at least two runs that are not shuffled, got 1"):
        stability([runs["0"], runs["null 0"]], tmp_path)
    with pytest.raises(ValueError, match="seed 0 twice"):
        stability([runs["0"], runs["1"], runs["0"]], tmp_path)
    with pytest.raises(ValueError, match=r"expected a column of .*, got 'gain'"):
        stability([runs["0"], runs["1"]], tmp_path, by="gain")
    training = Training(2, batch_size=8, seed=2)
    other = table(tmp_path / "other", study(tmp_path / "study.csv"), "arm", group="who", training=training)
    with pytest.raises(ValueError, match=r"differ in seed and shuffle_populations alone, but '.*other'"):
        stability([runs["0"], runs["1"], other.path], tmp_path)
    again = table(
        tmp_path / "again", study(tmp_path / "study.csv"), "arm", group="who", training=replace(training, seed=3)
    )
    with pytest.raises(ValueError, match=r"features.csv', got none; `unbraid evaluate"):
        stability([other.path, again.path], tmp_path)


def test_names_that_look_like_numbers_are_names(tmp_path: Path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"101": rng.normal(size=60), "nan": rng.normal(size=60), "treated": np.arange(60) % 2})
    frame.to_csv(tmp_path / "genes.csv", index=False)
    runs = []
    for seed in (0, 1):
        training = Training(steps=4, batch_size=8, seed=seed)
        run = table(
            tmp_path / str(seed), tmp_path / "genes.csv", "treated", widths=(4,), shared=1, private=1, training=training
        )
        evaluate(run.path, METRICS)
        runs.append(run.path)
    found = stability(runs, tmp_path / "out", top=1)
    assert {(row["population"], row["feature"]) for row in found.rows} == {(p, f) for p in "01" for f in ("101", "nan")}
    assert all(np.isfinite(float(row["mean"])) for row in found.rows)
