"""CPVAE on images whose populations mean nothing: the null of what a split finds."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unbraid.data import Shuffled
from unbraid.recipes import evaluate, images
from unbraid.settings import Training

REAL = os.environ.get("UNBRAID_TEST_DATA")
QUICK = Training(4, batch_size=20, learning_rate=1e-3, validate_every=4, log_every=4, seed=3, device="cpu")
SMALL: dict[str, Any] = {"shared": 2, "private": 2, "trunk_widths": (2, 2), "decoder_widths": (2, 2)}


def test_shuffled_populations_leave_the_images_and_their_numbers(tmp_path: Path):
    rng = np.random.default_rng(0)
    for name, count in (("patients", 60), ("controls", 40)):
        (tmp_path / "x" / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "x" / name / f"{number}.png")
    runs = [
        images(
            tmp_path / f"run-{shuffled}",
            str(tmp_path / "x"),
            size=8,
            shuffle_populations=shuffled,
            training=QUICK,
            **SMALL,
        )
        for shuffled in (False, True)
    ]
    for part in ("data", "validation", "test"):
        real, null = (run.rebuild(part) for run in runs)
        assert isinstance(null, Shuffled)
        assert not isinstance(real, Shuffled)
        assert null.populations == real.populations
        assert null.population is not None
        every = np.arange(len(real))
        assert (null.batch(every).x == real.batch(every).x).all()
        assert np.bincount(null.population).tolist() == np.bincount(real.population).tolist()
        assert (null.population != real.population).any()
    assert runs[1].record["arguments"]["shuffle_populations"] is True


@pytest.mark.skipif(REAL is None, reason="needs MNIST: UNBRAID_TEST_DATA is not set")
def test_parts_are_still_compared_with_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert REAL is not None
    monkeypatch.setenv("UNBRAID_DATA", REAL)
    run = images(tmp_path / "run", "grassy-mnist", shuffle_populations=True, training=QUICK, **SMALL)
    evaluation = evaluate(run.path, "psnr,class_probe", max_codes=200).evaluation()
    assert evaluation is not None
    found = {(line["subject"], line["metric"]) for line in evaluation["results"]}
    assert ("private only against clean", "psnr") in found
    assert ("shared only against background", "psnr") in found
    assert ("shared code, digits 0-4", "class_probe_balanced_accuracy") in found
