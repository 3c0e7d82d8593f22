"""Learning task after task from the command line's recipes, and what is left of the earlier ones."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unbraid.cli import main
from unbraid.data import Arrays
from unbraid.objectives import ELBO
from unbraid.recipes import classify, evaluate, extend, forgetting, images, resume, vectors
from unbraid.recipes.existing import ensure
from unbraid.recipes.extending import extension
from unbraid.recipes.networks import image_model
from unbraid.recipes.phases import named
from unbraid.report import report
from unbraid.runs import Run
from unbraid.settings import Training
from unbraid.training import train

REAL = os.environ.get("UNBRAID_TEST_DATA")
SMALL = {"shared": 3, "private": 2, "trunk_widths": (8, 8), "decoder_widths": (8, 4)}
QUICK = Training(steps=12, batch_size=8, learning_rate=1e-3, log_every=4, device="cpu")
KINDS = ("circle", "stripes", "cross", "dots")


def drawn(folder: Path, kinds: Sequence[str] = KINDS, count: int = 24) -> Path:
    """Images of 16 x 16 pixels that share noise and differ in what is drawn over it."""
    rng, place = np.random.default_rng(0), np.indices((16, 16))
    shapes = {
        "circle": ((place - 7.5) ** 2).sum(0) < 20,
        "stripes": place[0] % 4 < 2,
        "cross": (abs(place - 7.5) < 2).any(0),
        "dots": (place % 5 == 0).all(0),
    }
    for kind in kinds:
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            x = 100 * rng.random((16, 16, 3)) + 150 * shapes[kind][..., None] * rng.uniform(0.6, 1)
            Image.fromarray(x.astype(np.uint8)).save(folder / kind / f"{number}.png")
    return folder


def first(out: Path, source: Path, **options) -> Run:
    groups = {"circle": ["circle"], "stripes": ["stripes"]}
    usual = {"groups": groups, "levels": ("label",), "size": 16, "training": QUICK, **SMALL}
    return images(out, str(source), **{**usual, **options})


def phases(folder: Path, source: Path, frozen: bool = False, model: str = "cpvae") -> list[Path]:
    runs = [first(folder / "1", source, model=model).path]
    for number, name in enumerate(("cross", "dots"), 2):
        out = folder / str(number)
        runs.append(extend(out, runs[-1], name, str(source), frozen=frozen, training=QUICK).path)
    return runs


def by(run: Run, metric: str, protocol: str = "") -> dict[tuple[str, str], dict]:
    found = run.forgetting()
    assert found is not None
    wanted = [one for one in found["results"] if one["metric"] == metric and one["protocol"].startswith(protocol)]
    return {(one["phase"], one["task"]): one for one in wanted}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn(tmp_path_factory.mktemp("drawn") / "shapes")


@pytest.fixture(scope="module", params=[("cpvae", False), ("cpvae", True), ("vae", False)], ids=str)
def sequence(request: pytest.FixtureRequest, source: Path, tmp_path_factory: pytest.TempPathFactory):
    """Runs of a model that learned task after task, whether shared weights were frozen, and the last one judged."""
    model, frozen = request.param
    runs = phases(tmp_path_factory.mktemp("runs"), source, frozen, model)
    return runs, model, frozen, forgetting(runs)


def test_the_record_says_what_was_extended(sequence):
    runs = [Run(path) for path in sequence[0]]
    for before, after in pairwise(runs):
        assert after.record["extends"] == {"run": str(before.path), "weights": before.weights_checksum()}
        assert after.record["arguments"]["run"] == str(before.path)
        assert after.rebuild("data").absent == runs[0].rebuild("test").populations + (("cross",) * (after is runs[2]))
    assert runs[2].rebuild("test").populations == KINDS
    assert runs[2].record["objective"]["class"].endswith("ELBO")


def test_forgetting_is_the_growth_of_the_error_since_a_task_was_learned(sequence):
    last = sequence[3]
    errors, lost = by(last, "squared_error"), by(last, "forgetting", "squared_error")
    assert set(errors) == {("1", t) for t in KINDS[:2]} | {("2", t) for t in KINDS[:3]} | {("3", t) for t in KINDS}
    born = {"circle": "1", "stripes": "1", "cross": "2", "dots": "3"}
    assert set(lost) == {key for key in errors if key[0] != born[key[1]]}
    for (phase, task), result in lost.items():
        growth = errors[phase, task]["value"] - errors[born[task], task]["value"]
        assert result["value"] == pytest.approx(growth, abs=1e-3)
        assert result["interval"][0] <= result["value"] <= result["interval"][1]


def test_nothing_drifts_where_shared_weights_are_frozen_and_something_where_not(sequence):
    _, _, frozen, last = sequence
    drift = by(last, "output_drift")
    assert set(drift) == {("2", "circle"), ("2", "stripes"), ("3", "circle"), ("3", "stripes"), ("3", "cross")}
    assert all((one["detail"]["largest"] == 0) == frozen for one in drift.values())
    assert all((one["value"] == 0) == frozen for one in drift.values())
    if frozen:
        assert all(one["value"] == 0 for one in by(last, "forgetting").values())


def test_figures_have_what_they_need(sequence):
    last = sequence[3]
    with np.load(last.path / "evaluation" / "forgetting.npz") as arrays:
        errors, remembered = arrays["forgetting_squared_error"], arrays["remembered"]
        assert np.isfinite(errors).all(-1).tolist() == [[True] * 2 + [False] * 2, [True] * 3 + [False], [True] * 4]
        assert (errors[..., 1] <= errors[..., 0])[np.isfinite(errors[..., 0])].all()
        assert remembered.shape == (3, 8, 3, 16, 16)
        seen = np.isfinite(remembered).all((2, 3, 4))
        assert [row.tolist() for row in seen] == [[k < n for k in range(8)] for n in (4, 6, 8)]
        assert arrays["remembered_task"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_the_command_prints_every_error_and_where_it_is(sequence, capsys):
    assert main(["forgetting", *map(str, sequence[0]), "--shown", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * (2 + 3 + 4) + 3 * (2 + 3) + 1
    assert lines[0].startswith("circle after 1: squared_error [")
    assert any(line.startswith("stripes after 3: forgetting [squared_error") for line in lines)
    assert lines[-1] == str(sequence[0][2])


@pytest.mark.slow
def test_the_report_shows_what_is_remembered(sequence, tmp_path: Path):
    page = report([sequence[3].path], tmp_path / "page.html").read_text()
    assert "What is remembered" in page
    assert "Forgetting" in page


@pytest.mark.slow
def test_an_extended_run_is_judged_on_all_of_its_populations(sequence):
    run = evaluate(sequence[0][2])
    found = run.evaluation()
    assert found is not None
    assert found["judged_on"]["part"] == "test"
    assert {"squared_error", "negative_elbo"} <= {one["metric"] for one in found["results"]}
    with np.load(run.path / "evaluation" / "arrays.npz") as arrays:
        assert arrays["population_names"].tolist() == list(KINDS)


def test_an_extended_run_is_taken_as_it_is_and_resumes(sequence):
    runs, _, frozen, _ = sequence
    run = Run(runs[2])
    record = run.record["arguments"]
    options = {"run": runs[1], "name": "dots", "source": record["source"], "frozen": frozen, "training": QUICK}
    assert ensure(extend, run.path, options).weights_checksum() == run.weights_checksum()
    assert resume(run.path).path == run.path
    with pytest.raises(ValueError, match="'name': 'cross'"):
        ensure(extend, run.path, {**options, "name": "cross"})


def test_any_data_can_extend_a_run_from_python(source: Path, tmp_path: Path):
    run = first(tmp_path / "1", source)
    parts = [Arrays(np.random.default_rng(k).random((20, 3, 16, 16))) for k in range(3)]
    plan = extension(tmp_path / "2", run, "noise", parts, training=QUICK)
    assert plan.test is not None
    assert plan.test.populations == ("circle", "stripes", "noise")
    assert len(plan.data) == 20


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "cat"}, r"got \('cat',\)"),
        ({"name": "circle"}, "distinct populations|one of \\('circle'"),
        ({"source": "nowhere"}, "got 'nowhere'"),
        ({"name": "new", "members": ("cross", "dogs")}, r"got \('cross', 'dogs'\)"),
    ],
)
def test_what_cannot_extend_a_run_is_refused(sequence, source: Path, tmp_path: Path, options, message):
    with pytest.raises(ValueError, match=message):
        extend(tmp_path / "out", sequence[0][0], **{"name": "cross", "source": str(source), **options})
    assert not (tmp_path / "out").exists()


def test_a_plain_vae_has_nothing_to_freeze(source: Path, tmp_path: Path):
    run = first(tmp_path / "1", source, model="vae")
    with pytest.raises(ValueError, match="expected a CPVAE, whose shared weights can be frozen"):
        extend(tmp_path / "2", run.path, "cross", str(source), frozen=True)


@pytest.mark.parametrize("model", ["cpvae", "vae"])
def test_frozen_norms_last_for_one_phase(source: Path, tmp_path: Path, model: str):
    runs = [first(tmp_path / "1", source, model=model)]
    for name, frozen in (("cross", True), ("dots", False)):
        out = tmp_path / name
        runs.append(extend(out, runs[-1].path, name, str(source), frozen_norms=frozen, training=QUICK))
    weights = [run.load_weights() for run in runs]
    averages = [name for name in weights[0] if "trunk" in name and "running_mean" in name]
    assert averages
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in averages)
    assert not any(torch.equal(weights[1][name], weights[2][name]) for name in averages)
    assert not torch.equal(weights[0]["trunk.layers.0.weight"], weights[1]["trunk.layers.0.weight"])


def test_runs_on_vectors_are_not_extended_by_images(source: Path, tmp_path: Path):
    run = vectors(tmp_path / "1", count=50, widths=(4,), training=Training(steps=2, batch_size=8))
    with pytest.raises(ValueError, match="expected a run on images"):
        extend(tmp_path / "2", run.path, "cross", str(source))


def test_runs_in_another_order_are_refused(sequence):
    runs = sequence[0]
    with pytest.raises(ValueError, match="in the order of training"):
        forgetting(runs[::-1])
    with pytest.raises(ValueError, match="never fewer than the one before"):
        forgetting(runs, learned=(2, 3))
    with pytest.raises(ValueError, match="at least one run"):
        forgetting([])


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="UNBRAID_TEST_DATA is not set: real flowers are NOT tested")
def test_real_flowers_are_remembered_where_shared_weights_are_frozen(tmp_path: Path):
    assert REAL is not None
    training = Training(steps=60, batch_size=16, learning_rate=1e-3)
    groups = {name: [name] for name in ("sunflower", "daisy")}
    usual = {"folder": Path(REAL), "size": 16, "groups": groups, "training": training, **SMALL}
    base = images(tmp_path / "base", "flowers", **usual)
    largest = {}
    for frozen in (True, False):
        out = tmp_path / f"iris-{frozen}"
        run = extend(out, base.path, "iris", "flowers", folder=Path(REAL), frozen=frozen, training=training)
        judged = forgetting([base.path, run.path])
        drift = by(judged, "output_drift")
        assert {task for _, task in drift} == {"sunflower", "daisy"}
        largest[frozen] = max(one["detail"]["largest"] for one in drift.values())
        model = run.rebuild("model")
        model.load_state_dict(run.load_weights())
        old = base.load_weights()
        same = {name for name, value in old.items() if torch.equal(model.state_dict()[name], value)}
        assert (same == set(old)) == frozen
    assert largest[True] == 0
    assert largest[False] > 1e-3


def test_a_run_in_a_folder_with_another_name_is_the_same_run(sequence, tmp_path: Path):
    runs, _, frozen, _ = sequence
    (tmp_path / "moved").symlink_to(runs[1])
    source = Run(runs[2]).record["arguments"]["source"]
    options = {"run": tmp_path / "moved", "name": "dots", "source": source, "frozen": frozen, "training": QUICK}
    assert ensure(extend, runs[2], options).path == runs[2]
    with pytest.raises(ValueError, match="'run':"):
        ensure(extend, runs[2], {**options, "run": runs[0]})


def test_runs_that_do_not_go_on_with_each_other_are_refused(sequence, source: Path, tmp_path: Path):
    runs, model, _, _ = sequence
    other = first(tmp_path / "1", source, model=model, training=replace(QUICK, seed=1))
    with pytest.raises(ValueError, match="it was trained from other weights"):
        forgetting([other.path, *runs[1:]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observations": 1}, "observations of at least 2, got 1"),
        ({"learned": (3, 3, 4)}, "expected a model that knows"),
    ],
)
def test_what_cannot_be_measured_is_refused_first(sequence, options, message):
    runs, model, _, _ = sequence
    if model == "vae" and "learned" in options:
        pytest.skip("a VAE knows of no tasks")
    with pytest.raises(ValueError, match=message):
        forgetting(runs, **options)


def test_files_of_the_old_populations_are_checked_too(source: Path, tmp_path: Path):
    run = first(tmp_path / "1", source)
    after = extend(tmp_path / "2", run.path, "cross", str(source), training=QUICK)
    facts = after.record["facts"]["test"]
    assert "files" in str(facts)
    assert after.rebuild("test").populations == ("circle", "stripes", "cross")


def test_a_run_whose_base_was_trained_again_is_another_run(source: Path, tmp_path: Path):
    base = first(tmp_path / "1", source)
    options = {"run": base.path, "name": "cross", "source": str(source), "training": QUICK}
    ensure(extend, tmp_path / "2", options)
    shutil.rmtree(base.path)
    first(base.path, source, training=replace(QUICK, seed=1))
    with pytest.raises(ValueError, match="weights of run"):
        ensure(extend, tmp_path / "2", options)


def test_first_phases_of_models_without_populations_are_called_by_their_groups(source: Path, tmp_path: Path):
    base = first(tmp_path / "1" / "seed-0", source, model="vae")
    second = extend(tmp_path / "2" / "seed-0", base.path, "cross", str(source), training=QUICK)
    assert named([base, second]) == ["circle, stripes", "cross"]
    ungrouped = first(tmp_path / "3" / "seed-0", source, model="vae", groups=None)
    assert named([ungrouped, second]) == ["3", "cross"]


def test_phases_are_named_without_their_training_data(tmp_path: Path):
    data = [Arrays(np.random.default_rng(k).random((20, 3, 16, 16)), ["a", "b"] * 10) for k in range(2)]
    runs = []
    for number, each in enumerate(data):
        model = image_model("vae", each, 2, 2, 0.1, (4, 4), (4, 4), 0)
        runs.append(train(model, ELBO(), each, tmp_path / str(number) / "seed-0", QUICK).path)
    found = forgetting(runs, learned=(2, 2), data=data[1]).forgetting()
    assert found is not None
    assert [phase["name"] for phase in found["phases"]] == ["0", "1"]


def test_classifiers_have_nothing_to_reconstruct(source: Path, tmp_path: Path):
    small = {"widths": (4,), "size": 16, "levels": ("label",), "training": QUICK}
    run = classify(tmp_path / "1", str(source), **small)
    with pytest.raises(ValueError, match="got a classifier"):
        forgetting([run.path])


def test_new_data_are_split_as_those_of_the_first_run(source: Path, tmp_path: Path):
    base = first(tmp_path / "1", source, training=replace(QUICK, seed=3))
    second = extend(tmp_path / "2", base.path, "cross", str(source), training=replace(QUICK, seed=4))
    third = extend(tmp_path / "3", second.path, "dots", str(source), training=replace(QUICK, seed=5))
    assert [Run(run.path).record["split_seed"] for run in (second, third)] == [3, 3]
    assert "'seed': 3" in str(third.record["data"])
