"""Counts before a network, and where decoders start."""

import pytest
import torch

from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.nets.counts import CountTrunk


def test_depth_does_not_matter():
    trunk = CountTrunk(MLPTrunk(4, (8,)))
    x = torch.poisson(torch.full((5, 4), 3.0), torch.Generator().manual_seed(0)) + 1
    torch.testing.assert_close(trunk(x), trunk(7 * x))


def test_counts_are_scaled_and_logged():
    trunk = CountTrunk(MLPTrunk(2, ()), scale=100.0)
    torch.testing.assert_close(trunk(torch.tensor([[1.0, 3.0]])), torch.log(torch.tensor([[26.0, 76.0]])))


def test_an_observation_without_counts_is_zeros():
    assert torch.equal(CountTrunk(MLPTrunk(3, ()))(torch.zeros(2, 3)), torch.zeros(2, 3))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match="expected a finite scale above 0"):
        CountTrunk(MLPTrunk(3, ()), scale)


@pytest.mark.parametrize("widths", [(), (6,)])
def test_a_decoder_starts_where_it_is_told(widths):
    decoder, start = MLPDecoder(2, 4, widths), torch.tensor([-9.0, 0.0, 3.0, 1.0])
    before = decoder(torch.zeros(1, 2)) - decoder.last.bias
    decoder.start_at(start)
    torch.testing.assert_close(decoder(torch.zeros(1, 2)), before + start)
    assert decoder.last.bias.requires_grad
