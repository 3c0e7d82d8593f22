"""Bad input is refused before training: what was expected, what came, how to fix it, and no folder left behind."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from unbraid.data import Arrays, Data
from unbraid.likelihoods import Bernoulli, Gaussian, IgnoreMissing
from unbraid.models import CPVAE, Model, SequentialVAE
from unbraid.nets import ConvDecoder, ConvTrunk, MaskedTrunk, MLPDecoder, MLPTrunk
from unbraid.objectives import ELBO, CrossPopulation, Objective
from unbraid.objectives.factor import FactorVAE
from unbraid.objectives.total_correlation import BetaTC
from unbraid.settings import Training
from unbraid.training import train
from unbraid.types import Batch

pytestmark = pytest.mark.usefixtures("as_a_user")
RNG = np.random.default_rng(0)
UNIT, TABLE = RNG.random((20, 1, 16, 16)), RNG.normal(size=(20, 4))
TWO = ["a", "b"] * 10


class Loose(Data):
    """Data that check nothing themselves, as a user's own may."""

    def __init__(self, x: np.ndarray, population: np.ndarray | None = None, populations: tuple[str, ...] = ()):
        self.x, self.population, self.populations = x.astype(np.float32), population, populations
        self.shape = x.shape[1:]

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, index) -> Batch:
        population = None if self.population is None else torch.from_numpy(self.population[index])
        return Batch(torch.from_numpy(self.x[index]), population)


def image_vae(likelihood=None) -> Model:
    return SequentialVAE(ConvTrunk(1, (4, 4), 8), ConvDecoder(2, 1, (4, 4), 8), likelihood or Bernoulli())


def vector_vae(likelihood=None, trunk=None) -> Model:
    return SequentialVAE(trunk or MLPTrunk(4), MLPDecoder(2, 4), likelihood or Gaussian(), False, False)


def masked_vae(inner=None, sequential=False, skip=False) -> Model:
    trunk, likelihood = MaskedTrunk(MLPTrunk(8)), IgnoreMissing(inner or Gaussian())
    return SequentialVAE(trunk, MLPDecoder(2, 4), likelihood, sequential, skip)


def gaps(x: np.ndarray) -> Data:
    data = Loose(x)
    data.missing = True
    return data


def cpvae(names=("a", "b")) -> Model:
    return CPVAE(MLPTrunk(4), MLPDecoder(2, 4), [MLPDecoder(2, 4) for _ in names], Gaussian(), names)


def spoiled(x: np.ndarray, value: float) -> np.ndarray:
    x = x.copy()
    x[7, ..., 0] = value
    return x


def attempt(model: Model, data: Data, objective: Objective | None = None, **training) -> Callable[[Path], object]:
    settings = Training(**{"steps": 3, "batch_size": 4, "device": "cpu", **training})
    return lambda out: train(model, objective or ELBO(), data, out, settings)


