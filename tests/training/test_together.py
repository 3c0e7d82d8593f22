"""Several runs trained at once are the runs that each would be alone, but for rounding."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unbraid.data import Arrays, Translate
from unbraid.likelihoods import Gaussian, NegativeBinomial
from unbraid.models import CPVAE, ContrastiveVAE, SequentialVAE
from unbraid.nets import ConvDecoder, ConvTrunk, CountTrunk, MLPDecoder, MLPTrunk, NormTrunk, SkipDecoder
from unbraid.objectives import (
    DIP1,
    ELBO,
    BetaELBO,
    BetaTC,
    Capacity,
    ContrastiveMMD,
    ImportanceWeighted,
    InfoVAE,
    Linear,
    Objective,
)
from unbraid.randomness import seeded
from unbraid.runs import Run
from unbraid.settings import Training
from unbraid.training import DivergedError, Plan, resume, resume_together, train_plan, train_together
from unbraid.training.ensemble import Ensemble
from unbraid.training.start import begin, planned_loop
from unbraid.training.together import Together
from unbraid.types import Batch

SEEDS = (3, 0, 8)
SHORT = Training(
    steps=12,
    batch_size=8,
    learning_rate=1e-3,
    log_every=4,
    validate_every=6,
    snapshots=5,
    device="cpu",
    kernels="plain",
)
FIRST, LATER, WEIGHTS = 1e-6, 1e-4, 1e-4  # relative: the first loss, later terms, the norm of 50 updates' difference


def planned(make: Callable, out: Path, seed: int, objective: Objective | None = None, **changes: Any) -> Plan:
    """A task with weights, order and noise of a seed."""
    with seeded(seed):
        task = make()
    training = replace(SHORT, seed=seed, **changes)
    return Plan(task.model, objective or task.objective, task.data, out, training, task.validation)


def distance(one: Run, two: Run) -> float:
    """Largest relative distance of a weight tensor."""
    pairs = [(value.double(), two.load_weights()[name].double()) for name, value in one.load_weights().items()]
    return max(float((a - b).norm() / a.norm().clamp(min=1e-6)) for a, b in pairs)


def assert_alike(one: Run, two: Run, weights: float = WEIGHTS, later: float = LATER) -> None:
    """The same lines, but for rounding and times, and the same files."""
    assert one.status == {**two.status, "seconds": one.status["seconds"]}
    assert sorted(file.name for file in one.path.iterdir()) == sorted(file.name for file in two.path.iterdir())
    assert list(one.snapshots()) == list(two.snapshots())
    if one.snapshots() and not one.status["message"]:  # else the weights are the best ones
        last = one.load_weights(list(one.snapshots().values())[-1])
        assert all(torch.equal(value, last[name]) for name, value in one.load_weights().items())
    for line, other in zip(one.metrics(), two.metrics(), strict=True):
        assert list(line) == list(other)
        for name in line.keys() - {"seconds"}:
            expected = other[name] if isinstance(other[name], str) else pytest.approx(other[name], rel=later, abs=1e-4)
            assert line[name] == expected, name
    assert distance(one, two) < weights


def compare(plans: Callable[[Path], list[Plan]], out: Path, **tolerance: float) -> list[Run]:
    """Train at once and one by one; the runs that were trained at once."""
    together = train_together(plans(out / "together"))
    for run, plan in zip(together, plans(out / "alone"), strict=True):
        assert_alike(run, train_plan(plan), **tolerance)
    return together


def many(make: Callable, **changes: Any) -> Callable[[Path], list[Plan]]:
    return lambda out: [planned(make, out / f"seed-{seed}", seed, **changes) for seed in SEEDS]


# equal to its own single run


def test_each_member_is_its_own_run(task: Callable, tmp_path: Path):
    runs = compare(many(task, steps=50), tmp_path)
    assert [run.record["seed"] for run in runs] == list(SEEDS)
    assert distance(runs[0], runs[1]) > 0.01


def test_the_first_loss_is_that_of_the_run_alone(task: Callable, tmp_path: Path):
    """One that batch norm, noise, order and weights decide."""
    for run, plan in zip(
        train_together(many(task, log_every=1, steps=1)(tmp_path / "together")),
        many(task, log_every=1, steps=1)(tmp_path / "alone"),
        strict=True,
    ):
        one, two = run.metrics()[0], train_plan(plan).metrics()[0]
        assert one["loss"] == pytest.approx(two["loss"], rel=FIRST)


def test_one_member_is_its_own_run(vae: Callable, tmp_path: Path):
    compare(lambda out: many(vae)(out)[:1], tmp_path)


def test_members_may_have_data_of_their_own(cpvae: Callable, tmp_path: Path):
    def plans(out: Path) -> list[Plan]:
        sizes = dict(zip(SEEDS, (30, 30, 36), strict=True))  # so that epochs differ, and schedules with them
        made = many(cpvae)(out)
        sets = {
            seed: Arrays(np.random.default_rng(seed).normal(size=(size, 4)), ["a", "b", "b"] * (size // 3))
            for seed, size in sizes.items()
        }
        return [replace(plan, data=sets[plan.training.seed]) for plan in made]

    runs = compare(plans, tmp_path)
    assert len({json.dumps(run.record["data"]) for run in runs}) == 3


@pytest.mark.parametrize("name", ["SR-VAE", "FactorVAE"])
def test_augmentation_is_each_members_own(tasks: Any, tmp_path: Path, name: str):
    make, moved = tasks.TASKS[name], Translate(0.25)
    compare(lambda out: [replace(plan, augmentation=moved) for plan in many(make)(out)], tmp_path)


OBJECTIVES: dict[str, Sequence[Objective]] = {
    "strengths": (BetaELBO(1.0), BetaELBO(4.0), BetaELBO(1.0)),
    "classes": (ELBO(), BetaTC(41), DIP1()),
    "schedules": (Capacity(Linear(0.0, 2.0, 30), 10.0),) * 3,
    "kernels": (InfoVAE(), InfoVAE(), ELBO()),
    "copies": (ImportanceWeighted(3),) * 3,
}


@pytest.mark.parametrize("objectives", OBJECTIVES.values(), ids=OBJECTIVES)
def test_objectives_may_differ(vae: Callable, tmp_path: Path, objectives: Sequence[Objective]):
    def plans(out: Path) -> list[Plan]:
        pairs = zip(SEEDS, objectives, strict=True)
        return [planned(vae, out / f"seed-{seed}", seed, objective) for seed, objective in pairs]

    for run, objective in zip(compare(plans, tmp_path), objectives, strict=True):
        assert repr(run.rebuild("objective")) == repr(objective)


def test_one_adversarial_objective_for_all_is_copied(factor_vae: Callable, tmp_path: Path):
    objective = factor_vae().objective
    runs = train_together(many(factor_vae, objective=objective)(tmp_path / "together"))
    assert objective._network is None
    for run, plan in zip(runs, many(factor_vae)(tmp_path / "alone"), strict=True):
        assert_alike(run, train_plan(plan))


@pytest.mark.parametrize("objective", [ELBO(), ContrastiveMMD(0)], ids=["ELBO", "MMD"])
def test_a_contrastive_model(tasks: Any, tmp_path: Path, objective: Objective):
    def make() -> Any:
        networks = NormTrunk(tasks.IMAGE, (4, 4)), SkipDecoder(5, tasks.IMAGE, (4, 4)), Gaussian(0.1, learned=True)
        model = ContrastiveVAE(*networks, ("left", "right"), "left", 3, 2)
        return tasks.Task(model, objective, tasks.images(41, 0, True), tasks.images(20, 1, True))

    compare(many(make), tmp_path, weights=1e-3)  # batch norm after convolutions without bias: small gradients


@pytest.mark.parametrize("changes", [{"precision": "bfloat16"}, {"kernels": "reformulated"}])
def test_other_ways_to_compute(tasks: Any, tmp_path: Path, changes: dict[str, Any]):
    coarse = "precision" in changes
    runs = compare(
        many(tasks.sequential_task, **changes), tmp_path, **({"weights": 0.05, "later": 0.02} if coarse else {})
    )
    wanted = {"kernels": "plain", "precision": "float32", "recompute": False, **changes}
    assert runs[0].record["computation"] == wanted


def test_the_best_way_that_takes_several_is_chosen(tasks: Any, tmp_path: Path):
    for name, expected in (("SR-VAE", "reformulated"), ("VAE of vectors", "plain")):
        runs = train_together(many(tasks.TASKS[name], steps=2, kernels="auto")(tmp_path / name))
        assert [run.record["computation"]["kernels"] for run in runs] == [expected] * 3


def test_objectives_are_computed_for_all_at_once(tasks: Any, tmp_path: Path):
    """All that say nothing of one member alone; an adversary is one member's."""
    for name, make in tasks.TASKS.items():
        ensemble = Ensemble([planned_loop(plan) for plan in many(make)(tmp_path)])
        assert [group.vectorised for group in ensemble.groups] == [name != "FactorVAE"]
    loops = [planned_loop(planned(tasks.vector_task, tmp_path, 0, each)) for each in (BetaTC(41), DIP1(), InfoVAE())]
    assert all(group.vectorised for group in Ensemble(loops).groups)


