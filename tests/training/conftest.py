"""Small things to train: seconds of work, one of each kind that resuming has to get right."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import pytest

from unbraid.data import Arrays
from unbraid.likelihoods import Bernoulli, Gaussian
from unbraid.models import CPVAE, Classifier, Model, SequentialVAE
from unbraid.nets import ConvDecoder, ConvTrunk, MLPDecoder, MLPTrunk, NormTrunk, ResidualNet, SkipDecoder
from unbraid.objectives import ELBO, Constant, CrossPopulation, Exponential, Objective
from unbraid.objectives.factor import FactorVAE
from unbraid.randomness import seeded

IMAGE = (1, 8, 8)


@dataclass
class Task:
    """What `train` needs."""

    model: Model
    objective: Objective
    data: Arrays
    validation: Arrays


def images(count: int, seed: int, populations: bool) -> Arrays:
    """Bright squares on dark ground, in the left or the right half."""
    rng = np.random.default_rng(seed)
    x = 0.1 * rng.random((count, *IMAGE))
    side = np.arange(count) % 2
    for image, row, left in zip(x, rng.integers(0, 5, count), side, strict=True):
        image[0, row : row + 3, 4 * left : 4 * left + 3] += 0.8
    return Arrays(x, np.array(["left", "right"])[side] if populations else None)


def vectors(count: int, seed: int) -> Arrays:
    return Arrays(np.random.default_rng(seed).normal(size=(count, 4)))


def population_task() -> Task:
    decoders = [SkipDecoder(2, IMAGE, (4, 4)) for _ in range(3)]
    networks = NormTrunk(IMAGE, (4, 4)), decoders[0], decoders[1:]
    model = CPVAE(*networks, Gaussian(0.1, learned=True), ("left", "right"))
    return Task(model, CrossPopulation(Exponential()), images(41, 0, True), images(20, 1, True))


def sequential_task() -> Task:
    model = SequentialVAE(ConvTrunk(1, (4,), 8), ConvDecoder(3, 1, (4,), 8), Bernoulli())
    return Task(model, ELBO(), images(41, 0, False), images(20, 1, False))


def vector_task() -> Task:
    model = SequentialVAE(MLPTrunk(4, (8,)), MLPDecoder(2, 4, (8,)), Gaussian(1.0), sequential=False, skip=False)
    return Task(model, ELBO(), vectors(41, 0), vectors(20, 1))


def table_task() -> Task:
    """CPVAE on vectors: the quickest with populations."""
    own = [MLPDecoder(2, 4, ()) for _ in range(2)]
    model = CPVAE(MLPTrunk(4, (8,)), MLPDecoder(2, 4, ()), own, Gaussian(1.0, learned=True), ("a", "b"))
    data = [Arrays(np.random.default_rng(seed).normal(size=(30, 4)), ["a", "b", "b"] * 10) for seed in (0, 1)]
    return Task(model, CrossPopulation(Constant(2.0)), *data)


def adversarial_task() -> Task:
    """VAE with batch norm on populations, whose batches are balanced, under an objective with an adversary."""
    model = SequentialVAE(NormTrunk(IMAGE, (4, 4)), SkipDecoder(3, IMAGE, (4, 4)), Gaussian(0.1), False, False)
    return Task(model, FactorVAE(5.0, (8, 8), learning_rate=1e-2), images(41, 0, True), images(20, 1, True))


def classifier_task() -> Task:
    """No latents, so no noise and no divergence."""
    model = Classifier(ResidualNet(IMAGE, 2, (4, 4)), ("left", "right"))
    return Task(model, ELBO(), images(41, 0, True), images(20, 1, True))


TASKS = {
    "CPVAE with batch norm": population_task,
    "CPVAE of vectors": table_task,
    "SR-VAE": sequential_task,
    "VAE of vectors": vector_task,
    "FactorVAE": adversarial_task,
    "classifier": classifier_task,
}


def fresh(make: Callable[[], Task]) -> Callable[[], Task]:
    def made() -> Task:
        with seeded(0):
            return make()

    return made


@pytest.fixture(params=TASKS.values(), ids=list(TASKS))
def task(request: pytest.FixtureRequest) -> Callable[[], Task]:
    """Makes a task of each kind, every time with the same weights."""
    return fresh(request.param)


@pytest.fixture
def vae() -> Callable[[], Task]:
    """Makes the quickest task, every time with the same weights."""
    return fresh(vector_task)


@pytest.fixture
def cpvae() -> Callable[[], Task]:
    """Makes the quickest task with populations, every time with the same weights."""
    return fresh(table_task)


@pytest.fixture
def factor_vae() -> Callable[[], Task]:
    """Makes the task with an adversary, every time with the same weights."""
    return fresh(adversarial_task)


@pytest.fixture
def tasks() -> ModuleType:
    """This module, which a process of its own can load from its file."""
    return sys.modules[__name__]
