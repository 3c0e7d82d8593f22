"""Learning one population more: what may change does, what must not does not, and nobody is left in doubt."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from unbraid.data import Arrays, Data, OneOf
from unbraid.likelihoods import Gaussian
from unbraid.models import CPVAE, Model, SequentialVAE, add_population, freeze_norms
from unbraid.nets import ConvDecoder, ConvTrunk, MLPDecoder, MLPTrunk, NormTrunk, SkipDecoder
from unbraid.objectives import ELBO, CrossPopulation
from unbraid.randomness import seeded
from unbraid.runs import Run
from unbraid.settings import Training
from unbraid.training import Plan, resume, train, train_together
from unbraid.training.batches import Batches
from unbraid.types import Batch

IMAGE, NAMES = (1, 8, 8), ("a", "b", "c")
SHORT = Training(steps=15, batch_size=8, learning_rate=1e-2, log_every=5, validate_every=5, device="cpu")
RNG = np.random.default_rng(0)
NEW = Arrays(RNG.random((30, *IMAGE)))
OWN = ("private_decoders.2.", "added_heads.0.")  # the new population's weights


def normed() -> CPVAE:
    own = [SkipDecoder(2, IMAGE, (4, 4)) for _ in "ab"]
    return CPVAE(NormTrunk(IMAGE, (4, 4)), SkipDecoder(3, IMAGE, (4, 4)), own, Gaussian(0.1, learned=True), NAMES[:2])


def wide() -> CPVAE:
    """Of widths that the compiled kernels take."""
    own = [ConvDecoder(2, 1, (16,), 8) for _ in "ab"]
    return CPVAE(ConvTrunk(1, (16,), 8), ConvDecoder(3, 1, (16,), 8), own, Gaussian(0.1, learned=True), NAMES[:2])


def extended(make: Callable[[], CPVAE], frozen: bool) -> CPVAE:
    with seeded(0):
        old = make()
        for _ in range(3):
            old(Batch(torch.rand(8, *IMAGE), torch.arange(8) % 2))
        return add_population(old, "c", frozen=frozen)


def alone(data: Data = NEW) -> OneOf:
    return OneOf(data, "c", NAMES)


def answers(model: CPVAE) -> list[torch.Tensor]:
    """What the model says of the first two populations."""
    x = torch.rand(16, *IMAGE, generator=torch.Generator().manual_seed(5))
    model.eval()
    with torch.no_grad():
        outputs = [model(Batch(x, torch.full((16,), k))).output for k in range(2)]
        return [*outputs, model.encode(x)["shared"], model.encode(x)["private"][:, :2]]


def moved(before: dict[str, torch.Tensor], model: Model) -> set[str]:
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize(
    ("make", "kernels"),
    [(normed, "plain"), (normed, "reformulated"), (wide, "plain"), (wide, "reformulated"), (wide, "native")],
)
@pytest.mark.parametrize("recompute", [False, True])
def test_frozen_means_that_old_populations_are_answered_as_before_to_the_bit(make, kernels, recompute, tmp_path: Path):
    model = extended(make, frozen=True)
    before, said = copy.deepcopy(model.state_dict()), answers(model)
    training = Training(**{**SHORT.__dict__, "kernels": kernels, "recompute": recompute})
    try:
        run = train(model, ELBO(), alone(), tmp_path / "run", training, alone())
    except ValueError as error:
        if kernels == "native" and "kernels that the model has" in str(error):
            pytest.skip("no compiled kernels here")
        raise
    changed = moved(before, model)
    assert changed
    assert all(name.startswith(OWN) for name in changed)
    assert all(torch.equal(one, two) for one, two in zip(said, answers(model), strict=True))
    again = run.rebuild("model")
    again.load_state_dict(run.load_weights())
    assert all(torch.equal(one, two) for one, two in zip(said, answers(again), strict=True))


@pytest.mark.parametrize("balanced", [True, False])
def test_without_freezing_shared_weights_learn_and_old_private_ones_do_not(tmp_path: Path, balanced: bool):
    model = extended(normed, frozen=False)
    before, said = copy.deepcopy(model.state_dict()), answers(model)
    training = Training(**{**SHORT.__dict__, "balanced": balanced})
    train(model, ELBO(), alone(), tmp_path / "run", training)
    changed = moved(before, model)
    old = ("private_head.", "private_decoders.0.", "private_decoders.1.")
    assert not any(name.startswith(old) for name in changed)
    learned = {name for name, _ in model.named_parameters() if not name.startswith(old)}
    assert learned <= changed
    assert not all(torch.equal(one, two) for one, two in zip(said, answers(model), strict=True))


def steady(make: Callable[[], CPVAE], frozen: bool = True) -> CPVAE:
    model = extended(make, frozen=False)
    freeze_norms(model, frozen)
    return model


@pytest.mark.parametrize("recompute", [False, True])
def test_frozen_norms_keep_their_averages_while_weights_learn(recompute: bool, tmp_path: Path):
    model = steady(normed)
    before = copy.deepcopy(model.state_dict())
    training = Training(**{**SHORT.__dict__, "recompute": recompute})
    run = train(model, ELBO(), alone(), tmp_path / "run", training, alone())
    changed, averages = moved(before, model), {name for name in before if "running_" in name or "num_batches" in name}
    assert {name for name in changed & averages if not name.startswith(OWN)} == set()
    assert {name for name in averages if name.startswith(OWN)} <= changed
    old = ("private_head.", "private_decoders.0.", "private_decoders.1.")
    assert {name for name, _ in model.named_parameters() if not name.startswith(old)} <= changed
    again = run.rebuild("model").train()  # what was frozen is part of the description
    assert not any(part.training for part in again.trunk.modules() if isinstance(part, torch.nn.BatchNorm2d))
    assert all(part.training for part in again.private_decoders[2].modules())


def test_frozen_norms_train_as_they_are_evaluated():
    model = steady(normed)
    batch = Batch(torch.rand(8, *IMAGE), torch.arange(8) % 2)
    for decoder in model.private_decoders:  # theirs are not frozen
        decoder.eval()
    assert torch.equal(model.train().encode(batch.x)["shared"], model.eval().encode(batch.x)["shared"])
    freeze_norms(model, frozen=False)
    assert not torch.equal(model.train().encode(batch.x)["shared"], model.eval().encode(batch.x)["shared"])


def test_all_norms_of_a_model_without_populations_are_frozen():
    model = SequentialVAE(NormTrunk(IMAGE, (4, 4)), SkipDecoder(3, IMAGE, (4, 4)), Gaussian(0.1), False, False)
    freeze_norms(model)
    norms = [part for part in model.train().modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(part.training for part in norms)
    freeze_norms(model, frozen=False)
    assert all(part.training for part in norms)


def test_networks_without_norms_have_none_to_freeze():
    with pytest.raises(ValueError, match=r"batch norms that can be frozen \(NormTrunk, SkipDecoder\), got a CPVAE"):
        freeze_norms(wide())
    freeze_norms(wide(), frozen=False)


class Interrupting(Arrays):
    """Whoever asks for the n-th batch presses Ctrl-C."""

    left = 10**9

    def batch(self, index) -> Batch:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().batch(index)


def held(how: str) -> CPVAE:
    return steady(normed) if how == "norms" else extended(normed, how == "all")


@pytest.mark.parametrize("how", ["nothing", "norms", "all"])
def test_it_resumes_to_the_same_weights(how: str, tmp_path: Path):
    training = Training(**{**SHORT.__dict__, "checkpoint_seconds": 0.0})
    whole = train(held(how), ELBO(), alone(), tmp_path / "whole", training)
    data = Interrupting(NEW.x)
    data.left = 9
    with pytest.raises(KeyboardInterrupt):
        train(held(how), ELBO(), alone(data), tmp_path / "cut", training)
    assert 0 < Run(tmp_path / "cut").status["step"] < 15
    optimizer = Run(tmp_path / "cut").load_checkpoint()["optimizer"]  # type: ignore[index]
    model = held(how)
    assert len(optimizer["param_groups"][0]["params"]) == sum(p.requires_grad for p in model.parameters())
    done = resume(tmp_path / "cut", alone())
    assert done.weights_checksum() == whole.weights_checksum()


@pytest.mark.parametrize("how", ["nothing", "norms", "all"])
def test_several_seeds_at_once_are_those_alone(how: str, tmp_path: Path):
    def plan(folder: str, seed: int) -> Plan:
        training = Training(**{**SHORT.__dict__, "seed": seed, "kernels": "plain", "steps": 6})
        return Plan(held(how), ELBO(), alone(), tmp_path / folder / str(seed), training)

    before = held(how).state_dict()
    together = train_together([plan("together", seed) for seed in (0, 1)])
    for run, seed in zip(together, (0, 1), strict=True):
        given = plan("alone", seed)
        single = train(given.model, given.objective, given.data, given.out, given.training).load_weights()
        for name, value in run.load_weights().items():
            torch.testing.assert_close(value, single[name], rtol=1e-3, atol=1e-5)
            kept = how == "all" or (how == "norms" and "running_" in name)
            if kept and not name.startswith(OWN):
                assert torch.equal(value, before[name]), name


def test_frozen_and_learning_members_are_not_trained_at_once(tmp_path: Path):
    plans = [Plan(extended(normed, k == 1), ELBO(), alone(), tmp_path / str(k), SHORT) for k in range(2)]
    with pytest.raises(ValueError, match="models of one class and shape"):
        train_together(plans)


def test_batches_are_of_the_one_population_and_say_so():
    for size in (1, 10):  # fewer than there are populations, too
        batches = Batches(alone(), size, seed=0)
        assert batches.groups == (0, 0, size)
        assert sorted(np.concatenate([batches(step) for step in range(30 // size)])) == list(range(30))


def vae() -> Model:
    networks = MLPTrunk(64, (8,)), MLPDecoder(3, 64, (8,))
    return SequentialVAE(*networks, Gaussian(0.1), False, False)


def test_a_model_without_populations_trains_on_as_it_is(tmp_path: Path):
    data = OneOf(Arrays(RNG.random((30, 64))), "c", NAMES)
    assert train(vae(), ELBO(), data, tmp_path / "run", SHORT).status["status"] == "finished"


@pytest.mark.parametrize(
    ("data", "objective", "message"),
    [
        (alone(), CrossPopulation(), r"got none of \('a', 'b'\); use the ELBO"),
        (Arrays(NEW.x), ELBO(), "got one population"),
        (OneOf(NEW, "c", ("a", "c")), ELBO(), "in this order"),
    ],
)
def test_data_of_one_population_must_say_so_and_are_nothing_for_the_information_objective(
    data: Data, objective, message: str, tmp_path: Path
):
    with pytest.raises(ValueError, match=message):
        train(extended(normed, True), objective, data, tmp_path / "run", SHORT)
    assert not (tmp_path / "run").exists()


def test_an_empty_population_that_nobody_declared_is_still_refused(tmp_path: Path):
    data = alone()
    data.absent = ("a",)
    with pytest.raises(ValueError, match=r"leave out \['b'\], or say that they are absent"):
        train(extended(normed, False), ELBO(), data, tmp_path / "run", SHORT)
