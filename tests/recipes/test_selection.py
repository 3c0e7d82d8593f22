"""`unbraid udr`: runs compared without labels."""

from pathlib import Path

import pytest

from unbraid.cli import main
from unbraid.recipes import sprites, udr, vectors
from unbraid.settings import Training
from unbraid.training import checks


def quick(seed: int) -> Training:
    return Training(20, batch_size=16, learning_rate=1e-3, seed=seed, validate_every=100)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    small = {"model": "vae", "latents": 3, "size": 16, "widths": (4, 4), "features": 8}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "BOUNDED_VALUES", 100_000)  # of a data set that other tests check
        return [sprites(folder / str(seed), training=quick(seed), **small).path for seed in range(3)]


@pytest.mark.slow
def test_every_run_is_ranked_the_best_first(runs: list[Path], capsys: pytest.CaptureFixture):
    ranked = udr(runs, observations=200)
    assert {each.run for each in ranked} == set(runs)
    values = [each.result.value for each in ranked]
    assert values == sorted(values, reverse=True)
    assert [each.result.value for each in udr(runs[::-1], observations=200)] == values
    assert main(["udr", *map(str, runs), "--observations", "200"]) == 0
    assert capsys.readouterr().out.count("udr [lasso") == 3


@pytest.mark.slow
def test_runs_that_cannot_be_compared_are_refused(runs: list[Path], tmp_path: Path):
    with pytest.raises(ValueError, match="expected at least two runs to compare, got 1"):
        udr(runs[:1])
    with pytest.raises(ValueError, match="expected runs that differ, got one twice"):
        udr([runs[0], runs[0]])
    other = vectors(tmp_path / "other", count=100, widths=(8,), training=quick(0)).path
    with pytest.raises(ValueError, match="expected runs on the same data"):
        udr([runs[0], other])