# what is attempted, then what was expected, what came, and how to fix it
CASES: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "wrong image size": (
        attempt(image_vae(), Arrays(RNG.random((9, 1, 8, 8)))),
        r"shape \(1, 16, 16\)", r"\(1, 8, 8\)", "change the networks or resize",
    ),
    "channels last": (
        attempt(image_vae(), Arrays(RNG.random((9, 16, 16, 1)))),
        r"shape \(1, 16, 16\)", r"\(16, 16, 1\)", "change the networks or resize",
    ),
    "bytes for Bernoulli": (
        attempt(image_vae(), Arrays(255 * UNIT)),
        r"values in \[0.0, 1.0\]", r"\d to 25\d.*observation 0", "rescale",
    ),
    "one negative value for Bernoulli": (
        attempt(image_vae(), Arrays(spoiled(UNIT, -0.1))),
        r"values in \[0.0, 1.0\]", r"-0.1 to .*observation 7", "rescale",
    ),
    "values outside for a squashed Gaussian": (
        attempt(image_vae(Gaussian(squash=True)), Arrays(spoiled(UNIT, 1.5))),
        r"values in \[0.0, 1.0\]", r"to 1.5 .*observation 7", "rescale",
    ),
    "NaN": (
        attempt(vector_vae(), Loose(spoiled(TABLE, np.nan))),
        "finite values", "NaN in observation 7, and the likelihood Gaussian", "IgnoreMissing.*MaskedTrunk.*or impute",
    ),
    "NaN for a likelihood that takes it, and an encoder that does not": (
        attempt(vector_vae(IgnoreMissing(Gaussian())), Loose(spoiled(TABLE, np.nan))),
        "finite values", "NaN in observation 7, and .* the encoder needs", "MaskedTrunk.*or impute",
    ),
    "NaN for an encoder that takes it, and a likelihood that does not": (
        attempt(vector_vae(trunk=MaskedTrunk(MLPTrunk(8))), Loose(spoiled(TABLE, np.nan))),
        "finite values", "NaN in observation 7, and the likelihood Gaussian", "IgnoreMissing.*or impute",
    ),
    "data that may have missing values": (
        attempt(vector_vae(), gaps(TABLE)),
        "finite values", "NaN in data that may have missing values", "IgnoreMissing.*MaskedTrunk",
    ),
    "an observation of NaN alone": (
        attempt(masked_vae(), Loose(np.where(np.arange(20)[:, None] == 7, np.nan, TABLE))),
        "finite values", "nothing but NaN in observation 7", "remove it",
    ),
    "infinity among missing values": (
        attempt(masked_vae(), Loose(spoiled(spoiled(TABLE, np.nan)[:, ::-1], np.inf))),
        "finite values", "infinity in observation 7", "remove it",
    ),
    "too large a value among missing ones": (
        attempt(masked_vae(Bernoulli()), Loose(spoiled(np.where(np.eye(20, 4) > 0, np.nan, 0.5), 1.5))),
        r"values in \[0.0, 1.0\]", "to 1.5 .*observation 7", "rescale",
    ),
    "infinity": (
        attempt(vector_vae(), Loose(spoiled(TABLE, -np.inf))),
        "finite values", "infinity in observation 7", "remove it",
    ),
    "NaN in an array": (
        lambda out: attempt(vector_vae(), Arrays(spoiled(TABLE, np.nan)))(out),
        "finite values", "in 1 of 20 observations, the first at index 7", "missing=True",
    ),
    "one population for CPVAE": (
        attempt(cpvae(), Arrays(TABLE)),
        r"the populations \('a', 'b'\)", "got one population", "name a population for each observation",
    ),
    "one population for the MI objective": (
        attempt(cpvae(("a",)), Loose(TABLE, np.zeros(20, dtype=np.int64), ("a",)), CrossPopulation()),
        "at least two populations", "got a model or data without", "or the ELBO objective",
    ),
    "a VAE under the MI objective": (
        attempt(vector_vae(), Arrays(TABLE, TWO), CrossPopulation()),
        "a model with private heads", "got a model or data without", "use CPVAE",
    ),
    "a model with two blocks for FactorVAE": (
        attempt(cpvae(), Arrays(TABLE, TWO), FactorVAE()),
        "a model with one latent block", "got the blocks shared, private", "or a VAE on the pooled data",
    ),
    "another number of observations for beta-TC": (
        attempt(vector_vae(), Arrays(TABLE), BetaTC(30)),
        "observations=20", "got 30", r"use BetaTC\(20\)",
    ),
    "a batch of one for an adversary": (
        attempt(vector_vae(), Arrays(TABLE), FactorVAE(widths=(4,)), batch_size=1),
        "batch_size of at least 2 for an adversary", "got 1", "use a larger batch",
    ),
    "an empty population": (
        attempt(cpvae(), Loose(TABLE, np.zeros(20, dtype=np.int64), ("a", "b"))),
        "observations of every population", r"counts \[20, 0\] for \('a', 'b'\)", r"leave out \['b'\]",
    ),
    "an empty population for a VAE": (
        attempt(vector_vae(), Loose(TABLE, np.zeros(20, dtype=np.int64), ("a", "b"))),
        "observations of every population", r"none of \['b'\]", "leave them out",
    ),
    "an observation of no population": (
        attempt(cpvae(), Loose(TABLE, np.arange(20) % 3, ("a", "b"))),
        "every population and of no other", r"counts \[7, 7, 6\]", r"for \('a', 'b'\)",
    ),
    "a population never seen": (
        attempt(cpvae(), Arrays(TABLE, ["a", "c"] * 10)),
        r"populations \('a', 'b'\)", r"\('a', 'c'\)", r"never seen \['c'\]",
    ),
    "one population too many": (
        attempt(cpvae(), Arrays(TABLE, ["a", "b", "c", "a"] * 5)),
        r"populations \('a', 'b'\)", r"\('a', 'b', 'c'\)", r"never seen \['c'\]",
    ),
    "populations in another order": (
        attempt(cpvae(), Arrays(TABLE, TWO, ("b", "a"))),
        r"\('a', 'b'\) in this order", r"got \('b', 'a'\)", "reorder",
    ),
    "latent size 0": (
        lambda out: attempt(SequentialVAE(MLPTrunk(4), MLPDecoder(0, 4), Gaussian()), Arrays(TABLE))(out),
        "latents of at least 1", "got 0", "at least one unit",
    ),
    "batch larger than the data": (
        attempt(vector_vae(), Arrays(TABLE), batch_size=21),
        "no larger than the data", "batch_size 21 for 20", "use at most 20",
    ),
    "batch smaller than the number of populations": (
        attempt(cpvae(), Arrays(TABLE, TWO), batch_size=1),
        "batch_size of at least 2", "got 1", "use a larger batch",
    ),
    "patience without validation": (
        attempt(vector_vae(), Arrays(TABLE), patience=2),
        "validation data for early stopping", "got none", "pass validation",
    ),
    "no such device": (
        attempt(vector_vae(), Arrays(TABLE), device="abacus"),
        "a device", "got 'abacus'", "use 'auto' or 'cpu'",
    ),
    "wrong validation data": (
        lambda out: train(
            vector_vae(), ELBO(), Arrays(TABLE), out, Training(3, 4, device="cpu"), Arrays(RNG.normal(size=(9, 5)))
        ),
        r"shape \(4,\)", r"got \(5,\)", "resize",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("attempted", "expected", "came", "fix"), CASES.values(), ids=CASES)
