"""Likelihoods against torch.distributions, and the learned variance against its closed form."""

import json
from inspect import isabstract

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, distributions

import unbraid.likelihoods
from unbraid.configuration import build, describe
from unbraid.likelihoods import Bernoulli, Categorical, Gaussian, IgnoreMissing, Likelihood, NegativeBinomial

TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-10}
dtypes = pytest.mark.parametrize("dtype", TOLERANCE)
CASES = {
    "Bernoulli": Bernoulli(),
    "Gaussian": Gaussian(0.3),
    "Gaussian, learned": Gaussian(0.3, learned=True),
    "Gaussian, squashed": Gaussian(0.3, squash=True),
    "negative binomial": NegativeBinomial(1),
    "categorical": Categorical(),
    "Gaussian, missing ignored": IgnoreMissing(Gaussian(0.3, learned=True)),
}
every = pytest.mark.parametrize("likelihood", CASES.values(), ids=CASES)
cells = st.tuples(st.floats(0, 1, width=32), st.floats(-20, 20, width=32))
arrays = st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=5)


def pair(values, dtype) -> tuple[Tensor, Tensor]:
    """Observations in [0, 1] and outputs, `[batch, 3]`."""
    x, output = torch.tensor(values, dtype=dtype).unbind(-1)
    return x, output


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    tolerance = TOLERANCE[ours.dtype]
    torch.testing.assert_close(ours, theirs, rtol=2 * tolerance, atol=2 * tolerance)


def test_every_public_likelihood_is_in_this_suite():
    members = {getattr(unbraid.likelihoods, name) for name in unbraid.likelihoods.__all__}
    assert {type(case) for case in CASES.values()} == {member for member in members if not isabstract(member)}


@dtypes
@given(values=arrays)
def test_bernoulli_equals_that_of_torch(dtype, values):
    x, output = pair(values, dtype)
    expected = distributions.Bernoulli(logits=output, validate_args=False).log_prob(x).sum(1)
    assert_close(Bernoulli().log_prob(x, output), expected)
    assert_close(Bernoulli().mean(output), distributions.Bernoulli(logits=output).mean)


@dtypes
def test_categorical_equals_that_of_torch(dtype):
    output, chosen = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=dtype), torch.arange(6) % 4
    theirs = distributions.Categorical(logits=output)
    one_hot = torch.nn.functional.one_hot(chosen, 4).to(dtype)
    assert_close(Categorical().log_prob(one_hot, output), theirs.log_prob(chosen))
    assert_close(Categorical().mean(output), theirs.probs)


@dtypes
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("squash", [False, True])
@given(values=arrays, variance=st.floats(0.01, 100))
def test_gaussian_equals_that_of_torch(dtype, learned, squash, values, variance):
    x, output = pair(values, dtype)
    ours = Gaussian(variance, learned, squash).to(dtype)
    mean = torch.sigmoid(output) if squash else output
    theirs = distributions.Normal(mean, ours.current_variance().sqrt())
    torch.testing.assert_close(ours.current_variance().item(), variance, rtol=1e-5, atol=0)
    assert_close(ours.log_prob(x, output), theirs.log_prob(x).sum(1))
    assert_close(ours.mean(output), mean)


@every
def test_images_are_summed_over_all_dimensions(likelihood: Likelihood):
    x, output = torch.rand(4, 2, 3, 5), torch.randn(4, 2, 3, 5)
    assert likelihood.log_prob(x, output).shape == (4,)
    torch.testing.assert_close(likelihood.log_prob(x, output), likelihood.log_prob(x.flatten(1), output.flatten(1)))


@every
def test_log_prob_is_largest_at_the_mean(likelihood: Likelihood):
    output = torch.randn(4, 6)
    mean = likelihood.mean(output)
    here = likelihood.log_prob(mean, output)
    there = likelihood.log_prob(mean, output + 0.1 * torch.randn(4, 6))
    assert (here >= there).all()


@every
def test_description_rebuilds_the_likelihood(likelihood: Likelihood):
    again = build(json.loads(json.dumps(describe(likelihood))))
    assert repr(again) == repr(likelihood)
    assert again.bounds == likelihood.bounds
    assert list(again.state_dict()) == list(likelihood.state_dict())


def test_bounds_are_those_of_the_mean():
    assert CASES["Bernoulli"].bounds == CASES["Gaussian, squashed"].bounds == (0.0, 1.0)
    assert CASES["Gaussian"].bounds is None


def test_only_a_learned_variance_is_a_parameter_and_reported():
    assert list(Gaussian(0.3).parameters()) == []
    assert Gaussian(0.3).reported() == {}
    learned = Gaussian(0.3, learned=True)
    assert [name for name, _ in learned.named_parameters()] == ["log_excess"]
    assert learned.reported()["variance"].item() == pytest.approx(0.3)
    assert not learned.reported()["variance"].requires_grad


def optimised(likelihood: Gaussian, x: Tensor, output: Tensor) -> Gaussian:
    """The likelihood at the optimum of its own parameters, the decoder's output being fixed."""
    likelihood = likelihood.double()
    optimizer = torch.optim.LBFGS(
        likelihood.parameters(), max_iter=500, line_search_fn="strong_wolfe", tolerance_grad=1e-12, tolerance_change=0
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = -likelihood.log_prob(x, output).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return likelihood


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("start", [0.02, 1.0, 30.0])
def test_learned_variance_reaches_its_closed_form_optimum(start, squash):
    """For fixed means the optimum is the mean squared residual per coordinate."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(200, 3, 4, generator=generator, dtype=torch.float64)
    output = torch.randn(200, 3, 4, generator=generator, dtype=torch.float64)
    likelihood = optimised(Gaussian(start, learned=True, squash=squash), x, output)
    expected = (x - likelihood.mean(output)).square().mean()
    torch.testing.assert_close(likelihood.current_variance(), expected, rtol=1e-6, atol=0)


def test_learned_variance_stops_at_its_floor():
    """Residuals below the floor: the variance goes to the floor, and the density stays finite."""
    x = torch.rand(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    likelihood = optimised(Gaussian(0.5, learned=True, floor=0.01), x, x + 0.001)
    assert 0.01 <= likelihood.current_variance().item() < 0.0101
    exact = optimised(Gaussian(0.5, learned=True, floor=0.01), x, x)
    assert exact.log_prob(x, x).isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0,), "variance above 0, got 0.0; give a larger variance"),
        ((-1.0,), "variance above 0, got -1.0; give a larger variance"),
        ((float("nan"),), "variance above 0, got nan"),
        ((1e-4, True), "variance above 0.0001, got 0.0001; .* smaller floor"),
    ],
)
def test_a_variance_that_is_none_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Gaussian(*arguments)
