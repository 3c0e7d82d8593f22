"""Quality over training: the weights that were kept, judged as an evaluation judges, and never twice."""

import json
from pathlib import Path

import numpy as np
import pytest

from unbraid.data import Arrays
from unbraid.likelihoods import Bernoulli
from unbraid.models import SequentialVAE
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives import ELBO
from unbraid.randomness import seeded
from unbraid.recipes import evaluate, follow, sprites, vectors
from unbraid.runs import Run
from unbraid.settings import Training
from unbraid.training import train

QUICK = Training(5, batch_size=8, learning_rate=1e-3, validate_every=5, log_every=2, snapshots=2, device="cpu")
TINY = {"latents": 2, "size": 16, "widths": (4, 4), "features": 8, "training": QUICK}
IMAGES = Arrays(np.random.default_rng(0).random((90, 6)).astype(np.float32))


def points(run: Run) -> dict[int, dict]:
    found = run.over_training()
    assert found is not None
    return {point["step"]: point for point in found["points"]}


def names(point: dict) -> set[tuple[str, str]]:
    return {(each["subject"], each["metric"]) for each in point["results"]}


def measurements(run: Run) -> list[str]:
    return (run.path / "evaluation" / "measured.jsonl").read_text().splitlines()


def trained(path: Path) -> Run:
    with seeded(0):
        model = SequentialVAE(MLPTrunk(6, (8,)), MLPDecoder(3, 6, (8,)), Bernoulli())
    return train(model, ELBO(), IMAGES, path, QUICK)


def test_every_snapshot_is_a_point_with_its_step_and_seconds(tmp_path: Path):
    run = trained(tmp_path / "run")
    assert run.over_training() is None
    assert follow(run.path, "squared_error", data=IMAGES).path == run.path
    found = run.over_training()
    assert found is not None
    assert (found["max_codes"], found["seed"]) == (5000, 0)
    assert [point["step"] for point in found["points"]] == [2, 4, 5] == list(run.snapshots())
    seconds = [point["seconds"] for point in found["points"]]
    logged = {line["step"]: line["seconds"] for line in run.metrics()}
    assert seconds[:2] == [logged[2], logged[4]]
    assert seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(run.status["seconds"], abs=0.01)
    wanted = {("output with the skip", "squared_error"), ("decoder alone, without the skip", "squared_error")}
    assert all(names(point) == wanted for point in found["points"])


def test_seconds_lie_between_those_of_the_lines_around_a_step(tmp_path: Path):
    run = trained(tmp_path / "run")
    lines = [
        {"split": "train", "step": step, "seconds": seconds} for step, seconds in ((1, 10.0), (3, 20.0), (6, 50.0))
    ]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    run.set_status("finished", 6, 50.0)
    follow(run.path, "active_units", data=IMAGES)
    assert [point["seconds"] for point in points(run).values()] == [15.0, 30.0, 40.0]


def test_the_last_weights_get_what_an_evaluation_gives_them(tmp_path: Path):
    """Fewer held-out observations than either would take are here: both see all of them."""
    path = trained(tmp_path / "run").path
    metrics = "squared_error,negative_log_likelihood,active_units,kl_per_latent"
    evaluation, followed = evaluate(path, metrics, data=IMAGES).evaluation(), points(follow(path, metrics, data=IMAGES))
    assert evaluation is not None
    assert sorted(followed[5]["results"], key=str) == sorted(evaluation["results"], key=str)
    assert followed[2]["results"] != followed[5]["results"]


def test_nothing_is_measured_twice_and_metrics_are_added(tmp_path: Path):
    path = trained(tmp_path / "run").path
    run = follow(path, "squared_error", data=IMAGES)
    before = measurements(run)
    follow(path, "squared-error", data=IMAGES)
    assert measurements(run) == before
    both = {"squared_error", "kl"}
    follow(path, "kl_per_latent", (4,), data=IMAGES)
    assert {metric for _, metric in names(points(run)[4])} == both
    assert len(points(run)[4]["results"]) == 3  # each once
    assert {metric for _, metric in names(points(run)[2])} == {"squared_error"}  # still there, as it was
    after = measurements(run)
    assert len(after) > len(before)
    follow(path, "kl_per_latent,squared_error", (4,), data=IMAGES)
    assert measurements(run) == after
    follow(path, "squared_error", (4,), seed=1, data=IMAGES)  # other observations
    assert list(points(run)) == [4]


def test_points_of_other_weights_are_measured_anew_or_dropped(tmp_path: Path):
    path = trained(tmp_path / "run").path
    run = follow(path, "squared_error", data=IMAGES)
    before = points(run)
    for step in (2, 4):
        run.save_snapshot(step, {name: value * 2 for name, value in run.load_weights(run.snapshots()[step]).items()})
    follow(path, "squared_error", (2,), data=IMAGES)
    after = points(run)
    assert list(after) == [2, 5]
    assert after[5] == before[5]
    assert after[2]["results"] != before[2]["results"]


@pytest.mark.slow
def test_metrics_of_factors_on_a_thinned_grid(tmp_path: Path):
    run = sprites(tmp_path / "run", **TINY)
    follow(run.path, "factor_vae,mig,gaussian_total_correlation", (5,), max_codes=600)
    point = points(run)[5]
    protocols = [(each["metric"], each["protocol"]) for each in point["results"]]
    assert {("factor_vae", "dlib"), ("factor_vae", "infogan-cr"), ("mig", "dlib")} <= set(protocols)
    assert len(protocols) == len(set(protocols))
    codes = (run.path / "evaluation" / "codes-step-0000005.npz").stat()
    follow(run.path, "modularity", (5,), max_codes=600)  # from the same codes
    assert (run.path / "evaluation" / "codes-step-0000005.npz").stat().st_mtime_ns == codes.st_mtime_ns
    assert not (run.path / "evaluation" / "codes.npz").exists()  # those are an evaluation's


def test_a_model_with_populations_is_followed_too(tmp_path: Path):
    run = vectors(tmp_path / "run", count=60, widths=(8,), training=QUICK)
    follow(run.path, "canonical_correlation,negative_elbo", (4,))
    assert {("model", "negative_elbo"), ("shared code, true shared factors", "canonical_correlation")} <= names(
        points(run)[4]
    )


def test_an_unfinished_run_is_followed_as_far_as_it_came(tmp_path: Path):
    run = trained(tmp_path / "run")
    (run.path / "weights.safetensors").unlink()
    run.set_status("interrupted", 5, 1.0)
    follow(run.path, "active_units", data=IMAGES)
    assert list(points(run)) == [2, 4, 5]


def test_what_cannot_be_followed_is_refused(tmp_path: Path):
    run = trained(tmp_path / "run")
    with pytest.raises(ValueError, match=r"expected steps whose weights are kept in .* \(2, 4, 5\), got \[3\]"):
        follow(run.path, steps=(2, 3), data=IMAGES)
    with pytest.raises(ValueError, match="got 'factor_vea'; did you mean factor_vae"):
        follow(run.path, "factor_vea")
    for file in run.snapshots().values():
        (run.path / file).unlink()
    with pytest.raises(ValueError, match=r"expected weights kept during training .* training.snapshots"):
        follow(run.path)
    assert run.over_training() is None