def test_trying_out_changes_nothing(task: Callable, tmp_path: Path):
    loops = [planned_loop(plan) for plan in many(task)(tmp_path)]
    before = [{name: value.clone() for name, value in loop.model.state_dict().items()} for loop in loops]
    Together(loops)
    for loop, state in zip(loops, before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in loop.model.state_dict().items())


# the run folder


def test_every_run_is_an_ordinary_one(vae: Callable, tmp_path: Path):
    plans = many(vae)(tmp_path / "together")
    runs = train_together(replace(plan, record={"recipe": "mine"}) for plan in plans)
    alone = train_plan(replace(many(vae)(tmp_path / "alone")[0], record={"recipe": "mine"}))
    assert runs[0].record.keys() == {*alone.record, "together"}
    assert runs[0].record["together"] == [f"seed-{seed}" for seed in SEEDS]
    same = alone.record.keys() - {"created", "name"}
    assert {name: runs[0].record[name] for name in same} == {name: alone.record[name] for name in same}
    for run, plan in zip(runs, plans, strict=True):
        model = run.rebuild("model").eval()
        model.load_state_dict(run.load_weights())
        batch = plan.data.batch(np.arange(5))
        assert torch.equal(model(batch).output, plan.model(batch).output)  # the one passed in is trained
        assert not any(parameter.untyped_storage().nbytes() > parameter.nbytes for parameter in plan.model.parameters())


