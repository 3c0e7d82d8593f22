"""The sequential pass against a literal transcription of the paper's algorithm, and the facts that follow from it."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from unbraid.likelihoods import Bernoulli, Gaussian
from unbraid.models import SequentialVAE
from unbraid.models.contract import Drawn
from unbraid.nets import ConvDecoder, ConvTrunk, MLPDecoder, MLPTrunk
from unbraid.objectives import ELBO
from unbraid.types import Batch, Progress

SWITCHES = [(False, False), (False, True), (True, False), (True, True)]
NAMES = ["VAE", "ResVAE", "SeqVAE", "SR-VAE"]
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


def small(latents, sequential, skip, dtype=torch.float32, **reading):
    torch.manual_seed(0)
    trunk, decoder = ConvTrunk(1, (4, 8), 16), ConvDecoder(latents, 1, (4, 8), 16)
    return SequentialVAE(trunk, decoder, Bernoulli(), sequential, skip, **reading).to(dtype)


def images(count, dtype=torch.float32):
    return torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(1)).to(dtype)


def literal_loss(model, x, noise):
    """Algorithm 1 line by line with its in-place assignments, then algorithm 2 with terms averaged over the batch."""
    batch, d = len(x), model.latents
    encoder = lambda g: model.head(model.trunk(g)).chunk(2, dim=1)  # noqa: E731
    mu, log_var = x.new_zeros(batch, d), x.new_zeros(batch, d)
    gamma, xhat = [None, x], [None]
    for i in range(1, d + 1):
        mu_i, log_var_i = encoder(gamma[i])
        mu, log_var = mu.clone(), log_var.clone()
        mu[:, i - 1], log_var[:, i - 1] = mu_i[:, i - 1], log_var_i[:, i - 1]
        z = x.new_zeros(batch, d)
        for j in range(1, i + 1):
            z[:, j - 1] = mu[:, j - 1] + torch.exp(log_var[:, j - 1] / 2) * noise[i - 1, :, j - 1]
        xhat.append(model.decoder(z))
        if i < d:
            gamma.append(gamma[i] - xhat[i])
    out = xhat[d] + gamma[d]
    reconstruction = F.binary_cross_entropy_with_logits(out, x, reduction="sum") / batch
    kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum() / batch
    return reconstruction + kl, out


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_sr_vae_equals_the_literal_algorithm(dtype):
    model, x = small(4, True, True, dtype), images(3, dtype)
    generator = torch.Generator().manual_seed(5)
    noise = torch.randn(4, 3, 4, generator=torch.Generator().manual_seed(5), dtype=dtype)
    expected, out = literal_loss(model, x, noise)
    gradients = torch.autograd.grad(expected, list(model.parameters()))
    forward = model(Batch(x), generator)
    loss = ELBO()(forward, Batch(x), Progress()).loss
    torch.testing.assert_close(forward.output, out, rtol=0, atol=TOLERANCE[dtype])
    torch.testing.assert_close(loss, expected, rtol=TOLERANCE[dtype], atol=0)
    for ours, literal in zip(torch.autograd.grad(loss, list(model.parameters())), gradients, strict=True):
        torch.testing.assert_close(
            ours, literal, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * literal.abs().max().item()
        )


@pytest.mark.parametrize("skip", [False, True])
def test_one_latent_makes_the_sequence_no_sequence(skip):
    outputs = []
    for sequential in (True, False):
        model = small(1, sequential, skip)
        outputs.append(model(Batch(images(5)), torch.Generator().manual_seed(2)))
    assert torch.equal(outputs[0].output, outputs[1].output)
    assert torch.equal(outputs[0].samples["z"], outputs[1].samples["z"])


@pytest.mark.parametrize("skip", [False, True])
def test_residuals_add_up(skip):
    """x - x' = sum_{i<d} xhat_i - xhat_d with the skip; without it x' = xhat_d."""
    model, x = small(4, True, skip), images(2)
    forward = model(Batch(x), torch.Generator().manual_seed(0), record=True)
    outputs, residuals = forward.steps.outputs, forward.steps.residuals
    torch.testing.assert_close(residuals[-1], x - outputs[:-1].sum(0), rtol=0, atol=1e-5)
    expected = outputs[-1] + (residuals[-1] if skip else 0)
    torch.testing.assert_close(forward.output, expected, rtol=0, atol=1e-6)


def test_steps_are_kept_only_on_request():
    model = small(3, True, True)
    assert model(Batch(images(2))).steps is None
    assert model(Batch(images(2)), record=True).steps.outputs.shape == (3, 2, 1, 16, 16)


@pytest.mark.parametrize(("sequential", "skip"), SWITCHES, ids=NAMES)
def test_held_latents_are_set_at_their_step_and_stay(sequential, skip):
    model, x = small(3, sequential, skip), images(4)
    held = torch.full((4, 3), torch.nan)
    held[:, 1] = torch.tensor([-2.0, -1.0, 1.0, 2.0])
    free, fixed = model(Batch(x), record=True), model(Batch(x), held=held, record=True)
    assert torch.equal(fixed.samples["z"][:, 1], held[:, 1])
    assert torch.equal(fixed.samples["z"][:, 0], free.samples["z"][:, 0])
    if sequential:  # the step before sees nothing of it, later residuals do
        assert torch.equal(fixed.steps.outputs[0], free.steps.outputs[0])
        assert not torch.equal(fixed.steps.residuals[2], free.steps.residuals[2])


@pytest.mark.parametrize(("sequential", "skip"), SWITCHES, ids=NAMES)
def test_earlier_steps_do_not_see_later_latents(sequential, skip):
    model = small(3, sequential, skip)
    seen = []
    model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    model(Batch(images(2)), torch.Generator().manual_seed(0))
    assert len(seen) == (3 if sequential else 1)
    for step, z in enumerate(seen, start=1):
        width = step if sequential else 3
        assert (z[:, :width] != 0).all()
        assert (z[:, width:] == 0).all()


def test_earlier_latents_are_sampled_afresh_at_every_step():
    model, seen = small(3, True, True), []
    model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0][:, 0].detach()))
    model(Batch(images(2)), torch.Generator().manual_seed(0))
    assert not torch.equal(seen[0], seen[1])


def test_or_keep_the_noise_that_they_had_at_first():
    model, seen = small(3, True, True, resampled=False), []
    model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    forward = model(Batch(images(2)), torch.Generator().manual_seed(0))
    for step, z in enumerate(seen, start=1):
        assert torch.equal(z[:, :step], forward.samples["z"][:, :step])


def test_latents_come_in_another_order_at_every_pass_if_shuffled():
    model, orders = small(4, True, True, shuffled=True), []
    for seed in range(8):
        seen: list[torch.Tensor] = []
        hook = model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))  # noqa: B023
        forward = model(Batch(images(3)), torch.Generator().manual_seed(seed))
        hook.remove()
        known = torch.stack([(z != 0).all(0) for z in seen])  # [step, latent]
        assert torch.equal(known.sum(1), torch.arange(1, 5))  # one more a step, and none is forgotten
        assert (known[1:] >= known[:-1]).all()
        orders.append(tuple((~known).sum(0).argsort().tolist()))
        assert torch.equal(forward.samples["z"], seen[-1])
    assert len(set(orders)) > 3


@pytest.mark.parametrize("resampled", [True, False])
def test_a_shuffled_pass_is_the_same_pass_with_its_latents_renamed(resampled):
    shuffled = small(4, True, True, torch.float64, resampled=resampled, shuffled=True)
    x, held = images(3, torch.float64), torch.full((3, 4), torch.nan, dtype=torch.float64)
    held[:, 2] = 1.5
    drawn = torch.randn(4, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    noise = torch.randn(4 if resampled else 1, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    found = shuffled(Batch(x), Drawn([drawn, noise]), held)
    order = drawn.argsort()
    renamed = small(4, True, True, torch.float64, resampled=resampled)
    with torch.no_grad():
        both = torch.cat([order, 4 + order])
        renamed.head.weight.copy_(shuffled.head.weight[both])
        renamed.head.bias.copy_(shuffled.head.bias[both])
        first = next(weight for name, weight in renamed.decoder.named_parameters() if name.endswith("weight"))
        first.copy_(first[:, order])
    expected = renamed(Batch(x), Drawn([noise]), held[:, order])
    torch.testing.assert_close(found.output, expected.output)
    torch.testing.assert_close(found.posteriors["z"].mean[:, order], expected.posteriors["z"].mean)
    torch.testing.assert_close(found.samples["z"][:, order], expected.samples["z"])


def test_without_noise_a_shuffled_model_takes_its_own_order():
    plain, shuffled = small(4, True, True), small(4, True, True, shuffled=True)
    assert torch.equal(plain.posterior(images(3)).mean, shuffled.posterior(images(3)).mean)


def test_same_seed_same_numbers():
    model, x = small(3, True, True), images(2)
    one, two, other = (model(Batch(x), torch.Generator().manual_seed(seed)).output for seed in (7, 7, 8))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(("sequential", "skip"), SWITCHES, ids=NAMES)
def test_only_models_without_skip_define_a_density(sequential, skip):
    assert small(2, sequential, skip).defines_density is not skip


@pytest.mark.slow
@pytest.mark.parametrize(("squash", "collapses"), [(False, True), (True, False)], ids=["pixel space", "logit space"])
def test_the_degenerate_reading_collapses(squash, collapses):
    """Pixel-space output and squared error: D = 0 with posterior = prior is a global optimum, and training finds it."""
    generator = torch.Generator().manual_seed(3)
    corners = torch.randint(0, 5, (256, 2), generator=generator)
    squares = torch.zeros(256, 8, 8)
    for image, (row, column) in zip(squares, corners.tolist(), strict=True):
        image[row : row + 4, column : column + 4] = 1
    torch.manual_seed(0)
    networks = MLPTrunk(64, (32,)), MLPDecoder(2, 64, (32,))
    model = SequentialVAE(*networks, Gaussian(variance=0.05, squash=squash))
    optimizer = torch.optim.Adam(model.parameters(), 5e-3)
    terms = None
    for step in range(800):
        batch = Batch(squares[torch.randint(0, 256, (64,), generator=generator)].flatten(1))
        terms = ELBO()(model(batch, generator), batch, Progress(step))
        optimizer.zero_grad()
        terms.loss.backward()
        optimizer.step()
    assert terms is not None
    assert (terms.parts["kl/z"].item() < 0.1) is collapses
