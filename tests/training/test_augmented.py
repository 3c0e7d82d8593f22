"""Augmentation: made anew in every update, the same for the same seed, and taken up again on resuming."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from unbraid.data import Arrays, GrassyDigits, Translate
from unbraid.likelihoods import Bernoulli, Gaussian
from unbraid.models import SequentialVAE
from unbraid.nets import ConvDecoder, ConvTrunk, MLPDecoder, MLPTrunk, NormTrunk, SkipDecoder
from unbraid.objectives import ELBO
from unbraid.randomness import seeded
from unbraid.runs import Run
from unbraid.settings import Training
from unbraid.training import resume, train
from unbraid.types import Batch

SETTINGS = Training(steps=12, batch_size=8, learning_rate=1e-3, log_every=3, checkpoint_seconds=0, device="cpu")
IMAGES = np.random.default_rng(0).random((20, 1, 8, 8)).astype(np.float32)


class Stopping(Arrays):
    """The same data, but Ctrl-C comes after some batches."""

    left = 10**9

    def batch(self, index) -> Batch:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().batch(index)


def run(out: Path, augmentation: Translate | None, data: Arrays | None = None) -> Run:
    with seeded(0):
        model = SequentialVAE(ConvTrunk(1, (4,), 8), ConvDecoder(2, 1, (4,), 8), Bernoulli(), False, False)
    return train(model, ELBO(), data or Arrays(IMAGES), out, SETTINGS, augmentation=augmentation)


def weights(done: Run) -> bytes:
    return (done.path / "weights.safetensors").read_bytes()


def test_it_changes_training_and_is_recorded(tmp_path: Path):
    plain, none, moved, again = (
        run(tmp_path / name, how)
        for name, how in (("plain", None), ("none", Translate(0.0)), ("moved", Translate(0.25)), ("2", Translate(0.25)))
    )
    assert weights(plain) == weights(none)
    assert weights(plain) != weights(moved)
    assert weights(moved) == weights(again)
    assert repr(moved.rebuild("augmentation")) == "Translate(fraction=0.25, border='edge')"


def test_resumed_training_moves_images_as_the_whole_one_did(tmp_path: Path):
    whole = run(tmp_path / "whole", Translate(0.25))
    data = Stopping(IMAGES)
    data.left = 10  # a few checks, then some updates
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", Translate(0.25), data)
    cut = Run(tmp_path / "cut")
    assert 0 < cut.status["step"] < 12
    record = {**cut.record, "data": whole.record["data"]}
    (cut.path / "run.json").write_text(json.dumps(record))
    assert weights(resume(cut.path, Arrays(IMAGES))) == weights(whole)


def test_it_is_refused_before_training_where_it_cannot_be_applied(tmp_path: Path):
    vectors = Arrays(torch.rand(20, 3).numpy())
    model = SequentialVAE(MLPTrunk(3), MLPDecoder(2, 3), Bernoulli(), False, False)
    with pytest.raises(ValueError, match="expected images"):
        train(model, ELBO(), vectors, tmp_path / "run", SETTINGS, augmentation=Translate())
    assert not (tmp_path / "run").exists()


def test_what_the_run_says_of_its_data(tmp_path: Path):
    data = GrassyDigits(count=30, amplitude=0.0)
    model = SequentialVAE(NormTrunk(widths=(4,)), SkipDecoder(2, widths=(4,)), Gaussian(), False, False)
    record = train(model, ELBO(), data, tmp_path / "run", SETTINGS, validation=data).record
    assert [card["name"] for card in record["cards"]] == ["grassy-digits"]
    assert all(record["cards"][0][key] for key in ("licence", "citation", "homepage"))
    assert set(record["facts"]) == {"data", "validation"}
