"""Objectives about the code of the whole data refuse a model whose private codes have no space in common."""

import numpy as np
import pytest

from unbraid.data import TwoPopulationVectors
from unbraid.likelihoods import Gaussian
from unbraid.models import CPVAE
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives.dip import DIP1, DIP2
from unbraid.objectives.info import InfoVAE
from unbraid.objectives.total_correlation import BetaTC
from unbraid.types import Progress


@pytest.mark.parametrize("objective", [BetaTC(10), DIP1(), DIP2(), InfoVAE()], ids=lambda made: type(made).__name__)
def test_several_blocks_are_refused(objective):
    data = TwoPopulationVectors(counts=(5, 5), features=3)
    own = [MLPDecoder(2, 3, ()) for _ in range(2)]
    model = CPVAE(MLPTrunk(3, ()), MLPDecoder(2, 3, ()), own, Gaussian(), data.populations)
    batch = data.batch(np.arange(10))
    for call in (lambda: objective.check(model, data), lambda: objective(model(batch), batch, Progress())):
        with pytest.raises(ValueError, match=r"expected a model with one latent block, got the blocks shared, private"):
            call()