def test_equal_data_are_kept_once(vae: Callable, tmp_path: Path):
    plans = many(vae, steps=2)(tmp_path)
    assert len({id(plan.data) for plan in plans}) == 3
    seen = []

    class Counting(Arrays):
        def batch(self, index) -> Batch:
            seen.append(len(index))
            return super().batch(index)

    data = Counting(plans[0].data.x)  # type: ignore[attr-defined]
    train_together([replace(plans[0], data=data), *plans[1:]])
    assert seen.count(8 * len(SEEDS)) >= 2


# stopping, and going on


class Interrupting(Arrays):
    """The same data, but whoever asks for the n-th batch of a step presses Ctrl-C."""

    left = 10**9

    def batch(self, index) -> Batch:
        self.left -= len(index) >= 8
        if self.left < 0:
            raise KeyboardInterrupt
        return super().batch(index)


def cut_off(make: Callable, out: Path, after: int, **changes: Any) -> list[Run]:
    """Runs that Ctrl-C ended after so many updates together."""
    plans = many(make, checkpoint_seconds=0.0, **changes)(out)
    arrays: Any = plans[0].data
    names = None if arrays.population is None else np.array(arrays.populations)[arrays.population]
    data = Interrupting(arrays.x, names)
    together = Together([planned_loop(replace(plan, data=data)) for plan in plans])
    for plan, loop in zip(plans, together.members, strict=True):
        begin(plan, loop, {"together": [Path(each.out).name for each in plans]})
    reads = 1 + len(plans) * (together.members[0].adversary is not None)
    data.left = after * reads
    with pytest.raises(KeyboardInterrupt):
        together()
    return [Run(plan.out) for plan in plans]


