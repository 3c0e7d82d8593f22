"""What every public model promises; a new one adds a line to MODELS in tests/conftest.py."""

import json
from dataclasses import replace
from inspect import isabstract, signature

import pytest
import torch

import unbraid.models
from unbraid.configuration import build, describe
from unbraid.likelihoods import Gaussian
from unbraid.models import CPVAE, Add, Combination, Model, Multiply, Screen
from unbraid.models.contract import check_shapes
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives import ELBO
from unbraid.types import Batch, Forward, Progress

COMBINATIONS = [Add(), Multiply(), Screen()]


def seed(value: int) -> torch.Generator:
    return torch.Generator().manual_seed(value)


def public(kind: type) -> set[type]:
    members = (getattr(unbraid.models, name) for name in unbraid.models.__all__)
    return {
        member for member in members if isinstance(member, type) and issubclass(member, kind) and not isabstract(member)
    }


def blocks(forward: Forward) -> dict[str, torch.Tensor]:
    """Every number of a forward pass by name."""
    means = {f"mean/{name}": normal.mean for name, normal in forward.posteriors.items()}
    logs = {f"log/{name}": normal.log_variance for name, normal in forward.posteriors.items()}
    return {"output": forward.output, "log": forward.log_likelihood, **forward.samples, **means, **logs}


def assert_same(one: Forward, two: Forward) -> None:
    torch.testing.assert_close(blocks(one), blocks(two), rtol=0, atol=0)


def test_every_public_member_is_in_this_suite(every_model: list[Model]):
    assert {type(model) for model in every_model} == public(Model)
    assert {type(combination) for combination in COMBINATIONS} == public(Combination)


def test_fields_and_shapes(model: Model, batch: Batch):
    forward = model(batch, seed(0))
    assert forward.output.shape == model.target(batch).shape
    assert model.target(batch) is batch.x or not model.defines_density
    assert forward.log_likelihood.shape == (9,)
    assert forward.posteriors.keys() == forward.samples.keys()
    for name, posterior in forward.posteriors.items():
        assert posterior.mean.shape == posterior.log_variance.shape == forward.samples[name].shape
        assert posterior.mean.ndim == 2
    assert forward.steps is None
    assert (forward.heads is not None) == bool(model.populations and forward.posteriors)
    assert all(value.isfinite().all() for value in blocks(forward).values())


def test_log_likelihood_is_that_of_the_target(model: Model, batch: Batch):
    forward = model(batch, seed(0))
    torch.testing.assert_close(forward.log_likelihood, model.likelihood.log_prob(model.target(batch), forward.output))


def test_codes_are_posterior_means(model: Model, batch: Batch):
    forward, codes = model.eval()(batch), model.encode(batch.x)
    assert codes.keys() == forward.posteriors.keys()
    for name, code in codes.items():
        if code.ndim == 3:  # every head
            assert forward.heads is not None
            assert batch.population is not None
            assert torch.equal(code, forward.heads.mean)
            assert code.shape[:2] == (9, len(model.populations))
            code = code[torch.arange(9), batch.population]
        assert torch.equal(code, forward.posteriors[name].mean)


def test_the_seed_decides_the_samples(model: Model, batch: Batch):
    model.eval()
    one, two, other = model(batch, seed(7)), model(batch, seed(7)), model(batch, seed(8))
    assert_same(one, two)
    assert all(not torch.equal(one.samples[name], other.samples[name]) for name in one.samples)


def test_global_random_state_is_neither_read_nor_changed(model: Model, batch: Batch):
    model.eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        one = model(batch, seed(0))
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        assert_same(one, model(batch, seed(0)))


def test_without_generator_the_samples_are_the_means(model: Model, batch: Batch):
    forward = model.eval()(batch)
    assert_same(forward, model(batch))
    for name, posterior in forward.posteriors.items():
        assert torch.equal(forward.samples[name], posterior.mean)


def test_gradients_reach_every_parameter(model: Model, batch: Batch):
    ELBO()(model(batch, seed(0)), batch, Progress()).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_description_rebuilds_the_model(model: Model, batch: Batch):
    model(batch, seed(3))  # moves running averages, if there are any
    again = build(json.loads(json.dumps(describe(model))))
    assert type(again) is type(model)
    assert repr(again) == repr(model)
    assert describe(again) == describe(model)
    assert list(again.state_dict()) == list(model.state_dict())
    again.load_state_dict(model.state_dict())
    assert_same(again.eval()(batch, seed(5)), model.eval()(batch, seed(5)))


def test_evaluation_leaves_buffers_alone(model: Model, batch: Batch):
    model.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model(batch, seed(0))
    model.encode(batch.x)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_in_evaluation_observations_do_not_meet(model: Model, batch: Batch):
    model.eval()
    some = Batch(batch.x[4:7], None if batch.population is None else batch.population[4:7])
    few, many = blocks(model(some)), blocks(model(batch))
    torch.testing.assert_close(few, {name: value[4:7] for name, value in many.items()}, rtol=1e-4, atol=1e-5)


def test_double_precision_stays(model: Model, batch: Batch):
    forward = model.double().eval()(replace(batch, x=batch.x.double()), seed(0))
    assert all(value.dtype == torch.float64 for value in blocks(forward).values())


def test_repr_shows_the_arguments(model: Model):
    assert repr(model).startswith(f"{type(model).__name__}(")
    assert " at 0x" not in repr(model)
    assert repr(model.likelihood) in repr(model) or "likelihood" not in signature(type(model)).parameters


def test_other_populations_than_the_models_are_refused(model: Model, batch: Batch):
    if not model.populations:
        assert_same(model.eval()(batch), model(replace(batch, population=torch.full((9,), 5))))
        return
    with pytest.raises(ValueError, match=r"expected a population index.*got none; use data with populations"):
        model(Batch(batch.x))
    for label in (len(model.populations), -1):
        with pytest.raises(ValueError, match=rf"expected .* from 0 to .*'first'.*got {label}; .*never seen"):
            model(replace(batch, population=torch.full((9,), label)))


def test_the_order_of_populations_within_a_batch_does_not_matter(model: Model, batch: Batch):
    order = torch.randperm(9, generator=seed(0))
    shuffled = Batch(batch.x[order], None if batch.population is None else batch.population[order])
    straight = {name: value[order] for name, value in blocks(model.eval()(batch)).items()}
    torch.testing.assert_close(blocks(model(shuffled)), straight, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("combination", COMBINATIONS, ids=repr)
def test_combinations_have_a_neutral_element(combination: Combination):
    x = torch.randn(4, 3, generator=seed(0))
    neutral = torch.full_like(x, combination.neutral)
    torch.testing.assert_close(combination(x, neutral), x)
    torch.testing.assert_close(combination(neutral, x), x)
    assert repr(build(describe(combination))) == repr(combination)


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"one shape, got \(5,\).*and \(6,\)"):
        check_shapes(MLPTrunk(5), MLPDecoder(2, 6))


@pytest.mark.parametrize(
    ("private", "names", "message"),
    [
        ([2, 2], ("a",), r"one private decoder for each .*\('a',\), got 2"),
        ([2, 2], ("a", "a"), r"distinct names \('a', 'a'\), got 2"),
        ([], (), r"one private decoder .*got 0"),
        ([2, 3], ("a", "b"), r"one number of latents, got \[2, 3\]"),
    ],
)
def test_populations_that_do_not_fit_are_refused(private, names, message):
    decoders = [MLPDecoder(latents, 5) for latents in private]
    with pytest.raises(ValueError, match=message):
        CPVAE(MLPTrunk(5), MLPDecoder(2, 5), decoders, Gaussian(), names)
