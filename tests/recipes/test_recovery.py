"""CPVAE recovers what is shared and what is private where the truth is known."""

import numpy as np
import pytest

from unbraid.recipes import evaluate, vectors
from unbraid.settings import Training

SEEDS = (0, 1)


def recovered(path, objective, seed) -> dict[str, float]:
    training = Training(3000, learning_rate=2e-3, seed=seed, checkpoint_seconds=3600.0)
    evaluation = evaluate(vectors(path, objective, training=training).path).evaluation()
    assert evaluation is not None
    return {f"{each['subject']} {each['metric']}": each["value"] for each in evaluation["results"]}


@pytest.mark.slow
def test_true_spaces_are_recovered_and_mi_leaks_less(tmp_path):
    scores = {
        objective: [recovered(tmp_path / f"{objective}-{seed}", objective, seed) for seed in SEEDS]
        for objective in ("mi", "elbo")
    }
    for score in scores["mi"]:
        assert score["shared code, true shared factors canonical_correlation"] > 0.95
        for population in ("first", "second"):
            assert score[f"private code, true private factors, {population} canonical_correlation"] > 0.99
            assert abs(score[f"private code, true shared factors, {population} regression_leakage"]) < 0.05
    leaked = [
        np.mean(
            [
                score[f"shared code, true private factors, {name} regression_leakage"]
                for score in scores[objective]
                for name in ("first", "second")
            ]
        )
        for objective in ("mi", "elbo")
    ]
    assert leaked[0] < leaked[1]
