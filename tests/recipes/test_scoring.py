"""`unbraid score`: files made elsewhere, scored as a run is."""

import json
from pathlib import Path

import numpy as np
import pytest

from unbraid.cli import main
from unbraid.metrics import irs
from unbraid.recipes import score

SIZES = (3, 4, 5)


def files(folder: Path, rows: int = 600) -> tuple[Path, Path]:
    """Codes that know the first two factors, have a dead dimension, and noise."""
    rng = np.random.default_rng(0)
    factors = rng.integers(SIZES, size=(rows, 3))
    codes = np.concatenate([factors[:, :2] + 0.1 * rng.normal(size=(rows, 2)), np.zeros((rows, 1))], axis=1)
    np.save(folder / "codes.npy", codes)
    np.save(folder / "factors.npy", factors)
    return folder / "codes.npy", folder / "factors.npy"


@pytest.mark.slow
def test_every_metric_is_one_json_object_a_line(tmp_path: Path, capsys: pytest.CaptureFixture):
    codes, factors = files(tmp_path)
    assert main(["score", str(codes), str(factors), "--test-from", "400", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = {(line["metric"], line["protocol"]) for line in lines}
    named = {
        "mig",
        "modularity",
        "irs",
        "gaussian_total_correlation",
        "dci_disentanglement",
        "dci_completeness",
        "dci_informativeness",
    }
    assert {(name, "dlib") for name in named} <= found
    assert {("sap", "dlib"), ("sap", "dlib-continuous"), ("dci_disentanglement", "qedr-rf")} <= found
    assert len(found) == len(lines)
    for line in lines:
        assert {"metric", "protocol", "value", "chance", "ceiling", "parameters"} <= set(line)
        assert np.isfinite(line["value"])


def test_named_metrics_alone_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture):
    codes, factors = files(tmp_path)
    assert main(["score", str(codes), str(factors), "--metrics", "mig,irs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.partition(" ")[0] for line in lines} == {"mig", "irs"}
    assert all("chance" in line for line in lines)


def test_the_held_out_rows_are_left_alone_by_metrics_that_fit_nothing(tmp_path: Path):
    codes, factors = files(tmp_path)
    before = score(codes, factors, 400, "mig").results
    spoilt = np.load(codes)
    spoilt[400:] = np.random.default_rng(1).normal(size=(200, 3))
    np.save(codes, spoilt)
    assert score(codes, factors, 400, "mig").results == before


def test_what_a_metric_refuses_is_said(tmp_path: Path, capsys: pytest.CaptureFixture):
    np.save(tmp_path / "codes.npy", np.random.default_rng(0).normal(size=(50, 2)))
    np.save(tmp_path / "factors.npy", np.arange(50)[:, None] % 3)
    assert main(["score", str(tmp_path / "codes.npy"), str(tmp_path / "factors.npy"), "--metrics", "factor-vae"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "left out factor_vae: expected at least two factors" in captured.err


def test_whole_numbers_kept_as_floats_are_factors(tmp_path: Path):
    codes, factors = files(tmp_path)
    before = score(codes, factors, None, "mig").results
    np.save(factors, np.load(factors).astype(np.float32))
    assert score(codes, factors, None, "mig").results == before


def test_factors_keep_their_values_where_distances_count(tmp_path: Path):
    codes, factors = files(tmp_path)
    spread = np.array([0, 1, 3, 10, 100])[np.load(factors)]
    np.save(factors, np.insert(spread, 0, 7, axis=1))
    found = {(each.metric, each.protocol): each for each in score(codes, factors, 400, "sap,irs").results}
    rows, truth = np.load(codes)[:400], spread[:400]
    correlations = np.corrcoef(rows[:, :2].T, truth.T)[:2, 2:] ** 2
    expected = np.abs(np.diff(correlations, axis=0)).mean()
    assert found["sap", "dlib-continuous"].value == pytest.approx(expected, abs=1e-9)
    assert found["irs", "dlib"].value == irs(rows, truth).value
    assert found["irs", "dlib"].detail["factors"] == [1, 2, 3]


def archive(file: Path) -> None:
    with file.open("wb") as handle:
        np.savez(handle, a=np.ones(3))


@pytest.mark.usefixtures("as_a_user")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda c, f: c.unlink(), "expected codes in '.*', which does not exist"),
        (lambda c, f: c.write_text("1, 2, 3"), "expected codes as an array of numbers in the .npy file"),
        (lambda c, f: archive(c), "got an archive of"),
        (lambda c, f: np.save(c, np.array([{}], dtype=object), allow_pickle=True), "got something else"),
        (lambda c, f: np.save(c, np.ones(600)), r"expected codes as a matrix .* got shape \(600,\)"),
        (lambda c, f: np.save(c, np.full((600, 3), np.nan)), "expected finite codes"),
        (lambda c, f: np.save(f, np.ones((600, 3), dtype=int)), "expected at least one factor that varies"),
        (lambda c, f: np.save(f, np.random.default_rng(0).normal(size=(600, 3))), "expected factors as integers"),
        (lambda c, f: np.save(c, np.load(c) * 1e200), r"expected codes up to 1e\+150 in size"),
        (lambda c, f: np.save(f, np.load(f) * 1e300), "expected factors as integers"),
        (lambda c, f: np.save(f, np.load(f) + 2**60), r"expected factors between -2\^53 and 2\^53"),
        (lambda c, f: np.save(f, np.zeros((5, 3), dtype=int)), "expected as many factors as codes, got 5 and 600"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture, spoil, message):
    codes, factors = files(tmp_path)
    spoil(codes, factors)
    assert main(["score", str(codes), str(factors), "--metrics", "mig"]) == 1
    with pytest.raises(ValueError, match=message):
        score(codes, factors, None, "mig")
    assert capsys.readouterr().err.count("\n") == 1


def test_wrong_options_are_refused(tmp_path: Path):
    codes, factors = files(tmp_path)
    with pytest.raises(ValueError, match=r"expected metrics 'standard', .*got 'migs'; did you mean mig"):
        score(codes, factors, None, "migs")
    with pytest.raises(ValueError, match="expected at least two rows to fit on and two to score on, got 600 rows"):
        score(codes, factors, 599)