def test_bad_input_is_refused_before_training(attempted, expected, came, fix, tmp_path: Path):
    with pytest.raises(ValueError, match=rf"(?s)expected .*{expected}.*{came}.*{fix}"):
        attempted(tmp_path / "runs" / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("sequential", "skip"), [(False, False), (True, True), (False, True)])
def test_missing_values_are_accepted_where_all_parts_take_them(tmp_path: Path, sequential: bool, skip: bool):
    model, settings = masked_vae(Gaussian(learned=True), sequential, skip), Training(3, 20, device="cpu")
    run = train(model, ELBO(), Loose(spoiled(TABLE, np.nan)), tmp_path / "run", settings)
    assert run.status["status"] == "finished"
    assert all(np.isfinite(line["loss"]) for line in run.metrics())


def test_what_cannot_be_recorded_is_refused_before_training(tmp_path: Path):
    class Own(ELBO):
        def __init__(self, weight: float):
            self.other = weight

    with pytest.raises(TypeError, match=r"does not keep its constructor argument 'weight'; set self.weight"):
        attempt(vector_vae(), Arrays(TABLE), Own(2.0))(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


ARRAYS = {
    "no observations": (lambda: Arrays(np.empty((0, 3))), r"n and every side at least 1, got shape \(0, 3\)"),
    "a list of numbers": (lambda: Arrays(np.arange(3.0)), r"\[n, \*shape\].*got shape \(3,\)"),
    "words": (lambda: Arrays(np.array([["a"], ["b"]])), "numbers, got an array of <U1; encode categories"),
    "complex": (lambda: Arrays(np.ones((2, 2), dtype=complex)), "numbers, got an array of complex128"),
    "labels too few": (lambda: Arrays(TABLE, labels=np.arange(3)), "one label for each of 20 observations, got 3"),
    "populations too few": (lambda: Arrays(TABLE, ["a", "b"]), r"one population for each of 20 .*got shape \(2,\)"),
    "one population": (lambda: Arrays(TABLE, ["a"] * 20), r"two distinct populations, got \('a',\); for one pass"),
    "names twice": (lambda: Arrays(TABLE, TWO, ("a", "a", "b")), r"distinct populations, got \('a', 'a', 'b'\)"),
    "empty": (lambda: Arrays(TABLE, TWO, ("a", "b", "c")), r"observations of every population, got none of \['c'\]"),
    "unnamed": (lambda: Arrays(TABLE, TWO, ("a", "c")), r"populations among \('a', 'c'\), got also \['b'\]"),
}


@pytest.mark.parametrize(("make", "message"), ARRAYS.values(), ids=ARRAYS)
def test_arrays_refuse_what_is_no_data(make, message):
    with pytest.raises(ValueError, match=f"expected .*{message}"):
        make()
