"""Latents without the output: the same as with it, and cheaper where the decoder is not needed."""

import copy

import pytest
import torch

from unbraid.likelihoods import Bernoulli
from unbraid.models import Model, SequentialVAE
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.types import Batch


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_samples_are_those_of_forward(model: Model, batch: Batch, seed: int | None, training: bool):
    model.train(training)
    other = copy.deepcopy(model)  # batch norm moves its averages
    generators = [None if seed is None else torch.Generator().manual_seed(seed) for _ in range(2)]
    one, two = model.samples(batch, generators[0]), other(batch, generators[1]).samples
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_single_pass_does_not_decode():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = SequentialVAE(MLPTrunk(5), MLPDecoder(2, 5), Bernoulli(), sequential=False, skip=True)
    with torch.no_grad():
        for weight in model.decoder.parameters():
            weight.fill_(float("nan"))
    assert model.samples(Batch(torch.rand(4, 5)))["z"].isfinite().all()
