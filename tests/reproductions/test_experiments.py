"""Every experiment is one that can be run, at every scale."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from unbraid.reproductions import EXPERIMENTS, Experiment
from unbraid.reproductions.experiment import slug
from unbraid.reproductions.jobs import chains_of, goes_on_with, jobs_of, stages_of, steps_of, tasks_of
from unbraid.sweeps.job import Job, trains, typed

SCALES = ("smoke", "laptop", "paper")


@pytest.fixture(params=EXPERIMENTS, ids=lambda experiment: experiment.name)
def experiment(request) -> Experiment:
    return request.param


def test_names_are_unique_and_those_of_the_paper_are_there():
    names = [experiment.name for experiment in EXPERIMENTS]
    assert len(set(names)) == len(names)
    figures = {"fig2ab", "fig2cde", "fig2fg", "fig2hi", "fig2jk", "fig3", "fig4", "fig5", "fig6"}
    assert {f"srvae.{figure}" for figure in {*figures, "celeba_reconstruction"}} <= set(names)
    figures = {"fig2", "fig3", "fig4", "fig5", "fig6", "table1", "table2"}
    assert {f"cpvae.{figure}" for figure in figures} <= set(names)


@pytest.mark.parametrize("scale", SCALES)
def test_recipes_take_the_arguments(experiment: Experiment, scale):
    for job in jobs_of(experiment, scale, Path("out")):
        typed(trains(job.recipe), job.arguments)
        assert Job.from_plain(job.to_plain()) == job


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_says_how_it_differs(experiment: Experiment, scale):
    if scale != "paper":  # where data that are not published may differ
        assert all(task.sizes[scale].differs for task in tasks_of(experiment))


def test_claims_speak_of_methods_that_are_trained(experiment: Experiment):
    methods = {method.name for method in experiment.methods}
    for claim in experiment.claims:
        assert {claim.better, claim.worse} <= methods, claim.says
    assert experiment.measures


def test_what_is_followed_is_kept_and_measured(experiment: Experiment):
    for size in experiment.task.sizes.values():
        followed = size.judging.followed.split(",")
        for measure in experiment.curves:
            assert measure.metric in followed
            assert size.training["snapshots"]


def test_followed_weights_are_kept_ones_and_the_last(experiment: Experiment):
    for scale in SCALES:
        for job in jobs_of(experiment, scale, Path("out"), seeds=(0,)):
            if job.judging is None or not job.judging.followed:
                continue
            training = job.arguments["training"]
            assert isinstance(training, dict)
            kept = {*range(training["snapshots"], job.steps, training["snapshots"]), job.steps}
            assert set(job.judging.steps) <= kept
            assert not job.judging.steps or job.judging.steps[-1] == job.steps
            assert len(job.judging.steps) <= experiment.task.sizes[scale].points + 1


def test_experiments_share_the_runs_of_a_method():
    """Two jobs in one folder are one run, so they must be equal."""
    for scale in SCALES:
        found: dict[Path, Job] = {}
        for experiment in EXPERIMENTS:
            for job in jobs_of(experiment, scale, Path("out")):
                assert found.setdefault(job.path, job) == job


def test_the_first_seed_of_every_method_comes_first(experiment: Experiment):
    for stage, jobs in enumerate(stages_of(experiment, "paper", Path("out"), seeds=(3, 4))):
        count = sum(not method.first for method in experiment.methods) if stage == 0 else len(experiment.methods)
        assert [job.seed for job in jobs] == [3] * count + [4] * count


def test_later_stages_go_on_with_runs_of_the_stage_before():
    five = next(experiment for experiment in EXPERIMENTS if experiment.name == "cpvae.fig5")
    stages = stages_of(five, "paper", Path("out"), seeds=(0, 1))
    assert len(stages) == 1 + len(five.task.arriving)
    for before, after in pairwise(stages):
        assert {goes_on_with(job) for job in after} == {job.path for job in before}
    firsts = {method.name: method.first or method.name for method in five.methods}
    assert [job.method for job in stages[0]] == [f"{name}, first" for name in dict.fromkeys(firsts.values())] * 2
    for job in stages[1]:
        before = goes_on_with(job)
        assert before is not None
        assert before.parent.name == slug(firsts[job.method.removesuffix(", then iris")])
    names = {method.name for method in five.methods}
    assert {job.method for job in stages[-1]} == names  # the last is what the numbers are of
    assert not names & {job.method for stage in stages[:-1] for job in stage}
    chains = chains_of([job for stage in stages for job in stage])
    assert sorted(map(str, (chain[-1].path for chain in chains))) == sorted(str(job.path) for job in stages[-1])
    assert {len(chain) for chain in chains} == {len(stages)}
    assert chains_of(jobs_of(EXPERIMENTS[0], "paper", Path("out"))) == []


def test_methods_that_go_on_with_others_are_what_they_say():
    five = next(experiment for experiment in EXPERIMENTS if experiment.name == "cpvae.fig5")
    own = replace(five.methods[0], name="own", options={"rate": 2.0})
    other = replace(own, name="other", options={"rate": 9.0}, first="own")  # only what comes later is its own
    stages = stages_of(replace(five, methods=(own, other)), "paper", Path("out"), seeds=(0,))
    assert [job.arguments["rate"] for job in stages[0]] == [2.0]
    for first in ("nobody", "other"):
        wrong = replace(five, methods=(own, other, replace(own, name="third", first=first)))
        with pytest.raises(ValueError, match=r"out of \['own'\], got"):
            stages_of(wrong, "paper", Path("out"), seeds=(0,))
    clash = replace(own, name="Own", options={"rate": 3.0})  # other runs in the same folder are not hidden
    assert len(stages_of(replace(five, methods=(own, clash)), "paper", Path("out"), seeds=(0,))[0]) == 2


def test_the_paper_is_the_paper():
    """Source: sequential residual VAE, tables 1 and 2; 30 seeds, section 5."""
    two = next(experiment for experiment in EXPERIMENTS if experiment.name == "srvae.fig2ab")
    jobs = jobs_of(two, "paper", Path("out"))
    assert len(jobs) == 90
    assert {job.steps for job in jobs} == {300_000}
    options = typed(trains("sprites"), {name: value for name, value in jobs[0].arguments.items() if name != "training"})
    assert options == {"model": "sr-vae"}  # all else as the recipe has it, which is the paper's
    assert steps_of(two, two.methods[0], "paper") == 300_000
