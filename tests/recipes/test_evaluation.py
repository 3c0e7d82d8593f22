"""Evaluation of real runs: every judgement that model and data allow, and the arrays that the report draws."""

from pathlib import Path

import numpy as np
import pytest

from unbraid.data import Arrays
from unbraid.likelihoods import Bernoulli, Gaussian
from unbraid.models import CPVAE, SequentialVAE
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives import ELBO, CrossPopulation
from unbraid.randomness import seeded
from unbraid.recipes import evaluate, grassy, sprites, vectors
from unbraid.recipes.judging_factors import thinned
from unbraid.runs import Run
from unbraid.settings import Training
from unbraid.training import train

QUICK = Training(3, batch_size=16, learning_rate=1e-3, validate_every=2, log_every=2)


def measured(run: Run) -> list[dict]:
    evaluation = run.evaluation()
    assert evaluation is not None
    return evaluation["results"]


def found(run: Run) -> set[tuple[str, str]]:
    return {(each["subject"], each["metric"]) for each in measured(run)}


def kind(run: Run) -> str:
    evaluation = run.evaluation()
    assert evaluation is not None
    return evaluation["kind"]


def arrays(run: Run) -> dict[str, np.ndarray]:
    with np.load(run.path / "evaluation" / "arrays.npz", allow_pickle=False) as file:
        return dict(file)


def every_result_is_complete(run: Run) -> None:
    for each in measured(run):
        assert each["protocol"]
        assert np.isfinite(each["value"])


@pytest.mark.slow
def test_sr_vae_on_sprites(tmp_path: Path):
    run = evaluate(
        sprites(tmp_path / "run", latents=3, size=16, widths=(4, 4), features=8, training=QUICK).path, max_codes=600
    )
    every_result_is_complete(run)
    assert kind(run) == "sequential"
    evaluation = run.evaluation()
    assert evaluation is not None
    assert evaluation["judged_on"]["part"] == "data"  # validation images of sprites are training images
    names = found(run)
    assert ("z block", "factor_vae") in names
    assert ("decoder alone, without the skip", "squared_error") in names
    stored = arrays(run)
    assert stored["traversal"].shape == (3, 9, 1, 16, 16)
    assert stored["step_outputs"].shape == stored["step_residuals"].shape == (3, 3, 1, 16, 16)
    assert len(stored["codes"]) == len(stored["factors"]) <= 600


@pytest.mark.slow
@pytest.mark.parametrize("model", ["cpvae", "vae"])
def test_grassy_digits(tmp_path: Path, model):
    small = {"shared": 3, "private": 2, "count": 200, "trunk_widths": (4, 4), "decoder_widths": (4, 4)}
    run = evaluate(grassy(tmp_path / "run", model, training=QUICK, **small).path)
    every_result_is_complete(run)
    names, stored = found(run), arrays(run)
    assert kind(run) == "population"
    if model == "vae":
        assert ("z code, digits 0-4", "clustering_ari") in names
        return
    for space in ("shared", "private"):
        assert (f"{space} code, digits 5-9", "clustering_ari") in names
    assert ("private only against clean", "ssim") in names
    assert ("shared only against background", "psnr") in names
    assert stored["transfer"].shape[1] == 2
    assert stored["codes_private"].shape[1:] == (2, 2)
    np.testing.assert_allclose(stored["full"], stored["private_only"] + stored["shared_only"], atol=1e-5)
    assert stored["samples_prior"].shape == stored["samples_aggregate"].shape == (2, 8, 1, 28, 28)


def test_vectors_are_judged_against_their_true_factors(tmp_path: Path):
    run = evaluate(vectors(tmp_path / "run", count=100, widths=(8,), training=QUICK).path)
    every_result_is_complete(run)
    assert ("shared code, true shared factors", "canonical_correlation") in found(run)
    assert "tsne_private" not in arrays(run)