def sets(make: Callable) -> list[Arrays]:
    return [make().data, make().validation]


def assert_goes_on_exactly(make: Callable, out: Path, after: int) -> None:
    cut = cut_off(make, out / "cut", after)
    assert [run.status["step"] for run in cut] == [after] * 3
    assert {run.status["status"] for run in cut} == {"interrupted"}
    done = resume_together(out / "cut", sets(make))
    whole = train_together(many(make, checkpoint_seconds=0.0)(out / "whole"))
    for one, two in zip(done, whole, strict=True):
        assert one.path.name == two.path.name
        assert (one.path / "weights.safetensors").read_bytes() == (two.path / "weights.safetensors").read_bytes()
        assert_alike(one, two, weights=1e-12)


def test_interrupted_runs_go_on_together(task: Callable, tmp_path: Path):
    assert_goes_on_exactly(task, tmp_path, 7)


def test_runs_interrupted_at_once_go_on_together(cpvae: Callable, tmp_path: Path):
    assert_goes_on_exactly(cpvae, tmp_path, 0)


def test_one_of_them_goes_on_alone(task: Callable, tmp_path: Path):
    cut = cut_off(task, tmp_path / "cut", 7)
    sizes = [(run.path / "checkpoint.pt").stat().st_size for run in cut]
    alone = planned(task, tmp_path / "alone", SEEDS[1], checkpoint_seconds=0.0, steps=1)
    done = resume(cut[1].path, *sets(task))
    assert_alike(done, train_plan(replace(alone, training=replace(alone.training, steps=12))))
    assert max(sizes) < 1.2 * min(sizes)
    assert {run.status["status"] for run in (cut[0], cut[2])} == {"interrupted"}
    resume_together(tmp_path / "cut", sets(task))
    assert [run.status["status"] for run in cut] == ["finished"] * 3


def test_checkpoints_are_a_members_own_size(vae: Callable, tmp_path: Path):
    cut = cut_off(vae, tmp_path / "cut", 5)
    run = planned(vae, tmp_path / "alone", SEEDS[0])
    loop = planned_loop(run)
    loop.run = Run(train_plan(planned(vae, tmp_path / "other", SEEDS[0], steps=1)).path)
    loop.save()
    alone = loop.run.load_checkpoint()
    together = cut[0].load_checkpoint()
    assert alone is not None
    assert together is not None
    assert together.keys() == alone.keys()
    assert together["optimizer"]["param_groups"] == alone["optimizer"]["param_groups"]
    for state in (together["model"], *together["optimizer"]["state"].values()):
        assert all(value.untyped_storage().nbytes() == value.nbytes for value in state.values())


def test_checkpoints_of_different_steps_go_back_to_a_common_one(vae: Callable, tmp_path: Path):
    """Killed between two members' checkpoints: the last of one, the one before of the others."""
    cut = cut_off(vae, tmp_path / "cut", 7)
    last = cut[2]
    (last.path / "checkpoint.previous.pt").replace(last.path / "checkpoint.pt")
    done = resume_together([run.path for run in cut], sets(vae))
    whole = train_together(many(vae, checkpoint_seconds=0.0)(tmp_path / "whole"))
    for one, two in zip(done, whole, strict=True):
        assert_alike(one, two, weights=1e-12)


def test_one_that_was_taken_further_alone_is_continued_after_the_others(vae: Callable, tmp_path: Path):
    cut, further = cut_off(vae, tmp_path / "cut", 7), cut_off(vae, tmp_path / "further", 9)
    for name in ("checkpoint.pt", "checkpoint.previous.pt", "metrics.jsonl"):
        (further[0].path / name).replace(cut[0].path / name)
    done = resume_together(tmp_path / "cut", sets(vae))
    whole = train_together(many(vae, checkpoint_seconds=0.0)(tmp_path / "whole"))
    for one, two in zip(done, whole, strict=True):
        assert_alike(one, two)


