import numpy as np
import pytest
import torch

from unbraid.metrics import active_units, kl_per_latent
from unbraid.types import Normal


def test_units_are_active_above_the_threshold():
    scale = np.sqrt([0.5, 0.0099, 0.0101, 0.0])
    means = np.array([[-1.0], [0.0], [1.0]]) * scale  # variance 1 before scaling
    result = active_units(means)
    assert (result.value, result.ceiling) == (2, 4)
    assert result.detail["active"] == [0, 2]
    np.testing.assert_allclose(np.array(result.detail["variances"]), scale**2)
    assert active_units(means, threshold=0.2).value == 1


def test_kl_is_that_of_the_posterior():
    generator = torch.Generator().manual_seed(0)
    posterior = Normal(torch.randn(50, 3, generator=generator), torch.randn(50, 3, generator=generator))
    prior = torch.distributions.Normal(0.0, 1.0)
    exact = torch.distributions.kl_divergence(torch.distributions.Normal(posterior.mean, posterior.deviation), prior)
    result = kl_per_latent(posterior.kl().numpy())
    assert result.value == pytest.approx(float(exact.sum(1).mean()), rel=1e-5)
    np.testing.assert_allclose(np.array(result.detail["mean"]), exact.mean(0), rtol=1e-5)


def test_negative_kl_is_refused_but_rounding_is_not():
    assert kl_per_latent(np.full((4, 2), -1e-7)).value == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="not negative"):
        kl_per_latent(np.full((4, 2), -0.5))


def test_negative_threshold_is_refused():
    with pytest.raises(ValueError, match="threshold of at least 0"):
        active_units(np.zeros((3, 2)), threshold=-1.0)
