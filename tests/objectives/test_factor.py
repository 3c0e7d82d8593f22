"""FactorVAE: algorithm 2 of Kim & Mnih 2018 written out, and the two trainings that must not meet."""

import copy
import json
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from unbraid.configuration import build, describe
from unbraid.data import Arrays
from unbraid.likelihoods import Bernoulli, Gaussian
from unbraid.models import CPVAE, Model, SequentialVAE
from unbraid.nets import MLPDecoder, MLPTrunk, compute_as
from unbraid.objectives import ELBO
from unbraid.objectives.factor import FactorVAE, permuted
from unbraid.settings import Computation
from unbraid.types import Batch, Forward, Normal, Progress

CPU, GAMMA, SLOPE, RATE, BETAS = torch.device("cpu"), 6.4, 0.1, 1e-2, (0.5, 0.9)


def seed(value: int) -> torch.Generator:
    return torch.Generator().manual_seed(value)


def made(sequential: bool = False, skip: bool = False) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SequentialVAE(MLPTrunk(5, (8,)), MLPDecoder(3, 5, (8,)), Bernoulli(), sequential, skip)


def batches(count: int, dtype: torch.dtype = torch.float64) -> Iterator[Batch]:
    for step in range(count):
        yield Batch(torch.rand(16, 5, generator=seed(step)).to(dtype))


def values(of: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in of.state_dict().items()}


# written out: D with its weights in a list, Adam with its two averages


def d_of(z: Tensor, weights: list[Tensor]) -> Tensor:
    """D_psi(z), the probability that z was drawn from q(z)."""
    for weight, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        z = z @ weight.T + bias
        z = torch.where(z > 0, z, SLOPE * z)
    logits = z @ weights[-2].T + weights[-1]
    return logits[:, 0].exp() / logits.exp().sum(1)


class Adam:
    def __init__(self, parameters: list[Tensor], rate: float, betas: tuple[float, float]):
        self.parameters, self.rate, self.betas, self.step = parameters, rate, betas, 0
        self.first, self.second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))

    def __call__(self, loss: Tensor) -> None:
        self.step += 1
        one, two = self.betas
        for index, gradient in enumerate(torch.autograd.grad(loss, self.parameters)):
            self.first[index] = one * self.first[index] + (1 - one) * gradient
            self.second[index] = two * self.second[index] + (1 - two) * gradient**2
            mean, square = self.first[index] / (1 - one**self.step), self.second[index] / (1 - two**self.step)
            self.parameters[index].data -= self.rate * mean / (square.sqrt() + 1e-8)


@pytest.mark.parametrize("sequential", [False, True])
def test_some_steps_are_those_of_algorithm_2(sequential: bool):
    objective, model, literal = FactorVAE(GAMMA, (7, 6), SLOPE, RATE), *(made(sequential).double() for _ in range(2))
    objective.prepare(model, CPU, seed=1)
    psi = [value.detach().clone().requires_grad_() for value in objective.network.parameters()]
    adam = torch.optim.Adam(model.parameters(), 1e-3)
    g, g_d = Adam(list(literal.parameters()), 1e-3, (0.9, 0.999)), Adam(psi, RATE, BETAS)
    for step, (batch, other) in enumerate(zip(batches(12), batches(24), strict=False)):
        other = Batch(other.x.flip(0) * 0.9)
        # ours
        forward = model(batch, seed(step))
        terms = objective(forward, batch, Progress(step))
        adam.zero_grad()
        terms.loss.backward()
        adam.step()
        with torch.no_grad():
            others = model.samples(other, seed(100 + step))
        samples = {name: z.detach() for name, z in forward.samples.items()}
        followed = objective.follow(samples, others, seed(200 + step))
        # line 4 and 5, KL in closed form
        run = literal(batch, seed(step))
        z, q, m = run.samples["z"], run.posteriors["z"], len(batch)
        log_ratio = run.log_likelihood - 0.5 * (q.mean**2 + q.log_variance.exp() - 1 - q.log_variance).sum(1)
        d = d_of(z, psi)
        g(-(log_ratio - GAMMA * (d / (1 - d)).log()).sum() / m)
        # lines 7 to 9, with the new theta; z of line 4
        second = literal(other, seed(100 + step)).samples["z"].detach()
        order = torch.rand(m, 3, generator=seed(200 + step)).argsort(0)
        perm = torch.stack([second[order[:, j], j] for j in range(3)], 1)
        loss = -(d_of(z.detach(), psi).log().sum() + (1 - d_of(perm, psi)).log().sum()) / (2 * m)
        assert followed["adversary/loss"].item() == pytest.approx(loss.item(), abs=1e-9)
        right = torch.cat([d_of(z, psi) > 0.5, d_of(perm, psi) < 0.5]).double().mean()
        assert followed["adversary/accuracy"].item() == pytest.approx(right.item())
        g_d(loss)
        torch.testing.assert_close(dict(model.named_parameters()), dict(literal.named_parameters()), rtol=0, atol=1e-6)
        torch.testing.assert_close(list(objective.network.parameters()), psi, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("sequential", "skip"), [(False, False), (False, True), (True, False), (True, True)])
