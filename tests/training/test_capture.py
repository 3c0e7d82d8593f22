"""An update whose second half can be captured and replayed, and what it does on a GPU."""

import logging
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from unbraid.data import Arrays, Translate
from unbraid.likelihoods import Gaussian, IgnoreMissing, NegativeBinomial
from unbraid.models import Classifier, ContrastiveVAE, Model, SequentialVAE
from unbraid.models.contract import Asked
from unbraid.nets import MLPDecoder, MLPTrunk, compute_as
from unbraid.objectives import (
    DIP1,
    DIP2,
    ELBO,
    Adversarial,
    BetaTC,
    Capacity,
    ContrastiveMMD,
    CrossPopulation,
    ImportanceWeighted,
    InfoVAE,
    Linear,
    Objective,
)
from unbraid.randomness import seeded
from unbraid.runs import Run
from unbraid.settings import Computation, Training
from unbraid.training import DivergedError, resume, train
from unbraid.training.batches import Supply
from unbraid.training.capture import Captured, Static, capturable, captured, obstacle, waiting
from unbraid.training.device import bring_back, exact_products, follow_weights, lay_out, training_on
from unbraid.training.loop import Loop
from unbraid.types import Batch, Progress

CPU = torch.device("cpu")
SHORT = Training(steps=20, batch_size=8, learning_rate=1e-2, log_every=4, checkpoint_seconds=0, device="cpu")
on_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU, and PyTorch sees none"),
]


def loop(task: Any, objective: Objective | None = None, augmentation: Translate | None = None, **changes) -> Loop:
    """A run just before its first update."""
    training = replace(SHORT, **changes)
    ready = Loop(task.model, objective or task.objective, task.data, task.validation, training, augmentation)
    ready.model.train()
    compute_as(ready.model, ready.computation, ready.device)
    return ready


def weights(ready: Loop) -> list[Tensor]:
    return list(ready.model.state_dict().values()) + [
        state[name] for state in ready.optimizer.state.values() for name in sorted(state)
    ]


def objectives(task: Any) -> list[Objective]:
    """The task's own, and those with schedules that move and then stand still."""
    moving = Linear(0.0, 3.0, 5)
    if isinstance(task.model, Classifier):  # which has no latents
        return [task.objective]
    return [task.objective, Capacity(moving)] + ([CrossPopulation(moving)] if task.model.populations else [])


# the second half alone, on inputs that stay in their places


def test_updates_on_static_inputs_are_the_same(task: Callable):
    """Bit for bit: progress as tensors, one batch written over the other, and everything that an update changes."""
    for index in range(len(objectives(task()))):
        made = [task(), task()]
        plain, replayed = (loop(one, objectives(one)[index]) for one in made)
        static = Static(replayed.eager.inputs(0))
        for step in range(8):
            expected = plain.eager(step)
            static.take(replayed.eager.inputs(step))
            found = replayed.eager.compute(static.inputs)
            assert found.keys() == expected.keys()
            assert all(torch.equal(found[name], expected[name]) for name in found)
        assert all(torch.equal(*pair) for pair in zip(weights(plain), weights(replayed), strict=True))


def test_other_groups_than_those_captured_are_refused(cpvae: Callable):
    inputs = loop(cpvae()).eager.inputs(0)
    with pytest.raises(AssertionError, match=r"captured for groups \(4, 4\), got \(5, 3\)"):
        Static(inputs).take(replace(inputs, batch=replace(inputs.batch, groups=(5, 3))))


def test_new_generators_change_nothing(factor_vae: Callable):
    one, two = loop(factor_vae()), loop(factor_vae())
    for step in range(5):
        two.eager.renew()
        found, expected = two.eager(step), one.eager(step)
        assert all(torch.equal(found[name], expected[name]) for name in expected)


# what must not happen in a graph: that a value is asked for, or that a tensor of the host is met


