"""Evidence of real runs, as `evaluate` asks for it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from unbraid.data import Arrays
from unbraid.likelihoods import Bernoulli, Gaussian
from unbraid.metrics import Result, evidence
from unbraid.models import CPVAE, Model, SequentialVAE, log_weights
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives import ELBO
from unbraid.randomness import seeded
from unbraid.recipes.draws import Draws
from unbraid.recipes.judging import Subject
from unbraid.recipes.judging_evidence import Weights, divergence_classification, judge_evidence, observations, passes
from unbraid.settings import Training
from unbraid.training import train

DATA = Arrays(np.random.default_rng(0).random((90, 5)).astype(np.float32), np.tile(["a", "b"], 45))

USUAL = Draws()


def vae(skip: bool) -> Model:
    return SequentialVAE(MLPTrunk(5, (8,)), MLPDecoder(2, 5, (8,)), Bernoulli(), False, skip)


def cpvae() -> Model:
    own = [MLPDecoder(2, 5, (8,)) for _ in range(2)]
    return CPVAE(MLPTrunk(5, (8,)), MLPDecoder(2, 5, (8,)), own, Gaussian(1.0, True), ("a", "b"))


def judged(model: Model, folder: Path, draws: Draws = USUAL, max_codes: int = 50_000) -> Subject:
    run = train(model, ELBO(), DATA, folder, Training(3, batch_size=16, learning_rate=1e-3))
    subject = Subject(run, DATA, max_codes, 0)
    with torch.no_grad():
        judge_evidence(subject, draws)
        subject.measure()
    return subject


def found(subject: Subject) -> dict[str, Result]:
    return {result.metric: result for _, result in subject.results}


def test_a_cpvae_is_judged_by_evidence_classes_and_private_information(tmp_path: Path):
    with seeded(0):
        subject = judged(cpvae(), tmp_path / "run")
    results = found(subject)
    assert set(results) == {
        "evidence",
        "evidence_classification",
        "bound_classification",
        "divergence_classification",
        "private_information",
    }
    assert results["evidence"].protocol == "importance sampling, all pairs"
    assert results["evidence"].parameters == {
        "unit": "nat",
        "shared_samples": 64,
        "private_samples": 64,
        "observations": 90,
        "least_effective": 10.0,
    }
    assert results["evidence_classification"].parameters["populations"] == 2
    with seeded(0):
        again = judged(cpvae(), tmp_path / "again")
    assert found(again) == results


def test_one_private_draw_with_each_shared_one_is_what_it_was_before_there_were_pairs(tmp_path: Path):
    with seeded(0):
        subject = judged(cpvae(), tmp_path / "run", Draws(pairs=False))
    weights = log_weights(subject.model, DATA.batch(np.arange(90)), 64, subject.generator()).numpy()
    population = DATA.population
    assert population is not None
    expected, result = evidence(weights, population), found(subject)["evidence"]
    assert (result.protocol, result.parameters) == ("importance sampling", expected.parameters)
    assert result.value == pytest.approx(expected.value, abs=1e-6)


def test_what_a_value_depends_on_is_told_and_remembered(tmp_path: Path):
    with seeded(0):
        subject = judged(cpvae(), tmp_path / "run", Draws(samples=8, widen=1.5, precision="bfloat16", observations=20))
    result = found(subject)["evidence"]
    told = {"shared_samples": 8, "widen": 1.5, "precision": "bfloat16", "observations": 20}
    assert told.items() <= result.parameters.items()
    with torch.no_grad():
        judge_evidence(subject, Draws(samples=9))
        subject.measure()
    values = {each.value for _, each in subject.results if each.metric == "evidence"}
    assert len(values) == 2  # the first was not taken for the second


def test_refined_proposals_are_told_and_kept_apart_from_others(tmp_path: Path):
    draws = Draws(samples=16, refine=40, observations=30)
    with seeded(0):
        subject = judged(cpvae(), tmp_path / "run", draws)
    results = found(subject)
    assert results["evidence"].protocol == "importance sampling, refined proposals"
    assert {"samples": 16, "refine": 40, "observations": 30}.items() <= results["evidence"].parameters.items()
    assert results["evidence_classification"].protocol == "importance sampling, refined proposals"
    index, population = subject.some(30), DATA.population
    assert population is not None
    with torch.no_grad():
        plain = log_weights(subject.model, DATA.batch(index), 16, subject.generator()).numpy()
    assert results["evidence"].value > evidence(plain, population[index]).value
    with seeded(0):
        assert found(judged(cpvae(), tmp_path / "again", draws)) == results


@pytest.mark.parametrize(
    "draws", [Draws(samples=8), Draws(samples=8, pairs=False), Draws(samples=8, refine=3)], ids=str
)
def test_populations_are_told_by_the_bound_of_the_same_draws(tmp_path: Path, draws: Draws):
    with seeded(0):
        subject = judged(cpvae(), tmp_path / "run", draws)
    population = DATA.population
    assert population is not None
    with torch.no_grad():
        weights = Weights(subject, np.arange(90), draws)
        if not draws.pairs:
            plain = log_weights(subject.model, DATA.batch(np.arange(90)), 8, subject.generator()).numpy()
            np.testing.assert_allclose(weights.bounds, plain.mean(2), rtol=1e-5)
        bounds = weights.bounds
    assert bounds.shape == (90, 2)
    result = found(subject)["bound_classification"]
    assert result.value == (bounds.argmax(1) == population).mean()
    how = ", refined proposals" if draws.refine else ", all pairs" if draws.pairs else ""
    assert result.protocol == f"mean log weight{how}"
    assert result.parameters["shared_samples" if how == ", all pairs" else "samples"] == 8
    assert result.parameters.get("refine", 0) == draws.refine
    assert not {"uncertain", "confidence"} & result.detail.keys()


def test_populations_are_told_by_the_head_that_answers():
    rng, own = np.random.default_rng(0), np.arange(60) % 3
    silent = np.zeros((60, 3, 2))
    means = silent + 3 * np.eye(3)[own][..., None] * rng.choice([-1, 1], (60, 1, 2))
    result = divergence_classification(means, silent, own)
    assert (result.value, result.chance) == (1.0, pytest.approx(1 / 3))
    assert divergence_classification(means, silent, (own + 1) % 3).value == 0
    narrow = np.where(np.eye(3)[own][..., None] > 0, -2.0, silent)  # a narrow posterior answers as well
    assert divergence_classification(silent, narrow, own).value == 1
    assert (
        divergence_classification(rng.normal(size=(3000, 3, 2)), np.zeros((3000, 3, 2)), np.arange(3000) % 3).value
        < 0.4
    )


def test_refining_costs_observations():
    assert passes(Draws(samples=64)) == 64
    assert passes(Draws(samples=64, refine=300)) == 964
    assert observations(cpvae(), passes(Draws(samples=64, refine=300))) == 50


def test_asked_for_observations_are_taken_from_all_of_the_data(tmp_path: Path):
    with seeded(0):
        run = judged(cpvae(), tmp_path / "run", max_codes=10).run
    subject = Subject(run, DATA, 10, 0)
    with torch.no_grad():
        judge_evidence(subject, Draws(samples=2, observations=70))
        subject.measure()
    assert found(subject)["evidence"].parameters["observations"] == 70


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"samples": 1}, "at least 2 samples"),
        ({"widen": 0.0}, "widen above 0"),
        ({"observations": 1}, "at least 2 observations"),
        ({"refine": -1}, "0 or more updates"),
    ],
)
def test_draws_that_cannot_be_are_refused(wrong, words, as_a_user):
    with pytest.raises(ValueError, match=words):
        Draws(**wrong)


def test_the_evidence_is_above_the_bound_it_was_trained_on(tmp_path: Path):
    with seeded(0):
        subject = judged(cpvae(), tmp_path / "run")
        forwards = [subject.model(batch, subject.generator()) for batch in subject.batches(subject.index)]
    bound = np.concatenate(
        [(f.log_likelihood - sum(q.kl().sum(1) for q in f.posteriors.values())).detach().numpy() for f in forwards]
    )
    assert found(subject)["evidence"].value > bound.mean() - 0.3  # of one draw, with its noise


@pytest.mark.parametrize(("skip", "expected"), [(False, {"evidence"}), (True, set())])
def test_only_a_model_with_a_density_has_evidence(tmp_path: Path, skip, expected):
    with seeded(0):
        assert set(found(judged(vae(skip), tmp_path / "run"))) == expected


def test_weights_are_computed_only_when_a_metric_asks(tmp_path: Path):
    with seeded(0):
        run = train(cpvae(), ELBO(), DATA, tmp_path / "run", Training(3, batch_size=16, learning_rate=1e-3))
    subject = Subject(run, DATA, 50_000, 0, lambda name: name == "private_information")
    with torch.no_grad():
        judge_evidence(subject)
        weights = [argument for _, task in subject.tasks for argument in task.args if isinstance(argument, Weights)]
        subject.measure()
    assert len(weights) == 3
    assert all(not {"_of_all", "own"} & vars(each).keys() for each in weights)
    assert set(found(subject)) == {"private_information"}


def test_the_cost_is_bounded_by_passes_through_decoders():
    assert observations(vae(False), 64) == 500
    assert observations(cpvae(), 64) == 208
    assert observations(cpvae(), 640) == 50
