"""The negative binomial against SciPy's and PyTorch's, near Poisson, and where float32 would lose it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import distributions

from unbraid.likelihoods import IgnoreMissing
from unbraid.likelihoods.negative_binomial import NegativeBinomial

FEATURES = 5


def drawn(seed: int, dispersion: float, scale: float = 3.0) -> tuple[NegativeBinomial, torch.Tensor, torch.Tensor]:
    """A likelihood with its own dispersion for every feature, counts and outputs, in float64."""
    generator = torch.Generator().manual_seed(seed)
    likelihood = NegativeBinomial(FEATURES, dispersion).double()
    with torch.no_grad():
        likelihood.log_excess.add_(torch.randn(FEATURES, generator=generator, dtype=torch.float64), alpha=0.5)
    output = scale * torch.randn(40, FEATURES, generator=generator, dtype=torch.float64)
    counts = torch.poisson(200 * torch.softmax(output, 1), generator=generator)
    return likelihood, counts, output


def expected(likelihood: NegativeBinomial, x: torch.Tensor, output: torch.Tensor, library: torch.Tensor) -> np.ndarray:
    r = 1 / likelihood.current_dispersion().detach().numpy()
    mean = (library[:, None] * torch.softmax(output, 1)).numpy()
    return stats.nbinom.logpmf(x.numpy(), r, r / (r + mean))


@given(seed=st.integers(0, 1000), dispersion=st.floats(1e-3, 100), scale=st.floats(0, 5))
def test_equals_that_of_scipy(seed, dispersion, scale):
    likelihood, x, output = drawn(seed, dispersion, scale)
    library = torch.linspace(1, 1e5, len(x), dtype=torch.float64)
    theirs = expected(likelihood, x, output, library)
    np.testing.assert_allclose(likelihood.log_prob_each(x, output, library).detach(), theirs, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(likelihood.log_prob(x, output, library).detach(), theirs.sum(1), rtol=1e-6, atol=1e-6)


def test_equals_that_of_torch():
    likelihood, x, output = drawn(0, 0.7)
    mean = x.sum(1, keepdim=True).clamp(min=1) * torch.softmax(output, 1)
    dispersion = likelihood.current_dispersion()
    theirs = distributions.NegativeBinomial(1 / dispersion, logits=(mean * dispersion).log()).log_prob(x)
    torch.testing.assert_close(likelihood.log_prob_each(x, output), theirs, rtol=1e-6, atol=1e-6)


def test_the_library_is_the_sum_of_the_counts_unless_given():
    likelihood, x, output = drawn(1, 0.7)
    torch.testing.assert_close(likelihood.log_prob(x, output), likelihood.log_prob(x, output, x.sum(1)))
    assert not torch.allclose(likelihood.log_prob(x, output), likelihood.log_prob(x, output, 2 * x.sum(1)))


def test_a_small_dispersion_is_poisson():
    """In float32 too, where Gamma(x + r) / Gamma(r) would lose every digit."""
    likelihood = NegativeBinomial(FEATURES, 1.1e-6)
    _, x, output = drawn(2, 1.0)
    mean = x.sum(1, keepdim=True) * torch.softmax(output, 1)
    poisson = distributions.Poisson(mean).log_prob(x)
    ours = likelihood.log_prob_each(x.float(), output.float()).double()
    torch.testing.assert_close(ours, poisson, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("dispersion", [2e-6, 1e-3, 1.0, 1e4])
@pytest.mark.parametrize("library", [1.0, 1e3, 1e7])
@pytest.mark.parametrize("spread", [0.0, 10.0, 100.0])
def test_values_and_gradients_are_finite_and_as_in_double_precision(dispersion, library, spread):
    x = torch.tensor([[0.0, 1.0, 30.0, 1e4, 1e7]])
    output = spread * torch.tensor([[0.0, 1.0, -1.0, 0.5, -0.5]])
    values, gradients = [], []
    for precision in (torch.float32, torch.float64):
        likelihood = NegativeBinomial(FEATURES, dispersion).to(precision)
        with torch.no_grad():  # the same to the last bit in both
            likelihood.log_excess.copy_(NegativeBinomial(FEATURES, dispersion).log_excess)
        inner = output.detach().clone().to(precision).detach().requires_grad_()
        each = likelihood.log_prob_each(x.to(precision), inner, torch.tensor([library], dtype=precision))
        each.sum().backward()
        assert inner.grad is not None
        assert likelihood.log_excess.grad is not None
        values.append(each.detach().double())
        gradients.append(torch.cat([inner.grad[0], likelihood.log_excess.grad]).double())
    for single, double in (values, gradients):
        assert single.isfinite().all()
        torch.testing.assert_close(single, double, rtol=1e-2, atol=1e-2 * (1 + float(double.abs().max()) / 100))


def test_gradients_are_those_of_finite_differences():
    likelihood, x, output = drawn(3, 0.5)
    library = x.sum(1)

    def total(output, log_excess):
        return torch.func.functional_call(likelihood, {"log_excess": log_excess}, (x[:4], output, library[:4]))

    likelihood.forward = likelihood.log_prob_each  # type: ignore[method-assign]
    inputs = (output[:4].clone().requires_grad_(), likelihood.log_excess.detach().clone().requires_grad_())
    assert torch.autograd.gradcheck(total, inputs)


def test_the_dispersion_is_learned():
    rng = np.random.default_rng(0)
    r = np.array([0.5, 2.0, 20.0, 5.0, 1.0])
    mean = np.full((4000, FEATURES), 50.0)
    x = torch.from_numpy(rng.negative_binomial(r, r / (r + mean))).double()
    likelihood = NegativeBinomial(FEATURES).double()
    optimizer = torch.optim.LBFGS(likelihood.parameters(), max_iter=100, line_search_fn="strong_wolfe")
    library = torch.full((len(x),), 50.0 * FEATURES, dtype=torch.float64)

    def closure():
        optimizer.zero_grad()
        loss = -likelihood.log_prob(x, torch.zeros_like(x), library).mean()
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]
    np.testing.assert_allclose(likelihood.current_dispersion().detach(), 1 / r, rtol=0.15)


def test_added_outputs_multiply_expected_counts():
    likelihood, _, output = drawn(4, 1.0)
    change = torch.zeros(FEATURES, dtype=torch.float64)
    change[2] = np.log(8)
    before, after = likelihood.mean(output), likelihood.mean(output + change)
    ratio = after / before
    torch.testing.assert_close(ratio[:, 2] / ratio[:, 0], torch.full((40,), 8.0, dtype=torch.float64))
    torch.testing.assert_close(likelihood.mean(output + 3.7), before)  # what all features share says nothing
    torch.testing.assert_close(before.sum(-1), torch.full((40,), 1e4, dtype=torch.float64))


def test_means_come_at_the_library_that_is_asked_for():
    likelihood = NegativeBinomial(FEATURES, reference=100.0)
    output = torch.randn(3, 2, FEATURES)
    torch.testing.assert_close(likelihood.mean(output).sum(-1), torch.full((3, 2), 100.0))
    library = torch.tensor([1.0, 2.0, 30.0])
    torch.testing.assert_close(likelihood.mean(output, library).sum(-1), library[:, None].expand(3, 2))


def test_missing_counts_can_be_ignored():
    likelihood, x, output = drawn(5, 1.0)
    holed = x.clone()
    holed[0, 1] = torch.nan
    each = IgnoreMissing(likelihood).log_prob_each(holed, output, x.sum(1))
    whole = likelihood.log_prob_each(x, output, x.sum(1))
    assert each[0, 1] == 0
    torch.testing.assert_close(each[1:], whole[1:])
    torch.testing.assert_close(each[0, [0, 2, 3, 4]], whole[0, [0, 2, 3, 4]])


def test_an_observation_without_counts_has_a_finite_density():
    assert NegativeBinomial(FEATURES).log_prob(torch.zeros(2, FEATURES), torch.randn(2, FEATURES)).isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "features of at least 1, got 0"),
        ((3, 0.0), "dispersion above 1e-06, got 0.0"),
        ((3, -1.0), "dispersion above 1e-06, got -1.0"),
        ((3, float("nan")), "dispersion above 1e-06, got nan"),
        ((3, 1.0, 0.0), "reference above 0, got 0.0"),
    ],
)
def test_what_gives_no_distribution_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        NegativeBinomial(*arguments)
