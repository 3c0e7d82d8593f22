"""Every pass under every objective that the recipe for sprites offers, from training to evaluation."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from unbraid.configuration import describe
from unbraid.data import Arrays, Sprites
from unbraid.objectives import ELBO, BetaELBO, Objective
from unbraid.objectives.capacity import Capacity
from unbraid.objectives.dip import DIP1, DIP2
from unbraid.objectives.factor import FactorVAE
from unbraid.objectives.importance import ImportanceWeighted
from unbraid.objectives.info import InfoVAE
from unbraid.objectives.schedules import Linear
from unbraid.objectives.total_correlation import BetaTC
from unbraid.recipes import evaluate, sprites
from unbraid.recipes.objectives import Rival, rival_objective
from unbraid.recipes.training import Pass
from unbraid.settings import Training

QUICK = Training(3, batch_size=8, learning_rate=1e-3, validate_every=3, log_every=3, device="cpu")

# the default, and the same with a strength given
OBJECTIVES: dict[Rival, tuple[Objective, Objective]] = {
    "beta": (BetaELBO(), BetaELBO(3.0)),
    "capacity": (Capacity(), Capacity(gamma=3.0)),
    "beta-tc": (BetaTC(50), BetaTC(50, beta=3.0)),
    "dip-i": (DIP1(), DIP1(3.0, 30.0)),
    "dip-ii": (DIP2(), DIP2(3.0, 3.0)),
    "factor": (FactorVAE(), FactorVAE(3.0)),
    "info": (InfoVAE(), InfoVAE(lambda_mmd=3.0)),
    "importance": (ImportanceWeighted(), ImportanceWeighted(3)),
}


SHOWN = Sprites(16).batch(np.arange(0, 700_000, 7000)).x.numpy()


@pytest.mark.slow
@pytest.mark.parametrize("objective", get_args(Rival))
@pytest.mark.parametrize("model", get_args(Pass))
def test_every_pass_trains_under_every_objective(model, objective, tmp_path: Path):
    small = {"latents": 2, "size": 16, "widths": (4, 4), "features": 8}
    run = sprites(tmp_path / "run", model, objective, training=QUICK, **small)
    assert run.status["step"] == 3
    assert {"model": model, "objective": objective, "strength": None}.items() <= run.record["arguments"].items()
    train, valid = run.metrics()
    assert (train["split"], valid["split"]) == ("train", "valid")
    assert all(np.isfinite(value) for line in (train, valid) for key, value in line.items() if key != "split")
    assert not any(name.startswith("adversary") for name in run.load_weights())
    evaluation = evaluate(run.path, data=Arrays(SHOWN)).evaluation()
    assert evaluation is not None
    assert all(np.isfinite(each["value"]) for each in evaluation["results"])


def test_a_strength_is_the_weight_of_the_objective():
    assert {*OBJECTIVES, "elbo"} == set(get_args(Rival))
    for name, (plain, weighted) in OBJECTIVES.items():
        assert describe(rival_objective(name, None, 50)) == describe(plain)
        assert describe(rival_objective(name, 3.0, 50)) == describe(weighted)
    assert repr(rival_objective("elbo", None, 50)) == repr(ELBO())


def test_a_growth_is_that_of_the_capacity_alone():
    assert describe(rival_objective("capacity", None, 50, 30)) == describe(Capacity(Linear(steps=30)))
    with pytest.raises(ValueError, match="expected no growth for beta, got 30"):
        rival_objective("beta", None, 50, 30)


@pytest.mark.parametrize("strength", [-1.0, float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", get_args(Rival))
def test_no_objective_takes_a_strength_without_sense(name, strength):
    with pytest.raises(ValueError, match=r"expected .* got"):
        rival_objective(name, strength, 50)


@pytest.mark.parametrize(
    ("name", "strength", "message"),
    [
        ("elbo", 1.0, "expected no strength for the elbo, got 1.0; beta is the elbo with a weight"),
        ("importance", 2.5, "expected a whole number of samples as strength of importance, got 2.5"),
        ("importance", 0.0, "expected at least 1 copy"),
        ("info", 0.5, "expected alpha of at most 1 and lambda_mmd of at least 1 - alpha"),
    ],
)
def test_what_is_wrong_with_a_strength_is_said(name, strength, message):
    with pytest.raises(ValueError, match=message):
        rival_objective(name, strength, 50)


def test_a_wrong_strength_leaves_no_folder(tmp_path: Path):
    with pytest.raises(ValueError, match="expected beta of at least 0, got -1"):
        sprites(tmp_path / "run", objective="beta", strength=-1.0, size=16, training=QUICK)
    assert not (tmp_path / "run").exists()
