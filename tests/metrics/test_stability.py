"""Agreement of runs: what is the same agrees, noise does not."""

import numpy as np
import pytest

from unbraid.metrics import rank_stability


def test_noise_agrees_as_chance_says():
    values = np.random.default_rng(0).normal(size=(12, 400))
    found = rank_stability(values, top=40)
    for result in found.values():
        assert result.chance is not None
        assert result.value == pytest.approx(result.chance, abs=0.03)
    assert found["top_agreement"].chance == 0.1


def test_a_common_signal_shows_in_order_and_first_features():
    rng = np.random.default_rng(0)
    values = np.where(np.arange(100) < 10, 5.0, 0.0) + rng.normal(size=(4, 100))
    found = rank_stability(values, top=10)
    assert found["top_agreement"].value > 0.9
    assert 0.1 < found["rank_agreement"].value < 0.6
    least, largest = (found["rank_agreement"].detail[end] for end in ("least", "largest"))
    assert isinstance(least, float)
    assert isinstance(largest, float)
    assert least <= found["rank_agreement"].value <= largest


def test_spearman_is_scipys():
    from scipy.stats import spearmanr

    values = np.random.default_rng(1).integers(0, 5, (2, 30)).astype(float)  # ties
    assert rank_stability(values, 3)["rank_agreement"].value == pytest.approx(spearmanr(*values)[0])


def test_what_cannot_be_compared_is_refused(as_a_user):
    with pytest.raises(ValueError, match="top in 1 to 5"):
        rank_stability(np.zeros((2, 5)), 6)
    assert rank_stability(np.zeros((2, 5)), 5)["rank_agreement"].value == 0


def test_a_run_that_says_the_same_of_all_features_agrees_by_chance_alone():
    values = np.stack([np.zeros(50), np.random.default_rng(0).normal(size=50), np.ones(50)])
    found = rank_stability(values, top=10)["top_agreement"]
    assert found.value == pytest.approx(found.chance)
