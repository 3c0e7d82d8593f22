"""`unbraid transfer`: a classifier names what was decoded as another population."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unbraid.cli import main
from unbraid.recipes import classify, images, transfer
from unbraid.settings import Training

SIDE = 8


def trained(steps: int) -> Training:
    return Training(steps, 32, learning_rate=3e-3, validate_every=steps, device="cpu")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Light of any strength, with a bright left column in one population and a bright right one in the other."""
    folder = tmp_path_factory.mktemp("images")
    data, rng = folder / "data", np.random.default_rng(0)
    for name, column in (("left", 0), ("right", SIDE - 1)):
        for split, count in (("train", 200), ("test", 60)):
            (data / split / name).mkdir(parents=True)
            for k in range(count):
                picture = np.full((SIDE, SIDE), rng.uniform(40, 140)) + rng.normal(size=(SIDE, SIDE)) * 4
                picture[:, column] += 90
                Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(data / split / name / f"{k}.png")
    small = {"shared": 2, "private": 2, "trunk_widths": (8, 8), "decoder_widths": (8, 8), "rate": 1.0}
    source = {"levels": ("split", "population"), "size": SIDE}
    split = images(folder / "split", str(data), **source, **small, training=trained(600)).path
    judge = classify(folder / "named", str(data), **source, widths=(4, 8), training=trained(150)).path
    source["levels"] = ("population", "label")  # train and test as populations
    other = classify(folder / "other", str(data), **source, widths=(4, 8), training=trained(5)).path
    source["levels"] = ("split", "population")
    shuffled = images(folder / "null", str(data), **source, **small, shuffle_populations=True, training=trained(5)).path
    copied = tmp_path_factory.mktemp("copied") / "data"
    shutil.copytree(data, copied)
    elsewhere = classify(folder / "copy", str(copied), **source, widths=(4, 8), training=trained(5)).path
    return [split, judge, other, shuffled, elsewhere]


def test_a_constant_difference_is_transferred(runs: list[Path], capsys: pytest.CaptureFixture[str]):
    originals, accuracy, change = transfer(runs[0], runs[1])
    assert originals.value > 0.95
    assert accuracy.parameters["observations"] == 120
    assert accuracy.ceiling is not None
    assert accuracy.chance is not None
    assert accuracy.ceiling > 0.9
    assert accuracy.value > 0.9
    assert accuracy.chance < 0.1
    assert change.value > 0
    assert transfer(runs[0], runs[1]) == [originals, accuracy, change]
    assert main(["transfer", *map(str, runs[:2]), "--observations", "60"]) == 0
    assert "transfer_accuracy [named by a classifier: observations=60" in capsys.readouterr().out


def test_runs_that_do_not_go_together_are_refused(runs: list[Path]):
    split, judge, other, shuffled, elsewhere = runs
    with pytest.raises(ValueError, match="expected a cpvae or contrastive run first, got Classifier"):
        transfer(judge, judge)
    with pytest.raises(ValueError, match="expected a run of `unbraid train classify` second, got CPVAE"):
        transfer(split, split)
    with pytest.raises(ValueError, match="train it with the options of"):
        transfer(split, other)
    with pytest.raises(ValueError, match="expected true populations, got shuffled ones"):
        transfer(shuffled, judge)
    with pytest.raises(ValueError, match="expected runs that hold out the same data"):
        transfer(split, elsewhere)
    with pytest.raises(ValueError, match="at least 2 observations, got 0"):
        transfer(split, judge, observations=0)
