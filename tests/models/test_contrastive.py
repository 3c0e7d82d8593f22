"""The contrastive VAE against a literal transcription, and what its background may not know."""

import pytest
import torch

from unbraid.likelihoods import Gaussian
from unbraid.models import ContrastiveVAE
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives import ELBO
from unbraid.types import Batch, Progress

NAMES = ("a", "b", "c")
SHARED, PRIVATE = 3, 2


def small(background="b", names=NAMES):
    torch.manual_seed(0)
    decoder = MLPDecoder(SHARED + PRIVATE, 7, (8,))
    return ContrastiveVAE(MLPTrunk(7, (8,)), decoder, Gaussian(0.5, True), names, background, SHARED, PRIVATE).double()


def mixed(population=(2, 0, 1, 0, 2, 2, 1)):
    x = torch.randn(len(population), 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Batch(x, torch.tensor(population))


def literal_bound(model, batch, noise):
    """The two bounds of the paper, observation by observation; the background's has no term for s."""
    total = torch.zeros((), dtype=batch.x.dtype)
    standard = torch.distributions.Normal(0.0, 1.0)
    for row, k in enumerate(batch.population.tolist()):
        x = batch.x[row : row + 1]
        z_mean, z_log = model.shared_head(model.trunk(x)).chunk(2, 1)
        s_mean, s_log = model.private_head(model.trunk(x)).chunk(2, 1)
        z_posterior = torch.distributions.Normal(z_mean, torch.exp(0.5 * z_log))
        s_posterior = torch.distributions.Normal(s_mean, torch.exp(0.5 * s_log))
        z = z_mean + torch.exp(0.5 * z_log) * noise[0][row]
        s = s_mean + torch.exp(0.5 * s_log) * noise[1][row]
        background = NAMES[k] == model.background
        mean = model.decoder(torch.cat([z, torch.zeros_like(s) if background else s], 1))
        p = torch.distributions.Normal(mean, model.likelihood.current_variance().sqrt())
        total = total + p.log_prob(x).sum() - torch.distributions.kl_divergence(z_posterior, standard).sum()
        if not background:
            total = total - torch.distributions.kl_divergence(s_posterior, standard).sum()
    return total / len(batch)


@pytest.mark.parametrize("background", NAMES)
def test_the_elbo_equals_the_literal_bounds(background):
    model, batch = small(background), mixed()
    again = torch.Generator().manual_seed(4)
    noise = [torch.randn(7, width, generator=again, dtype=torch.float64) for width in (SHARED, PRIVATE)]
    expected = -literal_bound(model, batch, noise)
    loss = ELBO()(model(batch, torch.Generator().manual_seed(4)), batch, Progress()).loss
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-10)
    ours = torch.autograd.grad(loss, list(model.parameters()))
    literal = torch.autograd.grad(expected, list(model.parameters()))
    for mine, theirs in zip(ours, literal, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-10)


def test_a_background_observation_has_the_prior_as_its_private_posterior():
    forward, own = small()(mixed(), torch.Generator().manual_seed(0)), mixed().population == 1
    cost = forward.posteriors["private"].kl().sum(1)
    assert (cost[own] == 0).all()
    assert (cost[~own] > 0).all()


def test_what_is_private_does_not_reach_a_background_observation():
    model, batch = small(), mixed()
    z, population = torch.randn(7, SHARED, dtype=torch.float64), batch.population
    assert population is not None
    one, two = (model.decode(z, torch.full((7, PRIVATE), value, dtype=torch.float64), population) for value in (1, -3))
    own = population == 1
    assert torch.equal(one[own], two[own])
    assert (one[~own] != two[~own]).any(1).all()


def test_targets_have_one_head_between_them_which_every_observation_passes():
    model, batch = small(), mixed()
    heads = model(batch).heads
    assert heads is not None
    assert torch.equal(heads.mean[:, 0], heads.mean[:, 2])
    assert heads.mean[:, 0].all()
    assert heads.log_variance[:, 0].all()
    assert not heads.mean[:, 1].any()
    assert not heads.log_variance[:, 1].any()
    codes = model.encode(batch.x)["private"]
    assert torch.equal(codes, heads.mean)


def test_one_trunk_pass_serves_both_blocks():
    model, calls = small(), []
    model.trunk.register_forward_hook(lambda *_: calls.append(1))
    model(mixed())
    assert len(calls) == 1


def test_parts():
    model, batch = small(), mixed()
    codes, parts, own = model.encode(batch.x), model.parts(batch), batch.population == 1
    z, s = codes["shared"], codes["private"][:, 0]
    decode = lambda *latents: model.decoder(torch.cat(latents, 1))  # noqa: E731
    none, nothing = torch.zeros_like(z), torch.zeros_like(s)
    torch.testing.assert_close(parts["shared_only"], decode(z, nothing))
    torch.testing.assert_close(parts["full"][own], parts["shared_only"][own])
    torch.testing.assert_close(parts["full"][~own], decode(z, s)[~own])
    torch.testing.assert_close(parts["private_only"][~own], decode(none, s)[~own])
    torch.testing.assert_close(parts["private_only"][own], decode(none, nothing)[own])


def test_transfer_takes_the_private_part_away_or_gives_it():
    model, batch = small(), mixed()
    transferred, parts = model.transfer(batch.x), model.parts(batch)
    torch.testing.assert_close(transferred[torch.arange(7), batch.population], parts["full"])
    torch.testing.assert_close(transferred[:, 1], parts["shared_only"])
    torch.testing.assert_close(transferred[:, 0], transferred[:, 2])
    codes = model.encode(batch.x)
    given = model.generate(codes["shared"], codes["private"][:, 0], torch.zeros(7, dtype=torch.int64))
    torch.testing.assert_close(transferred[:, 0], given)


@pytest.mark.parametrize(
    ("names", "background", "sizes", "message"),
    [
        (("a",), "a", (3, 2), r"at least two distinct populations.*got \('a',\)"),
        (("a", "a"), "a", (3, 2), r"distinct populations.*got \('a', 'a'\)"),
        (NAMES, "d", (3, 2), r"the background among them, got \('a', 'b', 'c'\) and the background 'd'"),
        (NAMES, "a", (3, 3), r"a decoder of as many as both, got 3 shared, 3 private and 5 in MLPDecoder"),
        (NAMES, "a", (5, 0), r"at least 1 shared and 1 private latent.*got 5 shared, 0 private"),
    ],
)
def test_what_does_not_fit_is_refused(names, background, sizes, message):
    with pytest.raises(ValueError, match=message):
        ContrastiveVAE(MLPTrunk(7), MLPDecoder(5, 7), Gaussian(), names, background, *sizes)