class Met(TorchDispatchMode):
    """Notes every operation that a tensor of the CPU takes part in."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if any(part.device == CPU for part in tree_leaves((args, kwargs, out)) if isinstance(part, Tensor)):
            self.found.append(str(func))
        return out


def without_values(model: Model, objective: Objective, data: Arrays, balanced: bool = True) -> list[str]:
    """Loss and gradients on tensors that have no values; operations that met a tensor of the host, which has."""
    batch = Supply(data, replace(SHORT, balanced=balanced), None, objective.copies, CPU)(0)
    device = torch.device("meta")
    if isinstance(objective, Adversarial):  # whose network asks for a device that has lower precisions, so not for meta
        objective.prepare(model, CPU, 0)
        device = CPU
    model.to(device)
    with FakeTensorMode(allow_non_fake_inputs=True) if device == CPU else nullcontext():
        batch = batch.map(lambda part: torch.empty_like(part, device=device))
        progress = Progress(*(torch.empty((), dtype=torch.float64, device=device) for _ in range(2)))
        with Met() as met:
            terms = objective(model(batch, Asked()), batch, progress)
            terms.loss.backward()
            named = {**terms.named(), **model.likelihood.reported()}
            torch.stack([value.detach() for value in named.values()])
    assert all(weight.grad is not None for weight in model.parameters())
    return met.found if device != CPU else []


def vectors(populations: bool = False) -> Arrays:
    return Arrays(np.random.default_rng(0).normal(size=(30, 4)), ["a", "b", "b"] * 10 if populations else None)


def contrastive() -> ContrastiveVAE:
    return ContrastiveVAE(MLPTrunk(4, (8,)), MLPDecoder(4, 4, (8,)), Gaussian(1.0, True), ("a", "b"), "a", 2, 2)


def table_vae(likelihood: Gaussian | IgnoreMissing | NegativeBinomial) -> SequentialVAE:
    return SequentialVAE(MLPTrunk(4, (8,)), MLPDecoder(2, 4, (8,)), likelihood, sequential=False, skip=False)


def test_an_update_asks_for_no_value(task: Callable):
    for index in range(len(objectives(task()))):
        made = task()
        assert without_values(made.model, objectives(made)[index], made.data) == []


@pytest.mark.parametrize(
    "objective",
    [BetaTC(41), DIP1(), DIP2(), InfoVAE(), ImportanceWeighted(2)],
    ids=lambda objective: type(objective).__name__,
)
def test_an_objective_asks_for_no_value(objective: Objective):
    assert without_values(table_vae(Gaussian(1.0, True)), objective, vectors()) == []


def test_models_and_likelihoods_ask_for_no_value():
    assert without_values(contrastive(), ELBO(), vectors(True)) == []
    assert without_values(table_vae(IgnoreMissing(Gaussian(1.0))), ELBO(), vectors()) == []


@pytest.mark.parametrize(
    ("make", "objective", "data", "balanced"),
    [
        (contrastive, ELBO(), lambda: vectors(True), False),
        (contrastive, ContrastiveMMD(), lambda: vectors(True), True),
        (lambda: table_vae(NegativeBinomial(4)), ELBO(), lambda: Arrays(np.ones((30, 4))), True),
    ],
    ids=["populations in proportion", "moment matching", "counts"],
)
def test_those_that_do_are_known(make, objective: Objective, data, balanced: bool):
    """They are trained without a graph; once one of them passes, it can be."""
    with pytest.raises((RuntimeError, NotImplementedError), match=r"item|nonzero"):
        without_values(make(), objective, data(), balanced)


def test_groups_decide_what_populations_would(cpvae: Callable):
    """Bit for bit, gradients too."""
    made = [loop(cpvae()) for _ in range(2)]
    for step in range(5):
        one, two = (ready.eager.inputs(step) for ready in made)
        assert one.batch.groups == (4, 4)
        first = made[0].eager.compute(one)
        second = made[1].eager.compute(replace(two, batch=replace(two.batch, groups=None)))
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.equal(*pair) for pair in zip(*map(weights, made), strict=True))


# parts


def test_an_optimiser_is_told_of_the_capture_only_while_it_lasts(factor_vae: Callable):
    ready, plain = loop(factor_vae()), loop(factor_vae())
    plain.update()
    with capturable():
        ready.update()
        assert ready.optimizer.param_groups[0]["capturable"]
    assert ready.optimizer.state_dict()["param_groups"] == plain.optimizer.state_dict()["param_groups"]
    assert not ready.adversary.state_dict()["optimizer"]["param_groups"][0]["capturable"]  # type: ignore[union-attr]
    ready.update()
    plain.update()
    assert all(torch.equal(*pair) for pair in zip(weights(ready), weights(plain), strict=True))


def test_places_where_the_host_waits_are_named_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            warnings.warn("called a synchronizing CUDA operation (Triggered internally)", stacklevel=1)
        warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=1)
    (place,) = waiting(caught)
    assert place.startswith("test_capture.py:")


def test_on_a_cpu_nothing_is_captured_and_the_run_says_nothing_of_it(vae: Callable, tmp_path: Path):
    task = vae()
    run = train(task.model, task.objective, task.data, tmp_path / "run", SHORT)
    assert not {"capture", "resident"} & set(run.record)
    assert obstacle(loop(vae()).eager) == "not on a CUDA device"


def test_a_capture_that_fails_is_a_warning(vae: Callable, caplog: pytest.LogCaptureFixture):
    if torch.cuda.is_available():
        pytest.skip("a capture would not fail")
    ready = loop(vae())
    with caplog.at_level(logging.WARNING, logger="unbraid"):
        assert captured(ready.eager, ready.eager.inputs(0)) is None
    assert "updates are not captured as a CUDA graph, and slower: " in caplog.text
    plain, wanting = loop(vae()), Captured(loop(vae()).eager)
    for step in range(6):
        found, expected = wanting(step), plain.eager(step)
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert caplog.text.count("not captured") == 2  # once each


def test_products_are_exact_while_training_and_as_before_afterwards():
    cudnn: Any = torch.backends.cudnn
    places = [(torch.backends.cuda.matmul, "fp32_precision"), (cudnn.conv, "fp32_precision"), (cudnn, "benchmark")]
    before = [getattr(*place) for place in places]
    with exact_products():
        assert [getattr(*place) for place in places] == ["ieee", "ieee", True]
    assert [getattr(*place) for place in places] == before
    with training_on(CPU):
        assert [getattr(*place) for place in places] == before


def test_layouts_change_on_gpus_only():
    model: Any = nn.Sequential(nn.Conv2d(3, 4, 3))
    lay_out(model, Computation(precision="bfloat16"), CPU)
    assert model[0].weight.is_contiguous()
    model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    model(torch.ones(1, 3, 5, 5)).sum().backward()
    optimizer.step()
    (state, *_) = optimizer.state.values()
    state["exp_avg"] = expected = state["exp_avg"].contiguous()
    follow_weights(optimizer)
    assert state["exp_avg"].stride() == model[0].weight.stride() != expected.stride()
    assert torch.equal(state["exp_avg"], expected)
    bring_back(model)
    assert model[0].weight.is_contiguous()


# on a GPU

GPU = {"capture": True, "resident": True, "device": "cuda"}


class TestOnGPU:
    """Captured and plain updates, resident and plain data."""

    pytestmark = on_gpu

    @pytest.fixture(autouse=True)
    def deterministic(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)

    def run(self, task: Any, out: Path, objective: Objective | None = None, **changes) -> Run:
        training = replace(SHORT, **{**GPU, **changes})
        return train(task.model, objective or task.objective, task.data, out, training, task.validation)

    def assert_close(self, one: Run, two: Run, atol: float = 1e-5) -> None:
        first, second = one.load_weights(), two.load_weights()
        assert first.keys() == second.keys()
        for name in first:
            torch.testing.assert_close(
                first[name], second[name], rtol=1e-4, atol=atol, msg=lambda m, n=name: f"{n}: {m}"
            )

    def test_captured_updates_are_those_without_a_graph(
        self, task: Callable, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ):
        for index in range(len(objectives(task()))):
            runs = []
            for capture in (True, False):
                made = task()
                out = tmp_path / f"{index} {capture}"
                runs.append(self.run(made, out, objectives(made)[index], capture=capture))
            assert runs[0].record["capture"] == "one CUDA graph"
            assert runs[1].record["capture"] == "not asked for"
            self.assert_close(*runs)
        assert "not captured" not in caplog.text

    def test_noise_is_that_of_the_seed(self, vae: Callable):
        """Every replay draws what the plain update of its step draws: losses agree when weights stay."""
        with training_on(torch.device("cuda")):
            made = [loop(vae(), learning_rate=1e-30, **GPU) for _ in range(2)]
            graph = Captured(made[0].eager)
            pairs = [(graph(step)["loss"], made[1].eager(step)["loss"]) for step in range(10)]
            assert graph.graph is not None
            for found, expected in pairs:
                torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
            assert len({float(found) for found, _ in pairs}) == 10

    def test_resumed_runs_are_those_that_went_on(self, task: Callable, tmp_path: Path):
        whole = self.run(task(), tmp_path / "whole", resident=False)
        made, left = task(), iter(range(13 * (1 + isinstance(task().objective, Adversarial)) + 2))
        read = made.data.batch

        def stopping(index: np.ndarray) -> Batch:
            if next(left, None) is None:
                raise KeyboardInterrupt
            return read(index)

        made.data.batch = stopping
        with pytest.raises(KeyboardInterrupt):
            self.run(made, tmp_path / "cut", resident=False)
        state = Run(tmp_path / "cut").load_checkpoint()
        assert state is not None
        assert not state["optimizer"]["param_groups"][0]["capturable"]
        again = task()
        self.assert_close(resume(tmp_path / "cut", again.data, again.validation), whole)

    def test_a_run_of_a_cpu_goes_on(self, vae: Callable, tmp_path: Path):
        """Its checkpoint is one of any device."""
        made = loop(vae())
        for _ in range(5):
            made.update()
        state = {**vars(made), "model": made.model.state_dict(), "optimizer": made.optimizer.state_dict()}
        other = loop(vae(), **GPU)
        other.load({**state, "metrics_bytes": 0})
        with training_on(other.device):
            graph = Captured(other.eager)
            for step in range(5, 12):
                graph(step)
        assert graph.graph is not None

    @pytest.mark.parametrize("augmentation", [None, Translate(0.2)], ids=["plain", "moved"])
    def test_resident_data_are_the_data(self, task: Callable, augmentation: Translate | None):
        made = task()
        augmentation = augmentation if len(made.data.shape) == 3 else None
        ready = loop(made, augmentation=augmentation, **GPU)
        assert ready.resident is not None
        plain = Supply(made.data, ready.training, augmentation, ready.objective.copies, ready.device)
        for step in (0, 1, 255, 256, 1000):
            found, expected = ready.supply(step), plain(step)
            assert torch.equal(found.x, expected.x)
            assert found.groups == expected.groups
            if found.population is not None and expected.population is not None:
                assert torch.equal(found.population, expected.population)

    def test_nobody_waits_for_the_device_between_logged_lines(self, task: Callable):
        ready = loop(task(), **GPU)
        assert ready.obstacle is None
        with training_on(ready.device):
            graph = Captured(ready.eager)
            for step in range(5):
                graph(step)
            torch.cuda.set_sync_debug_mode("error")
            try:
                for step in range(5, 15):
                    graph(step)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        assert graph.graph is not None

    def test_what_waits_is_not_captured_and_the_run_says_where(self, tmp_path: Path):
        with seeded(0):
            model = table_vae(NegativeBinomial(4))
        data = Arrays(np.random.default_rng(0).poisson(1.0, (30, 4)))
        run = train(model, ELBO(), data, tmp_path / "run", replace(SHORT, **GPU))
        assert "negative_binomial.py" in run.record["capture"]
        assert run.status["status"] == "finished"

    def test_divergence_is_reported(self, vae: Callable, tmp_path: Path):
        with pytest.raises(DivergedError, match="became NaN or infinite at step"):
            self.run(vae(), tmp_path / "run", learning_rate=1e20)

    def test_bfloat16_learns_as_much(self, task: Callable, tmp_path: Path):
        runs = [
            self.run(task(), tmp_path / each, precision=each, learning_rate=1e-3) for each in ("float32", "bfloat16")
        ]
        first, second = ([line["loss"] for line in run.metrics() if line["split"] == "train"] for run in runs)
        assert second == pytest.approx(first, rel=0.1, abs=1.0)