def test_runs_that_are_trained_elsewhere_are_refused(vae: Callable, tmp_path: Path):
    cut = cut_off(vae, tmp_path / "cut", 5)
    with cut[1].locked(), pytest.raises(ValueError, match="another process is training it"):
        resume_together(tmp_path / "cut", sets(vae))
    with pytest.raises(ValueError, match=r"expected a folder of runs that were trained together, got"):
        resume_together(tmp_path)


def test_what_a_kill_left_half_made_is_passed_over(vae: Callable, tmp_path: Path, caplog):
    cut = cut_off(vae, tmp_path / "cut", 3)
    cut[2].path.rename(tmp_path / "cut" / ".seed-2.abc.tmp")
    (tmp_path / "cut" / ".seed-2.abc.tmp" / "checkpoint.pt").unlink()
    done = resume_together(tmp_path / "cut", sets(vae))
    assert [run.path for run in done] == [run.path for run in cut[:2]]
    assert [run.status["status"] for run in done] == ["finished"] * 2
    assert f"going on without {cut[2].path.name}, which are not there" in caplog.text


def test_those_that_began_apart_keep_their_own_settings(vae: Callable, tmp_path: Path):
    cut_off(vae, tmp_path / "cut", 3, steps=5)
    later = cut_off(vae, tmp_path / "later", 3, steps=7)
    for run in later:
        record = {**run.record, "together": [f"later-{name}" for name in run.record["together"]]}
        (run.path / "run.json").write_text(json.dumps(record))
        run.path.rename(tmp_path / "cut" / f"later-{run.path.name}")
    done = resume_together(tmp_path / "cut", sets(vae))
    assert sorted(run.status["step"] for run in done) == [5] * 3 + [7] * 3
    assert {run.status["status"] for run in done} == {"finished"}


