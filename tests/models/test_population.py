"""The cross-population VAE and its objective against literal K^2 transcriptions."""

import pytest
import torch

from unbraid.likelihoods import Gaussian
from unbraid.models import CPVAE, Combination
from unbraid.nets import MLPDecoder, MLPTrunk, NormTrunk, SkipDecoder
from unbraid.objectives import ELBO, Constant, CrossPopulation, Exponential
from unbraid.types import Batch, Progress

NAMES = ("a", "b", "c")


def small(dtype=torch.float64, combine=None):
    torch.manual_seed(0)
    private = [MLPDecoder(2, 7, (8,)) for _ in NAMES]
    return CPVAE(MLPTrunk(7, (8,)), MLPDecoder(3, 7, (8,)), private, Gaussian(0.5, True), NAMES, combine).to(dtype)


def mixed(dtype=torch.float64, population=(2, 0, 1, 0, 2, 2, 1)):
    x = torch.randn(len(population), 7, generator=torch.Generator().manual_seed(1), dtype=dtype)
    return Batch(x, torch.tensor(population))


def literal_objective(model, batch, noise, alpha):
    """Equation 6 as its double sum over populations: one encoding for each pair of head and population."""
    z_noise, t_noise = noise
    total, kinds = torch.zeros((), dtype=batch.x.dtype), len(NAMES)
    split = {k: (batch.population == k).nonzero()[:, 0] for k in range(kinds)}

    def encode(k, rows):
        features = model.trunk(batch.x[rows])
        z = model.shared_head(features).chunk(2, 1)
        width = 2 * model.private
        weight, bias = model.private_head.weight, model.private_head.bias
        t = features @ weight[k * width : (k + 1) * width].T + bias[k * width : (k + 1) * width]
        return z, t.chunk(2, 1)

    def kl(mean, log_variance):
        q = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
        return torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum()

    for k in range(kinds):
        rows = split[k]
        (z_mean, z_log), (t_mean, t_log) = encode(k, rows)
        z = z_mean + torch.exp(0.5 * z_log) * z_noise[rows]
        t = t_mean + torch.exp(0.5 * t_log) * t_noise[rows]
        mean = model.shared_decoder(z) + model.private_decoders[k](t)
        p = torch.distributions.Normal(mean, model.likelihood.current_variance().sqrt())
        total = total + p.log_prob(batch.x[rows]).sum() - kl(z_mean, z_log)
        for j in range(kinds):
            if j != k:
                other = kl(*encode(k, split[j])[1])
                total = total - alpha / (kinds - 1) * len(rows) / len(split[j]) * other
    return total


