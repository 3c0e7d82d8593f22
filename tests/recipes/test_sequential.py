"""SR-VAE and its rivals on images other than sprites, from training to evaluation."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unbraid.data import FactorData
from unbraid.likelihoods import Gaussian
from unbraid.models import SequentialVAE
from unbraid.nets import ConvDecoder, ConvTrunk
from unbraid.randomness import seeded
from unbraid.recipes import evaluate, follow, resume, sequential, sprites
from unbraid.runs import Run
from unbraid.settings import Training

TINY = {"latents": 2, "features": 8, "widths": (4, 4)}
QUICK = Training(3, batch_size=4, learning_rate=1e-3, validate_every=3, log_every=3, device="cpu")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def results(run: Run) -> dict[tuple[str, str, str], dict]:
    evaluation = run.evaluation()
    assert evaluation is not None
    return {(each["subject"], each["metric"], each["protocol"]): each for each in evaluation["results"]}


@pytest.mark.parametrize(("model", "objective"), [("sr-vae", "elbo"), ("vae", "beta"), ("seq-vae", "factor")])
def test_a_folder_of_images_is_trained_on_as_one_population(pictures: Path, tmp_path: Path, model, objective):
    run = sequential(tmp_path / "run", str(pictures), None, model, objective, size=16, **TINY, training=QUICK)
    arguments = {"source": str(pictures), "folder": None, "model": model, "objective": objective, "count": None}
    assert run.record["recipe"] == "sequential"
    assert arguments.items() <= run.record["arguments"].items()
    sizes = [len(run.rebuild(part)) for part in ("data", "validation", "test")]
    assert sum(sizes) == 40
    assert min(sizes) > 0
    built = run.rebuild("model")
    assert built.shape == (3, 16, 16)
    assert (built.sequential, built.skip) == (model in ("seq-vae", "sr-vae"), model == "sr-vae")
    assert resume(run.path).status["status"] == "finished"
    found = results(evaluate(run.path))
    assert ("z block", "kl", "sum over latents, mean over samples") in found
    assert all(np.isfinite(each["value"]) for each in found.values())


@pytest.mark.parametrize(("level", "mean"), [(51, 0.2), (255, 0.999)])
def test_training_starts_at_the_mean_brightness(tmp_path: Path, level, mean):
    """Of images that are all white there is no logit: they start near it."""
    folder = tmp_path / "flat"
    folder.mkdir()
    for number in range(8):
        Image.fromarray(np.full((16, 16, 3), level, dtype=np.uint8)).save(folder / f"{number}.png")
    for centred, offset in ((True, np.log(mean / (1 - mean))), (False, 0)):
        plan = sequential.plan(tmp_path / "run", str(folder), model="vae", size=16, **TINY, centred=centred)
        assert isinstance(plan.model, SequentialVAE)
        assert plan.model.decoder.offset == pytest.approx(offset, abs=1e-5)


def test_data_are_the_same_and_weights_others_under_every_seed(pictures: Path, tmp_path: Path):
    plans = [
        sequential.plan(tmp_path / "run", str(pictures), size=16, **TINY, training=Training(3, seed=seed))
        for seed in (0, 1)
    ]
    assert repr(plans[0].data) == repr(plans[1].data)
    one, two = (plan.model.state_dict()["head.weight"] for plan in plans)
    assert not (one == two).all()


@pytest.mark.parametrize("seed", [0, 3])
def test_initial_weights_are_those_of_the_networks_as_written_down(pictures: Path, tmp_path: Path, seed):
    """Encoder, decoder, then the head, drawn from the seed alone; for `sprites` and `sequential` alike."""
    training = Training(3, seed=seed)
    for plan in (
        sprites.plan(tmp_path / "a", size=16, **TINY, likelihood="gaussian", training=training),
        sequential.plan(tmp_path / "b", str(pictures), size=16, **TINY, likelihood="gaussian", training=training),
    ):
        assert isinstance(plan.model, SequentialVAE)
        assert isinstance(plan.model.decoder, ConvDecoder)
        channels, offset = plan.data.shape[0], plan.model.decoder.offset
        with seeded(seed):
            networks = ConvTrunk(channels, (4, 4), 8), ConvDecoder(2, channels, (4, 4), 8, offset)
            expected = SequentialVAE(*networks, Gaussian(0.5, squash=True)).state_dict()
        assert all((expected[name] == value).all() for name, value in plan.model.state_dict().items())


@pytest.mark.slow
def test_teapots_are_judged_by_regressions_of_their_real_factors(tmp_path: Path):
    small = {"latents": 3, "features": 8, "widths": (4, 4, 4), "size": 32, "count": 400}
    training = Training(4, batch_size=4, learning_rate=1e-3, validate_every=4, snapshots=2, device="cpu")
    run = evaluate(sequential(tmp_path / "run", "teapots", **small, training=training).path)
    assert "Rendered anew" in run.record["notes"][0]
    data = run.rebuild("test")
    assert isinstance(data, FactorData)
    assert len(data) == 40
    found = results(run)
    lasso, forest = (found["z block", "dci_disentanglement", name] for name in ("qedr-lasso", "qedr-rf"))
    assert lasso["parameters"]["alpha"] == 0.02
    assert forest["parameters"]["depths"] == [12, 10, 3, 3, 3]
    assert forest["parameters"]["trees"] == 10
    assert (forest["parameters"]["train"], forest["parameters"]["test"]) == (26, 14)
    assert ("z block", "gaussian_total_correlation", "dlib") in found
    assert not any(metric in ("mig", "factor_vae") for _, metric, _ in found)
    with np.load(run.path / "evaluation" / "arrays.npz", allow_pickle=False) as arrays:
        assert arrays["codes"].shape == (40, 3)
        assert arrays["factors"].shape == (40, 5)
        assert arrays["factor_names"].tolist() == ["azimuth", "elevation", "red", "green", "blue"]
    points = (follow(run.path, "dci,squared_error").over_training() or {})["points"]
    assert [point["step"] for point in points] == [2, 4]
    assert {"dci_completeness", "squared_error"} <= {each["metric"] for each in points[0]["results"]}


@pytest.mark.slow
@pytest.mark.skipif("UNBRAID_TEST_DATA" not in os.environ, reason="UNBRAID_TEST_DATA is unset: no real CelebA")
def test_faces_of_celeba_as_one_population(tmp_path: Path):
    folder = Path(os.environ["UNBRAID_TEST_DATA"]) / "celeba-10k"
    run = sequential(tmp_path / "run", "celeba", folder, size=16, **TINY, training=QUICK)
    assert run.record["arguments"]["folder"] == str(folder)
    assert run.rebuild("data").populations == ()
    found = results(evaluate(run.path))
    assert ("decoder alone, without the skip", "squared_error", "sum over pixels, mean over images") in found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "teapot"}, "expected one of teapots, .* or the path of images, got 'teapot'"),
        ({"source": "celeba", "count": 10}, "expected no count for celeba"),
        ({"source": "teapots", "size": 16, "count": 100}, "expected size 64 or 32 for images that are drawn, got 16"),
        ({"source": "", "widths": (4,), "size": 16}, r"expected 2 widths for images of 16 pixels, got \(4,\)"),
        ({"source": "", "size": 16, "strength": 2.0}, "expected no strength for the elbo"),
    ],
)
def test_what_does_not_go_together_is_refused(pictures: Path, tmp_path: Path, options, message):
    with pytest.raises(ValueError, match=message):
        sequential(tmp_path / "run", **{**options, "source": options["source"] or str(pictures)}, training=QUICK)
    assert not (tmp_path / "run").exists()