def test_different_settings_are_refused_before_anything_is_dropped(vae: Callable, tmp_path: Path):
    cut = cut_off(vae, tmp_path / "cut", 3)
    record = {**cut[0].record, "training": {**cut[0].record["training"], "steps": 99}}
    (cut[0].path / "run.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="differs in the seed alone, got steps"):
        resume_together(tmp_path / "cut", sets(vae))


def test_finished_runs_are_returned_as_they_are(vae: Callable, tmp_path: Path):
    runs = train_together(many(vae, steps=4)(tmp_path))
    before = {file: file.stat().st_mtime_ns for run in runs for file in run.path.iterdir()}
    again = resume_together(tmp_path)
    assert [run.path for run in again] == [run.path for run in runs]
    assert {file: file.stat().st_mtime_ns for run in runs for file in run.path.iterdir()} == before


# leaving


def test_early_stopping_is_each_members_own(vae: Callable, tmp_path: Path):
    eager = {"steps": 400, "patience": 2, "validate_every": 10, "log_every": 7, "batch_size": 41, "learning_rate": 0.05}
    runs = compare(many(vae, **eager), tmp_path, weights=1e-2, later=1e-2)
    steps = [run.status["step"] for run in runs]
    assert len(set(steps)) > 1
    assert max(steps) < 400


def overflowing(make: Callable, out: Path, which: Sequence[int] = (0,), **changes: Any) -> list[Plan]:
    """Some members have an observation whose square is beyond single precision."""
    plans = many(make, **changes)(out)
    for place in which:
        arrays: Any = plans[place].data
        x = arrays.x.copy()
        x[0] = 1e25
        plans[place] = replace(plans[place], data=Arrays(x))
    return plans


def test_one_that_diverges_leaves_the_others_as_they_are(vae: Callable, tmp_path: Path, caplog):
    runs = train_together(overflowing(vae, tmp_path / "together"))
    with pytest.raises(DivergedError) as alone:
        train_plan(overflowing(vae, tmp_path / "alone")[0])
    assert runs[0].status["status"] == "failed"
    assert runs[0].status["message"] == str(alone.value).replace("/alone/", "/together/")
    assert "reconstruction" in caplog.text
    assert not (runs[0].path / "weights.safetensors").exists()
    state = runs[0].load_checkpoint()
    assert state is not None
    assert state["step"] == 0
    others = train_together(many(vae)(tmp_path / "others")[1:])
    for one, two in zip(runs[1:], others, strict=True):
        assert_alike(one, two, weights=1e-6)


def test_a_failed_one_is_left_alone_when_the_others_are_further(vae: Callable, tmp_path: Path, caplog):
    cut, earlier = cut_off(vae, tmp_path / "cut", 7), cut_off(vae, tmp_path / "earlier", 2)
    for name in ("checkpoint.pt", "checkpoint.previous.pt"):
        (earlier[0].path / name).replace(cut[0].path / name)
    cut[0].set_status("failed", 4, 1.0, "the loss became NaN")
    again = resume_together(tmp_path / "cut", sets(vae))
    assert [run.status["status"] for run in again] == ["failed", "finished", "finished"]
    assert "left as it is: the loss became NaN" in caplog.text
    resume_together(tmp_path / "cut", sets(vae))  # now that it is the only one, it is tried again
    assert again[0].status["status"] == "finished"


def test_all_diverged_is_an_error(vae: Callable, tmp_path: Path):
    with pytest.raises(DivergedError, match="became NaN or infinite at step"):
        train_together(overflowing(vae, tmp_path, range(3)))
    assert {Run(path).status["status"] for path in tmp_path.iterdir()} == {"failed"}


@pytest.mark.parametrize("rate", [1e12, 1e39])
def test_whatever_spoils_the_weights_is_found_out(task: Callable, tmp_path: Path, rate: float):
    with pytest.raises(DivergedError):
        train_together(many(task, learning_rate=rate, checkpoint_seconds=0.0)(tmp_path))
    for path in tmp_path.iterdir():
        state = Run(path).load_checkpoint()
        assert state is not None
        assert all(value.isfinite().all() for value in state["model"].values())


# refusals, all before there is a folder


def wider() -> SequentialVAE:
    return SequentialVAE(MLPTrunk(4, (9,)), MLPDecoder(2, 4, (9,)), Gaussian(1.0), False, False)


def same_shapes(skip: bool = False, variance: float = 1.0) -> SequentialVAE:
    return SequentialVAE(MLPTrunk(4, (8,)), MLPDecoder(2, 4, (8,)), Gaussian(variance), False, skip)


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "rate": ({"training": replace(SHORT, learning_rate=0.5)}, r"the seed alone, got learning_rate 0.001 and 0.5;"),
    "shapes": ({"model": wider()}, "models of one class and shape, got "),
    "switch": ({"model": same_shapes(skip=True)}, "differ in their weights alone"),
    "copies": ({"objective": ImportanceWeighted(3)}, "one number of copies"),
    "validation": ({"validation": None}, "held-out data for all members or none"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_members_that_do_not_fit_are_refused(vae: Callable, tmp_path: Path, change: dict[str, Any], message: str):
    plans = many(vae)(tmp_path / "runs")
    with pytest.raises(ValueError, match=f"expected .*{message}"):
        train_together([*plans[:2], replace(plans[2], **change)])
    assert not (tmp_path / "runs").exists()


def test_what_cannot_be_one_computation_is_refused(vae: Callable, cpvae: Callable, tmp_path: Path):
    with pytest.raises(ValueError, match=r"expected balanced batches.*got balanced=False; use balanced=True, or"):
        train_together(many(cpvae, balanced=False)(tmp_path))
    plans = many(vae)(tmp_path)
    with pytest.raises(ValueError, match=r"expected a model of its own for each member, got one object several times"):
        train_together([replace(plan, model=plans[0].model) for plan in plans])
    with pytest.raises(ValueError, match=r"expected a folder of its own for each run"):
        train_together([replace(plan, out=tmp_path / "one") for plan in plans])
    with pytest.raises(ValueError, match=r"expected at least one plan, got none"):
        train_together([])
    (tmp_path / "seed-8").mkdir()
    (tmp_path / "seed-8" / "mine").touch()
    with pytest.raises(ValueError, match=r"expected a new or empty folder.*seed-8"):
        train_together(plans)
    assert [path.name for path in tmp_path.iterdir()] == ["seed-8"]


def test_variances_that_start_differently_are_told_from_learned_ones(vae: Callable, tmp_path: Path):
    """A fixed variance is a buffer, and may differ as weights do."""
    plans = many(vae, steps=2)(tmp_path)
    train_together([*plans[:2], replace(plans[2], model=same_shapes(variance=0.5))])


def counts(tasks: Any) -> Any:
    data = Arrays(np.random.default_rng(0).poisson(3.0, (40, 6)), ["a", "b"] * 20)
    own = [MLPDecoder(1, 6, ()) for _ in range(2)]
    model = CPVAE(CountTrunk(MLPTrunk(6, (8,))), MLPDecoder(2, 6, ()), own, NegativeBinomial(6), ("a", "b"))
    return tasks.Task(model, ELBO(), data, data)


def test_a_likelihood_that_looks_at_each_value_is_refused(tasks: Any, tmp_path: Path):
    with pytest.raises(ValueError, match=r"expected a model whose pass can be computed for several members at once"):
        train_together(many(lambda: counts(tasks))(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


def test_bfloat16_with_batch_norm_is_refused_on_a_cpu(tasks: Any, tmp_path: Path):
    """Where PyTorch has no batch norm of several members in it."""
    with pytest.raises(ValueError, match=r"PyTorch cannot do so for this CPVAE in bfloat16: expected scalar type"):
        train_together(many(tasks.population_task, precision="bfloat16")(tmp_path))


@pytest.mark.parametrize(("change", "message"), [({"recompute": True}, "got True"), ({"kernels": "native"}, "native")])
def test_computing_one_at_a_time_is_refused_by_name(tasks: Any, tmp_path: Path, change: dict, message: str):
    with pytest.raises(ValueError, match=message):
        train_together(many(tasks.sequential_task, **change)(tmp_path))


def test_settings_are_what_each_records(vae: Callable, tmp_path: Path):
    runs = train_together(many(vae, steps=2)(tmp_path))
    for run, seed in zip(runs, SEEDS, strict=True):
        assert run.record["training"] == asdict(replace(SHORT, steps=2, seed=seed))


def test_networks_of_images_of_three_channels(tasks: Any, tmp_path: Path):
    def make() -> Any:
        x = np.random.default_rng(0).random((24, 3, 16, 16))
        model = SequentialVAE(ConvTrunk(3, (4, 8), 8), ConvDecoder(3, 3, (4, 8), 8), Gaussian(1.0, squash=True))
        return tasks.Task(model, ELBO(), Arrays(x), Arrays(x[:9]))

    compare(many(make, steps=20), tmp_path)


# killed for real


@pytest.mark.slow
def test_killed_runs_go_on_together(tmp_path: Path):
    """The command line's own way; killed wherever it was, perhaps between the checkpoints of two members."""
    options = {"steps": 200, "log_every": 20, "validate_every": 100, "checkpoint_seconds": 0.1, "device": "cpu"}
    flags = [f"--training.{name}={value}" for name, value in options.items()]
    words = ["train", "vectors", "--count=100", "--widths=[8]", "--seeds", "0", "2-3", *flags]
    assert unbraid(*words, str(tmp_path / "whole")).wait(120) == 0
    process, first = unbraid(*words, str(tmp_path / "killed")), tmp_path / "killed" / "seed-0"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (first / "status.json").is_file() and Run(first).status["step"] > 20:
            break
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert unbraid("resume", str(tmp_path / "killed")).wait(120) == 0
    for name in ("seed-0", "seed-2", "seed-3"):
        one, two = Run(tmp_path / "whole" / name), Run(tmp_path / "killed" / name)
        assert_alike(one, two, weights=1e-12)
        assert (one.path / "weights.safetensors").read_bytes() == (two.path / "weights.safetensors").read_bytes()


def unbraid(*words: str) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "unbraid", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