@pytest.mark.parametrize("alpha", [1.0, 3.5])
def test_objective_equals_the_literal_double_sum(alpha):
    model, batch = small(), mixed()
    generator = torch.Generator().manual_seed(4)
    again = torch.Generator().manual_seed(4)
    noise = [torch.randn(7, width, generator=again, dtype=torch.float64) for width in (3, 2)]
    expected = -literal_objective(model, batch, noise, alpha) / len(batch)
    loss = CrossPopulation(Constant(alpha))(model(batch, generator), batch, Progress()).loss
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    ours = torch.autograd.grad(loss, list(model.parameters()))
    literal = torch.autograd.grad(expected, list(model.parameters()))
    for mine, theirs in zip(ours, literal, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


def test_a_population_that_the_batch_lacks_adds_nothing():
    model, batch = small(), mixed(population=(0, 1, 0, 1))
    terms = CrossPopulation()(model(batch), batch, Progress())
    heads = model(batch).heads
    assert heads is not None
    kl = heads.kl().sum(-1)
    expected = (kl[[1, 3], 0].mean() * 2 + kl[[0, 2], 1].mean() * 2) / 2 / 4
    torch.testing.assert_close(terms.parts["kl/other"], expected)


def test_the_order_of_a_batch_does_not_matter():
    model, batch = small(), mixed()
    assert batch.population is not None
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    shuffled = model(Batch(batch.x[order], batch.population[order])).output
    torch.testing.assert_close(model(batch).output[order], shuffled)


def test_every_sample_is_decoded_by_its_own_population():
    model, batch = small(), mixed()
    forward = model(batch)
    assert batch.population is not None
    for row, k in enumerate(batch.population.tolist()):
        private = model.private_decoders[k](forward.samples["private"][row : row + 1])
        expected = model.shared_decoder(forward.samples["shared"][row : row + 1]) + private
        torch.testing.assert_close(forward.output[row : row + 1], expected)


def test_one_decoder_for_two_populations_is_refused():
    decoder = MLPDecoder(2, 7)
    with pytest.raises(ValueError, match="copy it"):
        CPVAE(MLPTrunk(7), MLPDecoder(3, 7), [decoder, decoder], Gaussian(), ("a", "b"))


@pytest.mark.parametrize("kinds", [2, 5, 10])
@pytest.mark.parametrize("objective", [ELBO(), CrossPopulation()], ids=["ELBO", "MI"])
def test_a_step_costs_one_trunk_pass_two_decodings_and_a_head_for_each_population(kinds, objective):
    """Never K^2 of anything: calls and rows of every network, in a whole step."""
    torch.manual_seed(0)
    private = [MLPDecoder(2, 7, (8,)) for _ in range(kinds)]
    names = [str(k) for k in range(kinds)]
    model = CPVAE(MLPTrunk(7, (8,)), MLPDecoder(3, 7, (8,)), private, Gaussian(0.5, True), names)
    calls: dict[str, list[int]] = {}

    def counting(name):
        return lambda module, inputs, output: calls.setdefault(name, []).append(len(output))

    for name in ("trunk", "shared_decoder", "shared_head", "private_head", *(f"private_decoders.{k}" for k in names)):
        model.get_submodule(name).register_forward_hook(counting(name))
    batch = Batch(torch.randn(6 * kinds, 7), torch.arange(6 * kinds) % kinds)
    objective(model(batch, torch.Generator().manual_seed(0)), batch, Progress()).loss.backward()
    whole = {name: [6 * kinds] for name in ("trunk", "shared_decoder", "shared_head", "private_head")}
    assert calls == whole | {f"private_decoders.{k}": [6] for k in names}


def test_parts_of_an_additive_model_add_up():
    model = small()
    parts = model.parts(mixed())
    torch.testing.assert_close(parts["full"], parts["private_only"] + parts["shared_only"])


def test_transfer_to_the_own_population_is_reconstruction():
    model, batch = small(), mixed()
    transferred = model.transfer(batch.x)
    rows = torch.arange(len(batch))
    torch.testing.assert_close(transferred[rows, batch.population], model.parts(batch)["full"])


class Multiply(Combination):
    """A combination of our own, to show that g is pluggable."""

    neutral = 1.0

    def __call__(self, shared, private):
        return shared * private


def test_another_combination():
    model, batch = small(combine=Multiply()), mixed()
    parts = model.parts(batch)
    torch.testing.assert_close(parts["full"], parts["private_only"] * parts["shared_only"])


def test_one_population_under_the_elbo_is_a_vae_with_two_blocks():
    torch.manual_seed(0)
    model = CPVAE(MLPTrunk(7), MLPDecoder(3, 7), [MLPDecoder(2, 7)], Gaussian(), ("only",))
    batch = mixed(torch.float32, population=(0, 0, 0))
    forward = model(batch)
    terms = ELBO()(forward, batch, Progress())
    expected = sum(forward.posteriors[name].kl().sum() / 3 for name in ("shared", "private"))
    torch.testing.assert_close(terms.loss - terms.parts["reconstruction"], expected)


def test_convolutional_networks_of_the_paper():
    torch.manual_seed(0)
    shape = (3, 32, 32)
    private = [SkipDecoder(4, shape) for _ in range(2)]
    model = CPVAE(NormTrunk(shape), SkipDecoder(5, shape), private, Gaussian(0.1, True), ("a", "b"))
    batch = Batch(torch.rand(4, *shape), torch.tensor([0, 1, 1, 0]))
    terms = CrossPopulation()(model(batch, torch.Generator().manual_seed(0)), batch, Progress())
    terms.loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_private_decoder_normalises_over_its_own_population_only():
    torch.manual_seed(0)
    shape = (1, 8, 8)
    private = [SkipDecoder(2, shape, (4, 4)) for _ in range(2)]
    model = CPVAE(NormTrunk(shape, (4, 4)), SkipDecoder(2, shape, (4, 4)), private, Gaussian(), ("a", "b"))
    population = torch.tensor([0, 0, 0, 1, 1])
    t = torch.randn(5, 2)
    shifted = torch.where(population[:, None] == 1, t + 10, t)
    before, after = model.decode_private(t, population), model.decode_private(shifted, population)
    torch.testing.assert_close(before[:3], after[:3])


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 1.0), (1, 1.1), (10, 1.1**10), (72, 1.1**72), (73, 1000.0), (10**6, 1000.0)]
)
def test_annealing_of_the_paper(epoch, expected):
    assert Exponential()(Progress(0, epoch)) == pytest.approx(expected)