def test_neither_loss_trains_the_others_weights(sequential: bool, skip: bool):
    model, objective = made(sequential, skip), FactorVAE(widths=(7, 6))
    objective.prepare(model, CPU, seed=0)
    (batch,) = batches(1, torch.float32)
    forward, before = model(batch, seed(0)), values(objective.network)
    objective(forward, batch, Progress()).loss.backward()
    assert all(weight.grad is None for weight in objective.network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in objective.network.state_dict().items())
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    kept = {name: gradient.clone() for name, gradient in gradients.items() if gradient is not None}
    weights = values(model)
    # even latents that still have their history take nothing back
    objective.follow(model(batch, seed(0)).samples, model.samples(batch, seed(1)), seed(2))
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert all(not torch.equal(value, before[name]) for name, value in objective.network.state_dict().items())
    assert {name for name, weight in model.named_parameters() if weight.grad is not None} == set(kept)
    for name, weight in model.named_parameters():
        assert weight.grad is gradients[name]
        assert weight.grad is None or torch.equal(weight.grad, kept[name])


def test_the_total_correlation_reaches_the_encoder():
    """It is the only term that does, with the reconstruction and the KL taken away."""
    model, objective = made(), FactorVAE(1.0, (7, 6))
    objective.prepare(model, CPU, seed=0)
    (batch,) = batches(1, torch.float32)
    objective(model(batch, seed(0)), batch, Progress()).parts["total_correlation"].backward()
    for part, reached in ((model.trunk, True), (model.head, True), (model.decoder, False)):
        assert isinstance(part, torch.nn.Module)
        assert all((weight.grad is not None and bool(weight.grad.any())) == reached for weight in part.parameters())


@pytest.mark.parametrize("gamma", [0.0, 35.0])
def test_loss_is_the_elbo_and_gamma_times_the_estimate(gamma: float):
    model, objective = made(), FactorVAE(gamma, (7, 6))
    objective.prepare(model, CPU, seed=0)
    (batch,) = batches(1, torch.float32)
    forward = model(batch, seed(0))
    found, bound = objective(forward, batch, Progress()), ELBO()(forward, batch, Progress())
    logits = objective.network(forward.samples["z"])
    estimate = (logits.log_softmax(1)[:, 0] - logits.log_softmax(1)[:, 1]).mean()
    torch.testing.assert_close(found.parts, {**bound.parts, "total_correlation": estimate})
    torch.testing.assert_close(found.loss, bound.loss + gamma * estimate)


def test_every_dimension_is_permuted_on_its_own():
    z = torch.arange(60.0).reshape(20, 3)
    found = permuted(z, seed(0))
    assert torch.equal(found.sort(0).values, z)
    orders = [tuple(((column - k) / 3).int().tolist()) for k, column in enumerate(found.T)]
    assert len(set(orders)) == 3
    assert tuple(range(20)) not in orders
    assert torch.equal(found, permuted(z, seed(0)))
    assert not torch.equal(found, permuted(z, seed(1)))


def correlated(count: int, value: int, correlation: float = 0.8) -> Tensor:
    """Three latents, the first two correlated; total correlation -log(1 - correlation^2) / 2."""
    z = torch.randn(count, 3, generator=seed(value))
    z[:, 1] = correlation * z[:, 0] + math.sqrt(1 - correlation**2) * z[:, 1]
    return z


def estimated(objective: FactorVAE, z: Tensor) -> float:
    none, normal = torch.zeros(len(z)), Normal(torch.zeros_like(z), torch.zeros_like(z))
    forward = Forward(none, none, {"z": normal}, {"z": z})
    return objective(forward, Batch(z), Progress()).parts["total_correlation"].item()


@pytest.mark.slow
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_the_estimate_approaches_the_total_correlation_of_a_gaussian(correlation: float):
    """Of fresh samples, after the discriminator's training on others; the mean of several, since it wavers."""
    objective, truth = FactorVAE(widths=(64, 64), learning_rate=3e-4), -math.log(1 - correlation**2) / 2
    objective.prepare(made(), CPU, seed=0)
    z, found, accuracy = correlated(50_000, 10**6, correlation), [], []
    assert estimated(objective, z) == pytest.approx(0, abs=0.1)
    for step in range(800):
        samples, others = (correlated(1024, 2 * step + k, correlation) for k in range(2))
        followed = objective.follow({"z": samples}, {"z": others}, seed(step))
        if step >= 400:
            accuracy.append(followed["adversary/accuracy"].item())
            found += [estimated(objective, z)] if step % 50 == 0 else []
    assert sum(found) / len(found) == pytest.approx(truth, abs=0.04)
    assert (sum(accuracy) / len(accuracy) > 0.53) == (correlation > 0)


