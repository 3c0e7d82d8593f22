"""How networks compute is settled before training, recorded, and put back afterwards."""

import pytest
import torch

from unbraid.likelihoods import Bernoulli, Gaussian
from unbraid.models import CPVAE, SequentialVAE
from unbraid.nets import ConvDecoder, ConvTrunk, MLPDecoder, MLPTrunk, NormTrunk, SkipDecoder
from unbraid.settings import Computation, Training
from unbraid.training.computation import chosen, kept

CPU = torch.device("cpu")


def images(latents=4, channels=1, widths=(32, 32)):
    return SequentialVAE(ConvTrunk(channels, widths, 32), ConvDecoder(latents, channels, widths, 32), Bernoulli())


def populations():
    private = [SkipDecoder(3, (1, 8, 8), (16,)) for _ in range(2)]
    return CPVAE(NormTrunk((1, 8, 8), (16,)), SkipDecoder(3, (1, 8, 8), (16,)), private, Gaussian(1.0), ("a", "b"))


def test_plain_is_what_networks_without_other_kernels_get():
    model = SequentialVAE(MLPTrunk(7, (8,)), MLPDecoder(3, 7, (8,)), Gaussian(1.0))
    assert chosen(Training(), model, CPU, 64) == Computation()
    with pytest.raises(ValueError, match="expected kernels that the model has on cpu, got 'native' in float32"):
        chosen(Training(kernels="native"), model, CPU, 64)


@pytest.mark.parametrize("make", [images, populations])
def test_auto_is_never_plain_where_there_are_convolutions(make):
    assert chosen(Training(), make(), CPU, 64).kernels != "plain"
    assert chosen(Training(kernels="plain"), make(), CPU, 64).kernels == "plain"
    assert chosen(Training(precision="bfloat16"), make(), CPU, 64).precision == "bfloat16"


def test_much_memory_is_recomputed_unless_said_otherwise():
    """The paper's size for faces: 32 passes in colour."""
    faces = images(32, 3, (32, 32, 64, 64))
    assert chosen(Training(), faces, CPU, 64).recompute
    assert not chosen(Training(recompute=False), faces, CPU, 64).recompute
    assert not chosen(Training(), faces, CPU, 8).recompute
    assert chosen(Training(recompute=True), images(), CPU, 8).recompute


@pytest.mark.parametrize("make", [images, populations])
def test_what_is_kept_is_counted_without_a_trace(make):
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count = kept(model, Computation())
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert count > 4 * 2 * 64  # at least two layers of the smallest images


def test_kept_grows_with_the_passes():
    one, two = (kept(images(latents), Computation()) for latents in (4, 8))
    assert two == pytest.approx(2 * one, rel=0.05)


@pytest.mark.parametrize("kernels", ["reformulated", "plain"])
def test_copies_of_weights_are_not_counted_for_each_observation(kernels):
    """In bfloat16 every pass has its own; what an observation keeps is half as large as in float32, or less."""
    model = images(widths=(32, 64))
    exact, coarse = (kept(model, Computation(kernels, precision)) for precision in ("float32", "bfloat16"))
    assert coarse < 0.8 * exact
