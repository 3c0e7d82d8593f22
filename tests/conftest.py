"""Shapes and types in annotations are checked in every test; warnings are errors (pyproject.toml).

Here too: small models of every kind, which the contract suites of models and objectives share.
"""

import os
import tempfile
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import settings
from jaxtyping import config, install_import_hook

# an int is a good float, as type checkers have it
HOOK = install_import_hook("unbraid", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

os.environ.pop("UNBRAID_DATA", None)  # tests say where data are
CACHE = tempfile.TemporaryDirectory(prefix="unbraid-tests-")  # removed when the process ends
os.environ["UNBRAID_CACHE"] = CACHE.name  # never a user's

torch.set_num_threads(1)  # small tensors: more threads only wait for each other
settings.register_profile("unbraid", deadline=None, derandomize=True)  # the same on every machine, however busy
settings.load_profile("unbraid")

from unbraid.likelihoods import Bernoulli, Gaussian  # noqa: E402
from unbraid.models import CPVAE, Classifier, ContrastiveVAE, Model, SequentialVAE, add_population  # noqa: E402
from unbraid.nets import (  # noqa: E402
    ConvDecoder,
    ConvTrunk,
    MLPDecoder,
    MLPTrunk,
    NormTrunk,
    ResidualNet,
    SkipDecoder,
)
from unbraid.types import Batch  # noqa: E402

SWITCHES = {"VAE": (False, False), "ResVAE": (False, True), "SeqVAE": (True, False), "SR-VAE": (True, True)}
NAMES = ("first", "second", "third")
SMALL = (1, 8, 8)


def sequential_conv(sequential: bool, skip: bool, **reading: bool) -> Model:
    networks = ConvTrunk(2, (4, 8), 16), ConvDecoder(3, 2, (4, 8), 16)
    return SequentialVAE(*networks, Bernoulli(), sequential, skip, **reading)


def sequential_mlp(sequential: bool, skip: bool, **reading: bool) -> Model:
    networks = MLPTrunk(5, (8,)), MLPDecoder(3, 5, (8,))
    return SequentialVAE(*networks, Gaussian(0.5, True, squash=True), sequential, skip, **reading)


def normalised_vae() -> Model:
    return SequentialVAE(NormTrunk(SMALL, (4, 4)), SkipDecoder(3, SMALL, (4, 4), 0.5), Gaussian(0.1), False, False)


def population_conv(count: int) -> Model:
    private = [SkipDecoder(2, SMALL, (4, 4)) for _ in range(count)]
    likelihood = Gaussian(0.1, learned=True)
    return CPVAE(NormTrunk(SMALL, (4, 4)), SkipDecoder(3, SMALL, (4, 4), 0.5), private, likelihood, NAMES[:count])


def extended_conv() -> Model:
    model = population_conv(2)
    assert isinstance(model, CPVAE)
    return add_population(model, NAMES[2])


def population_mlp(count: int) -> Model:
    private = [MLPDecoder(2, 5, (8,)) for _ in range(count)]
    return CPVAE(MLPTrunk(5, (8,)), MLPDecoder(3, 5, (8,)), private, Gaussian(0.5, learned=True), NAMES[:count])


def contrastive_conv() -> Model:
    decoder, likelihood = SkipDecoder(5, SMALL, (4, 4), 0.5), Gaussian(0.1, learned=True)
    return ContrastiveVAE(NormTrunk(SMALL, (4, 4)), decoder, likelihood, NAMES[:2], "first", 3, 2)


def contrastive_mlp(count: int, background: str) -> Model:
    networks = MLPTrunk(5, (8,)), MLPDecoder(5, 5, (8,))
    return ContrastiveVAE(*networks, Gaussian(0.5, learned=True), NAMES[:count], background, 3, 2)


def classifier_conv() -> Model:
    return Classifier(ResidualNet(SMALL, 3, (4, 6)), NAMES)


def classifier_mlp() -> Model:
    return Classifier(MLPTrunk(5, (8, 2)), NAMES[:2])


MODELS: dict[str, Callable[[], Model]] = {
    **{f"{name}, conv": lambda s=s: sequential_conv(*s) for name, s in SWITCHES.items()},
    **{f"{name}, MLP": lambda s=s: sequential_mlp(*s) for name, s in SWITCHES.items()},
    "SR-VAE, kept noise, conv": lambda: sequential_conv(True, True, resampled=False),
    "SR-VAE, shuffled, MLP": lambda: sequential_mlp(True, True, shuffled=True),
    "VAE, batch norm": normalised_vae,
    "CPVAE of 2, conv": lambda: population_conv(2),
    "CPVAE of 2, MLP": lambda: population_mlp(2),
    "CPVAE of 3, MLP": lambda: population_mlp(3),
    "CPVAE of 2 and another, conv": extended_conv,
    "contrastive VAE of 2, conv": contrastive_conv,
    "contrastive VAE of 2, MLP": lambda: contrastive_mlp(2, "first"),
    "contrastive VAE of 3, MLP": lambda: contrastive_mlp(3, "second"),
    "classifier of 3, conv": classifier_conv,
    "classifier of 2, MLP": classifier_mlp,
}


@pytest.fixture(params=MODELS.values(), ids=list(MODELS))
def model(request: pytest.FixtureRequest) -> Model:
    """Each model in turn, with weights that do not depend on what ran before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return request.param()


@pytest.fixture
def every_model() -> list[Model]:
    """All of them at once."""
    return [make() for make in MODELS.values()]


@pytest.fixture
def batch(model: Model) -> Batch:
    """Nine observations in [0, 1], three or four of each population."""
    x = torch.rand(9, *model.shape, generator=torch.Generator().manual_seed(1))
    return Batch(x, torch.arange(9) % len(model.populations) if model.populations else None)


@pytest.fixture
def as_a_user() -> Iterator[None]:
    """Users run without checked shapes, so that errors must come from the package itself."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", before)