def test_a_run_on_data_in_memory_is_judged_on_data_that_are_passed(tmp_path: Path):
    rng = np.random.default_rng(0)
    data = Arrays(rng.standard_normal((60, 5)).astype(np.float32), np.repeat(["a", "b"], 30))
    with seeded(0):
        own = [MLPDecoder(2, 5, (8,)) for _ in range(2)]
        model = CPVAE(MLPTrunk(5, (8,)), MLPDecoder(2, 5, (8,)), own, Gaussian(1.0, True), data.populations)
    path = train(model, CrossPopulation(), data, tmp_path / "run", QUICK).path
    with pytest.raises(ValueError, match="pass the same data"):
        evaluate(path)
    assert ("shared code", "population_leakage_accuracy") in found(evaluate(path, data=data))
    with pytest.raises(ValueError, match="expected data of shape"):
        evaluate(path, data=Arrays(np.ones((4, 6))))
    with pytest.raises(ValueError, match="expected the run's populations"):
        evaluate(path, data=Arrays(data.x, np.repeat(["b", "c"], 30)))


def test_what_a_metric_refuses_is_left_out_with_its_reason(tmp_path: Path):
    rng = np.random.default_rng(0)
    names, labels = np.repeat(["a", "b"], (57, 3)), np.zeros(60, dtype=np.int64)
    data = Arrays(rng.standard_normal((60, 5)).astype(np.float32), names, labels=labels)
    with seeded(0):
        own = [MLPDecoder(2, 5, (8,)) for _ in range(2)]
        model = CPVAE(MLPTrunk(5, (8,)), MLPDecoder(2, 5, (8,)), own, Gaussian(1.0, True), data.populations)
    run = evaluate(train(model, CrossPopulation(), data, tmp_path / "run", QUICK).path, data=data)
    evaluation = run.evaluation()
    assert evaluation is not None
    assert {each["subject"] for each in evaluation["left_out"]} >= {"shared code", "shared code, a"}
    assert evaluation["judged_on"]["part"] == "passed"
    assert ("model", "negative_elbo") in found(run)


def test_active_units_do_not_count_the_noise_of_a_sequential_pass(tmp_path: Path):
    """Of copies of one observation no code dimension varies, however much its posterior is sampled on the way."""
    data = Arrays(np.full((50, 6), 0.3, dtype=np.float32))
    with seeded(0):
        model = SequentialVAE(MLPTrunk(6, (8,)), MLPDecoder(4, 6, (8,)), Bernoulli())
    run = evaluate(train(model, ELBO(), data, tmp_path / "run", QUICK).path, data=data)
    assert next(each["value"] for each in measured(run) if each["metric"] == "active_units") == 0


def test_the_same_evaluation_twice_gives_the_same_numbers(tmp_path: Path):
    path = vectors(tmp_path / "run", count=100, widths=(8,), training=QUICK).path
    one, two = (measured(evaluate(path)) for _ in range(2))
    assert one == two


def test_a_model_without_a_density_is_not_credited_with_one(tmp_path: Path):
    """With the skip, the log-likelihood is that of the output given x; the result says so."""
    data = Arrays(np.random.default_rng(0).random((40, 6)).astype(np.float32))
    with seeded(0):
        model = SequentialVAE(MLPTrunk(6, (8,)), MLPDecoder(2, 6, (8,)), Bernoulli())
    run = train(model, ELBO(), data, tmp_path / "run", QUICK, validation=data)
    assert not any("elbo" in name for line in run.metrics() for name in line)
    assert ("output with the skip", "negative_log_likelihood") in found(evaluate(run.path, data=data))


@pytest.mark.parametrize("limit", [1, 4, 100, 50_000, 10**6])
def test_a_thinned_grid_keeps_within_its_limit_and_spreads_evenly(limit):
    sizes = (3, 6, 40, 32, 32)
    values = thinned(sizes, limit)
    counts = [len(value) for value in values]
    assert np.prod(counts) <= max(limit, 2 ** len(sizes))
    for value, size in zip(values, sizes, strict=True):
        assert value[0] == 0
        assert value[-1] < size
        assert len(set(np.diff(value))) == 1
    if limit >= np.prod(sizes):
        assert tuple(counts) == sizes
