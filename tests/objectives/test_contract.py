"""What every public objective and schedule promises; a new one adds a line to OBJECTIVES or SCHEDULES."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from inspect import isabstract

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import unbraid.objectives
from unbraid.configuration import build, describe
from unbraid.likelihoods import Gaussian
from unbraid.models import CPVAE, Classifier, Model
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives import (
    DIP1,
    DIP2,
    ELBO,
    Adversarial,
    BetaELBO,
    BetaTC,
    Capacity,
    Constant,
    ContrastiveMMD,
    CrossPopulation,
    Exponential,
    FactorVAE,
    ImportanceWeighted,
    InfoVAE,
    Linear,
    Objective,
    Schedule,
    Weighted,
)
from unbraid.types import Batch, Progress, Terms

PROGRESS = Progress(step=70, epoch=7)


@dataclass(frozen=True)
class Case:
    """An objective, its loss as its documentation states it, and the names that its terms have."""

    objective: Objective
    loss: Callable[[dict[str, Tensor]], Tensor | float]
    populations: bool = False  # whether it needs a model with private heads
    blocks: bool = True  # whether it reports the KL of every block, and all of it is minimised
    several: bool = True  # whether it takes several latent blocks
    latents: bool = True  # whether it needs any
    averages: bool = True  # whether its terms are means over the batch, not comparisons of its rows
    others: frozenset[str] = frozenset()  # terms beside reconstruction and KL of every block

    def names(self, blocks: set[str]) -> set[str]:
        if not self.blocks:
            return {"reconstruction", "kl/shared", "kl/other", "kl/private", "alpha"}
        return {"reconstruction", *(f"kl/{name}" for name in blocks), *self.others}


def divergence(parts: dict[str, Tensor]) -> Tensor | float:
    return sum(value for name, value in parts.items() if name.startswith("kl/"))


def cross(alpha: float) -> Callable[[dict[str, Tensor]], Tensor | float]:
    return lambda parts: parts["reconstruction"] + parts["kl/shared"] + alpha * parts["kl/other"]


def three(alpha: float, beta: float, gamma: float) -> Callable[[dict[str, Tensor]], Tensor | float]:
    weights = {"reconstruction": 1, "kl/index_code": alpha, "kl/total_correlation": beta, "kl/dimension_wise": gamma}
    return lambda parts: sum(weight * parts[name] for name, weight in weights.items())


def penalised(off: float, on: float) -> Callable[[dict[str, Tensor]], Tensor | float]:
    return lambda parts: (
        parts["reconstruction"] + divergence(parts) + off * parts["dip/off_diagonal"] + on * parts["dip/diagonal"]
    )


def matched(alpha: float, strength: float) -> Callable[[dict[str, Tensor]], Tensor | float]:
    return lambda parts: (
        parts["reconstruction"] + (1 - alpha) * divergence(parts) + (alpha + strength - 1) * parts["mmd"]
    )


def held(parts: dict[str, Tensor]) -> Tensor | float:
    return parts["reconstruction"] + 1000 * abs(divergence(parts) - parts["capacity"])


def moments(shared: float, private: float) -> Callable[[dict[str, Tensor]], Tensor | float]:
    return lambda parts: (
        parts["reconstruction"] + divergence(parts) + shared * parts["mmd/shared"] + private * parts["mmd/private"]
    )


MOMENTS = frozenset({"mmd/shared", "mmd/private"})
THREE = frozenset({"kl/index_code", "kl/total_correlation", "kl/dimension_wise"})
DIP = frozenset({"dip/off_diagonal", "dip/diagonal"})
COPIES = frozenset({"gain", "effective_samples"})
OBJECTIVES = {
    "capacity": Case(Capacity(), held, others=frozenset({"capacity"})),
    "capacity, constant": Case(Capacity(Constant(3.0)), held, others=frozenset({"capacity"})),
    "beta-TC": Case(BetaTC(100), three(1, 6, 1), several=False, averages=False, others=THREE),
    "beta-TC, weighted": Case(
        BetaTC(100, 2, 3, 4, Weighted()), three(2, 3, 4), several=False, averages=False, others=THREE
    ),
    "DIP-I": Case(DIP1(), penalised(10, 100), several=False, others=DIP),
    "DIP-II": Case(DIP2(), penalised(10, 10), several=False, others=DIP),
    "InfoVAE": Case(InfoVAE(), matched(0, 100), several=False, averages=False, others=frozenset({"mmd"})),
    "MMD-VAE": Case(
        InfoVAE(1.0, 10.0, (0.5, 1.0)), matched(1, 10), several=False, averages=False, others=frozenset({"mmd"})
    ),
    "importance": Case(  # of 9 observations: three with three copies each
        ImportanceWeighted(3), lambda parts: parts["reconstruction"] + divergence(parts) - parts["gain"], others=COPIES
    ),
    "FactorVAE": Case(
        FactorVAE(5.0, (8, 8)),
        lambda parts: parts["reconstruction"] + divergence(parts) + 5 * parts["total_correlation"],
        several=False,
        others=frozenset({"total_correlation"}),
    ),
    "moments": Case(ContrastiveMMD(0, 30, 2), moments(30, 2), populations=True, others=MOMENTS),
    "ELBO": Case(ELBO(), lambda parts: parts["reconstruction"] + divergence(parts), latents=False),
    "beta": Case(BetaELBO(), lambda parts: parts["reconstruction"] + 4 * divergence(parts), latents=False),
    "beta 0": Case(BetaELBO(0), lambda parts: parts["reconstruction"], latents=False),
    "MI": Case(CrossPopulation(), cross(1.0), populations=True, blocks=False),
    "MI, alpha 3": Case(CrossPopulation(Constant(3)), cross(3.0), populations=True, blocks=False),
    "MI, annealed": Case(CrossPopulation(Exponential()), cross(1.1**7), populations=True, blocks=False),
}
SCHEDULES = {
    "linear": Linear(),
    "linear, falling": Linear(4.0, 1.0, 50),
    "constant": Constant(2.5),
    "exponential": Exponential(),
    "falling": Exponential(0.9, 4.0, 2.0),
}
every = pytest.mark.parametrize("case", OBJECTIVES.values(), ids=OBJECTIVES)
every_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


def suited(model: Model) -> list[Case]:
    """The objectives that make sense for a model: all but those that need latents or private heads it has not."""
    cases = OBJECTIVES.values()
    if isinstance(model, Classifier):
        return [case for case in cases if not case.latents]
    return [
        case
        for case in cases
        if (model.populations or not case.populations) and (case.several or not model.populations)
    ]


def minimised(case: Case, model: Model) -> Objective:
    """The objective, with its adversary ready if it has one."""
    if isinstance(case.objective, Adversarial):
        case.objective.prepare(model, torch.device("cpu"), 0)
    return case.objective


def terms(case: Case, model: Model, batch: Batch) -> Terms:
    return minimised(case, model)(model(batch, torch.Generator().manual_seed(0)), batch, PROGRESS)


def public(kind: type) -> set[type]:
    members = (getattr(unbraid.objectives, name) for name in unbraid.objectives.__all__)
    return {member for member in members if issubclass(member, kind) and not isabstract(member)}


def test_every_public_member_is_in_this_suite():
    assert {type(case.objective) for case in OBJECTIVES.values()} == public(Objective)
    assert {type(schedule) for schedule in SCHEDULES.values()} == public(Schedule)


def test_terms_are_named_finite_scalars(model: Model, batch: Batch):
    for case in suited(model):
        found = terms(case, model, batch)
        assert set(found.parts) == case.names(set(model(batch).posteriors))
        for name, value in found.named().items():
            assert value.shape == (), (case, name)
            assert value.isfinite(), (case, name)


def test_loss_is_the_documented_combination(model: Model, batch: Batch):
    for case in suited(model):
        found = terms(case, model, batch)
        torch.testing.assert_close(found.loss, torch.as_tensor(case.loss(found.parts)))


def test_terms_are_averages_over_the_batch(model: Model, batch: Batch):
    """A batch that is there twice has the same terms."""
    model.eval()
    population = None if batch.population is None else batch.population.repeat(2)
    twice = Batch(batch.x.repeat(2, *[1] * (batch.x.ndim - 1)), population)
    for case in (case for case in suited(model) if case.averages):
        objective = minimised(case, model)
        one = objective(model(batch), batch, PROGRESS).named()
        torch.testing.assert_close(objective(model(twice), twice, PROGRESS).named(), one, rtol=1e-4, atol=1e-5)


def test_gradients_are_finite(model: Model, batch: Batch):
    for case in suited(model):
        model.zero_grad()
        terms(case, model, batch).loss.backward()
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert gradients, case
        assert all(gradient.isfinite().all() for gradient in gradients), case


@every
def test_description_rebuilds_the_objective(case: Case):
    again = build(json.loads(json.dumps(describe(case.objective))))
    assert type(again) is type(case.objective)
    assert describe(again) == describe(case.objective)
    assert repr(again) == repr(case.objective)
    assert repr(again).startswith(type(again).__name__ + "(")
    assert " at 0x" not in repr(again)


def test_beta_of_one_is_the_elbo(model: Model, batch: Batch):
    forward = model(batch)
    torch.testing.assert_close(BetaELBO(1)(forward, batch, PROGRESS).named(), ELBO()(forward, batch, PROGRESS).named())


def test_a_private_code_on_its_own_population_is_free(model: Model, batch: Batch):
    if not model.populations or isinstance(model, Classifier):
        with pytest.raises(ValueError, match=r"expected a model with private heads .*got.*use CPVAE"):
            CrossPopulation()(model(batch), batch, PROGRESS)
        return
    found = CrossPopulation()(model(batch), batch, PROGRESS)
    assert not found.parts["kl/private"].requires_grad
    assert found.parts["alpha"] == 1.0


def test_what_shapes_latents_refuses_a_model_without_any():
    model = Classifier(MLPTrunk(5, (2,)), ("a", "b"))
    batch = Batch(torch.rand(4, 5), torch.arange(4) % 2)
    for objective in (Capacity(), ImportanceWeighted(2), BetaTC(100), DIP1(), InfoVAE()):
        with pytest.raises(ValueError, match="expected a model with latents, got one without, such as a classifier"):
            objective(model(batch), batch, PROGRESS)


def test_one_population_has_no_cross_term():
    torch.manual_seed(0)
    single = CPVAE(MLPTrunk(5), MLPDecoder(2, 5), [MLPDecoder(2, 5)], Gaussian(), ("only",))
    batch = Batch(torch.rand(4, 5), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"expected .* at least two populations.*got.*ELBO"):
        CrossPopulation()(single(batch), batch, PROGRESS)


@every_schedule
@given(epoch=st.integers(0, 10**7), step=st.integers(0, 10**9))
def test_schedules_are_finite_weights_that_progress_alone_decides(schedule: Schedule, epoch: int, step: int):
    value = schedule(Progress(step, epoch))
    assert 0 <= value < float("inf")
    assert isinstance(value, float)
    assert schedule(Progress(step, epoch)) == value


@every_schedule
@given(epoch=st.integers(0, 10**7), step=st.integers(0, 10**9))
def test_schedules_of_tensors_are_those_of_numbers(schedule: Schedule, epoch: int, step: int):
    found = schedule.like(torch.zeros(3), in_tensors(Progress(step, epoch)))
    assert (found.shape, found.dtype) == ((), torch.float32)
    assert found.item() == pytest.approx(schedule(Progress(step, epoch)), rel=1e-6)


def in_tensors(progress: Progress) -> Progress:
    """As a captured graph has it."""
    return Progress(*(torch.tensor(float(part), dtype=torch.float64) for part in (progress.step, progress.epoch)))


def test_terms_are_the_same_if_progress_is_made_of_tensors(model: Model, batch: Batch):
    """Bit for bit."""
    for case in suited(model):
        objective, forward = minimised(case, model), model(batch, torch.Generator().manual_seed(0))
        moments = PROGRESS, in_tensors(PROGRESS)
        expected, found = (objective(forward, batch, progress).named() for progress in moments)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in found)


@every_schedule
def test_description_rebuilds_the_schedule(schedule: Schedule):
    again = build(json.loads(json.dumps(describe(schedule))))
    assert repr(again) == repr(schedule)
    moments = [Progress(step, epoch) for step in (0, 7, 60, 10**6) for epoch in range(9)]
    assert list(map(again, moments)) == list(map(schedule, moments))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BetaELBO(-1), "expected beta of at least 0, got -1; 1 is the ELBO"),
        (lambda: BetaELBO(float("nan")), "expected beta of at least 0, got nan"),
        (lambda: Exponential(rate=0), "expected rate, maximum and start above 0, got 0"),
        (lambda: Exponential(maximum=-1), "expected rate, maximum and start above 0, got .*-1"),
        (lambda: Exponential(start=0), "expected rate, maximum and start above 0, got .*0"),
    ],
)
def test_wrong_weights_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("schedule", [lambda: Constant(-1.0), lambda: Exponential(rate=0.0)])
def test_a_weight_that_rewards_divergence_is_refused(schedule):
    with pytest.raises(ValueError, match="expected"):
        schedule()
