"""Posteriors made by hand, whose every number a loss can be differentiated by, and a model trained for seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from unbraid.data import Arrays, Sprites
from unbraid.likelihoods import Bernoulli
from unbraid.models import SequentialVAE
from unbraid.nets import MLPDecoder, MLPTrunk
from unbraid.objectives import Objective
from unbraid.randomness import seeded
from unbraid.settings import Training
from unbraid.training import train
from unbraid.types import Batch, Forward, Normal, Progress

OBSERVATIONS = 2048  # of those that are trained on


@dataclass
class Leaves:
    """What a forward pass hands over, all of it a leaf of the graph: `[batch, latent]`, the last one `[batch]`."""

    mean: Tensor
    log_variance: Tensor
    noise: Tensor
    log_likelihood: Tensor

    @property
    def normal(self) -> Normal:
        return Normal(self.mean, self.log_variance)

    @property
    def z(self) -> Tensor:
        return self.normal.sample(self.noise)

    @property
    def all(self) -> tuple[Tensor, ...]:
        return self.mean, self.log_variance, self.noise, self.log_likelihood

    def forward(self) -> Forward:
        return Forward(self.z, self.log_likelihood, {"z": self.normal}, {"z": self.z})

    def loss(self, objective: Objective, progress: Progress | None = None) -> Tensor:
        return objective(self.forward(), Batch(self.z.detach()), progress or Progress()).loss


def make_leaves(batch: int = 5, latents: int = 3, seed: int = 0) -> Leaves:
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance, noise = torch.randn(3, batch, latents, generator=generator, dtype=torch.float64)
    likelihood = torch.randn(batch, generator=generator, dtype=torch.float64)
    return Leaves(*(leaf.requires_grad_() for leaf in (mean, log_variance - 1, noise, likelihood)))


@pytest.fixture
def leaves() -> Callable[..., Leaves]:
    """Makes a forward pass of a batch by hand, in double precision."""
    return make_leaves


@pytest.fixture
def same() -> Callable[[Leaves, Tensor, Tensor], None]:
    """Compares two losses of the same leaves, and their gradients by each of them."""

    def compare(leaves: Leaves, found: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
        gradients = [
            torch.autograd.grad(loss, leaves.all, retain_graph=True, materialize_grads=True)
            for loss in (found, expected)
        ]
        torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-10)

    return compare


@pytest.fixture(scope="session")
def sprites() -> Arrays:
    """Sprites of 16 x 16 pixels as vectors, some of the grid at random."""
    data = Sprites(16)
    chosen = np.random.default_rng(0).choice(len(data), OBSERVATIONS, replace=False)
    return Arrays(data.batch(chosen).x.flatten(1).numpy())


@pytest.fixture
def train_vae(sprites: Arrays, tmp_path: Path) -> Callable[..., SequentialVAE]:
    """Trains a small VAE under an objective."""

    def made(objective: Objective, steps: int = 500, seed: int = 0) -> SequentialVAE:
        with seeded(seed):
            networks = MLPTrunk(256, (64, 64)), MLPDecoder(5, 256, (64, 64))
            model = SequentialVAE(*networks, Bernoulli(), sequential=False, skip=False)
        out = tmp_path / f"run-{len(list(tmp_path.iterdir()))}"
        train(model, objective, sprites, out, Training(steps, learning_rate=2e-3, seed=seed, device="cpu"))
        return model

    return made


@pytest.fixture
def trained(sprites: Arrays, train_vae: Callable[..., SequentialVAE]) -> Callable[..., tuple[Normal, Tensor]]:
    """Trains a small VAE and gives posteriors and samples of all its data."""

    def made(objective: Objective, steps: int = 500) -> tuple[Normal, Tensor]:
        model = train_vae(objective, steps)
        with torch.no_grad():
            forward = model(sprites.batch(np.arange(OBSERVATIONS)), torch.Generator().manual_seed(1))
        return forward.posteriors["z"], forward.samples["z"]

    return made
