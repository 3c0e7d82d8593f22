"""The mask: what stands in a missing place changes nothing, and nothing becomes NaN on the way back."""

import pytest
import torch

from unbraid.likelihoods import Gaussian, IgnoreMissing
from unbraid.models import CPVAE, Model, SequentialVAE
from unbraid.nets import ConvTrunk, MaskedTrunk, MLPDecoder, MLPTrunk
from unbraid.objectives import ELBO, CrossPopulation
from unbraid.types import Batch, Progress

VALUES = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
GAPS = torch.rand(6, 4, generator=torch.Generator().manual_seed(1)) < 0.4
MISSING = VALUES.masked_fill(GAPS, torch.nan)
POPULATION = torch.tensor([0, 1] * 3)


def vae(trunk) -> Model:
    return SequentialVAE(trunk, MLPDecoder(2, 4, (5,)), IgnoreMissing(Gaussian(learned=True)), False, False)


def sr_vae(trunk) -> Model:
    return SequentialVAE(trunk, MLPDecoder(2, 4, (5,)), IgnoreMissing(Gaussian(learned=True)))


def res_vae(trunk) -> Model:
    return SequentialVAE(trunk, MLPDecoder(2, 4, (5,)), IgnoreMissing(Gaussian(learned=True)), sequential=False)


def cpvae(trunk) -> Model:
    own = [MLPDecoder(2, 4, (5,)) for _ in "ab"]
    return CPVAE(trunk, MLPDecoder(2, 4, (5,)), own, IgnoreMissing(Gaussian(learned=True)), ("a", "b"))


def masked() -> MaskedTrunk:
    torch.manual_seed(0)
    return MaskedTrunk(MLPTrunk(8, (7,)))


def test_the_inner_trunk_sees_values_then_the_mask():
    trunk = MaskedTrunk(MLPTrunk(8, ()))  # the identity
    expected = torch.cat([VALUES.masked_fill(GAPS, 0.0), (~GAPS).float()], dim=1)
    assert torch.equal(trunk(MISSING), expected)


def test_images_get_a_mask_for_every_channel():
    trunk = MaskedTrunk(ConvTrunk(4, (4,), 6))
    assert (trunk.shape, trunk.features) == ((2, 8, 8), 6)
    x = torch.randn(3, 2, 8, 8)
    x[0, 1, 2:4] = torch.nan
    assert trunk(x).isfinite().all()
    assert not torch.equal(trunk(x)[0], trunk(x.nan_to_num(0.0))[0])  # missing is not the same as zero
    assert torch.equal(trunk(x)[1:], trunk(x.nan_to_num(0.0))[1:])


@pytest.mark.parametrize("make", [vae, sr_vae, res_vae, cpvae])
def test_gradients_are_finite_and_reach_every_parameter(make):
    model, batch = make(masked()), Batch(MISSING, POPULATION)
    objective = CrossPopulation() if make is cpvae else ELBO()
    objective(model(batch, torch.Generator().manual_seed(0)), batch, Progress()).loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("make", [vae, cpvae])
def test_without_gaps_the_likelihood_is_the_inner_one(make):
    model = make(masked()).eval()
    forward = model(Batch(VALUES, POPULATION))
    assert torch.equal(forward.log_likelihood, model.likelihood.inner.log_prob(VALUES, forward.output))
    with_gaps = model(Batch(MISSING, POPULATION))
    each = model.likelihood.inner.log_prob_each(VALUES, with_gaps.output)
    torch.testing.assert_close(with_gaps.log_likelihood, each.masked_fill(GAPS, 0.0).sum(1))


def test_with_a_skip_the_output_is_missing_where_the_observation_is():
    model = sr_vae(masked()).eval()
    forward = model(Batch(MISSING))
    assert isinstance(model.likelihood, IgnoreMissing)
    assert torch.equal(forward.output.isnan(), GAPS)
    each = model.likelihood.inner.log_prob_each(VALUES, forward.output)
    torch.testing.assert_close(forward.log_likelihood, each.masked_fill(GAPS, 0.0).sum(1))


def test_without_gaps_training_is_that_of_complete_data():
    """The mask is then a constant: the inner trunk of the values alone, with the mask's share in its bias."""
    with_mask = vae(masked())
    plain = SequentialVAE(MLPTrunk(4, (7,)), MLPDecoder(2, 4, (5,)), Gaussian(learned=True), False, False)
    state = {key.replace("inner.", ""): value.clone() for key, value in with_mask.state_dict().items()}
    weight = state.pop("trunk.trunk.layers.0.weight")
    bias = state.pop("trunk.trunk.layers.0.bias")
    state |= {"trunk.layers.0.weight": weight[:, :4], "trunk.layers.0.bias": bias + weight[:, 4:].sum(1)}
    plain.load_state_dict(state)
    losses = []
    for model in (with_mask, plain):
        batch = Batch(VALUES)
        loss = ELBO()(model(batch, torch.Generator().manual_seed(3)), batch, Progress()).loss
        loss.backward()
        losses.append(loss.detach())
    torch.testing.assert_close(*losses)
    inner, outer = gradients(with_mask), gradients(plain)
    torch.testing.assert_close(inner["trunk.trunk.layers.0.weight"][:, :4], outer["trunk.layers.0.weight"])
    torch.testing.assert_close(inner["decoder.last.weight"], outer["decoder.last.weight"])


def gradients(model: Model) -> dict[str, torch.Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_an_odd_trunk_has_no_room_for_the_mask():
    with pytest.raises(ValueError, match=r"expected a trunk for twice the coordinates .* got shape \(7,\); .*2 \* n"):
        MaskedTrunk(MLPTrunk(7))