def test_prepared_weights_depend_on_the_seed_alone():
    objective = FactorVAE(widths=(7, 6))
    found = []
    for number, disturbance in ((4, 0), (4, 1), (5, 1)):
        torch.manual_seed(disturbance)
        objective.prepare(made(), CPU, number)
        found.append(values(objective.network))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert not any(torch.equal(found[0][name], found[2][name]) for name in found[0])


def test_the_network_of_the_paper():
    objective = FactorVAE()
    objective.prepare(made(), CPU, 0)
    shapes = [tuple(value.shape) for name, value in objective.network.named_parameters() if name.endswith("weight")]
    assert shapes == [(1000, 3), *[(1000, 1000)] * 5, (2, 1000)]
    assert describe(objective) == describe(FactorVAE(35.0, (1000,) * 6, 0.2, 1e-4, (0.5, 0.9)))


def test_the_discriminator_in_bfloat16_is_close_and_its_weights_are_float32():
    model, objective = made(), FactorVAE(widths=(100,) * 3, learning_rate=1e-3)
    objective.prepare(model, CPU, seed=0)
    samples = {"z": torch.randn(256, 3, generator=seed(0))}
    mixed = {"z": torch.randn(256, 1, generator=seed(1)).expand(256, 3)}
    for step in range(30):  # until it tells something
        objective.follow(mixed, samples, seed(step))
    z = torch.randn(256, 3, generator=seed(2), requires_grad=True)
    found = []
    for precision in ("float32", "bfloat16"):
        compute_as(objective.network, Computation(precision=precision))
        logits = objective.network(z)
        (gradient,) = torch.autograd.grad((logits[:, 0] - logits[:, 1]).mean(), z)
        found.append((logits, gradient.flatten()))
    (exact, exact_gradient), (close, gradient) = found
    assert close.dtype == torch.float32
    assert 0 < (close - exact).abs().max() < 0.02 * exact.abs().max()
    assert torch.cosine_similarity(gradient, exact_gradient, dim=0) > 0.999
    objective.follow(mixed, samples, seed(0))
    assert all(weight.dtype == torch.float32 for weight in objective.network.parameters())


def test_state_goes_on_where_it_was():
    """In a copy made from the description, whose next updates are the same, bit for bit."""
    one, model = FactorVAE(2.0, (7, 6)), made()
    one.prepare(model, CPU, 0)
    for step in range(3):
        one.follow({"z": correlated(8, step)}, {"z": correlated(8, step + 9)}, seed(step))
    two = build(json.loads(json.dumps(describe(one))))
    two.prepare(model, CPU, 1)
    two.load_state_dict(copy.deepcopy(one.state_dict()))
    for each in (one, two):
        each.follow({"z": correlated(8, 5)}, {"z": correlated(8, 6)}, seed(7))
    assert all(torch.equal(value, two.network.state_dict()[name]) for name, value in one.network.state_dict().items())


def test_one_block_is_asked_for():
    own = [MLPDecoder(2, 5), MLPDecoder(2, 5)]
    cpvae = CPVAE(MLPTrunk(5), MLPDecoder(2, 5), own, Gaussian(), ("a", "b"))
    with pytest.raises(ValueError, match="expected a model with one latent block, got"):
        FactorVAE().check(cpvae, Arrays(torch.rand(4, 5).numpy()))


def test_a_discriminator_is_asked_for():
    model = made()
    (batch,) = batches(1, torch.float32)
    with pytest.raises(ValueError, match=r"expected a discriminator, got none yet; call prepare"):
        FactorVAE()(model(batch), batch, Progress())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": -1.0}, "expected gamma of at least 0, got -1"),
        ({"gamma": float("nan")}, "expected gamma of at least 0, got nan"),
        ({"widths": (5, 0)}, r"expected widths of at least 1, got \(5, 0\)"),
        ({"learning_rate": 0.0}, "expected a learning_rate above 0 .*, got 0.0"),
        ({"betas": (0.5,)}, r"two betas in \[0, 1\), got .*\(0.5,\)"),
        ({"betas": (0.5, 1.0)}, r"two betas in \[0, 1\), got .*\(0.5, 1.0\)"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        FactorVAE(**arguments)
