"""Informations against those of linear Gaussian codes, which are known, and the stated bounds."""

import math

import numpy as np
import pytest

from unbraid.metrics.private_information import private_information

EACH = 400
POPULATION = np.repeat(np.arange(3), EACH)


def codes(own: float, other: float, latents: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means with variance `own` on own and `other` on others' data, under posteriors of variance 1, three heads."""
    rng = np.random.default_rng(seed)
    scale = np.where(np.eye(3)[POPULATION] == 1, math.sqrt(own), math.sqrt(other))
    means = scale[..., None] * rng.normal(size=(3 * EACH, 3, latents))
    return means, np.zeros_like(means), POPULATION


def information(variance: float, latents: int = 1) -> float:
    """Of a Gaussian mean seen through unit noise."""
    return latents * math.log(1 + variance) / 2


def table(result, name: str) -> np.ndarray:
    found = np.array(result.detail[name], dtype=float)
    assert np.isfinite(found).all()
    return found


@pytest.mark.parametrize(("own", "other", "latents"), [(8, 0.5, 1), (3, 0, 2), (1, 1, 2)])
def test_agrees_with_the_known_information(own, other, latents):
    result = private_information(*codes(own, other, latents))
    truth = information(own, latents) - information(other, latents)
    assert result.interval is not None
    assert result.interval[1] - result.interval[0] < 0.25
    assert result.value == pytest.approx(truth, abs=0.1)
    for name in ("information", "without_self", "gaussian"):
        assert table(result, name).diagonal().mean() == pytest.approx(information(own, latents), abs=0.2)
    assert "note" not in result.detail


def test_the_estimates_are_ordered_as_bounds():
    result = private_information(*codes(20, 2, 2))
    below, above = table(result, "information"), table(result, "without_self")
    assert (below < above).all()
    assert (below < table(result, "gaussian") + 0.05).all()
    least, largest = result.detail["least"], result.detail["largest"]
    assert isinstance(least, float)
    assert isinstance(largest, float)
    assert least <= result.value <= largest


def test_sharp_codes_stop_at_the_ceiling_and_say_so():
    means, log_variances, population = codes(50, 0, 6)
    result = private_information(means, log_variances, population)
    assert result.ceiling == pytest.approx(math.log(EACH))
    assert table(result, "information").diagonal() == pytest.approx(math.log(EACH), abs=0.1)
    assert information(50, 6) > 11  # what it is
    assert table(result, "gaussian").diagonal() == pytest.approx(information(50, 6), abs=0.3)
    assert "near its ceiling" in str(result.detail["note"])


def test_a_code_that_forgets_whose_data_it_sees_is_at_chance():
    rng = np.random.default_rng(0)
    means = np.repeat(rng.normal(size=(3 * EACH, 1, 2)) * 2, 3, axis=1)
    result = private_information(means, np.zeros_like(means), rng.permutation(POPULATION))
    assert result.interval is not None
    assert result.chance == 0
    assert result.interval[0] < 0 < result.interval[1]


def test_the_interval_covers_the_truth():
    results = [private_information(*codes(3, 0.5, seed=seed), most=150, samples=2, seed=seed) for seed in range(60)]
    intervals = [result.interval for result in results if result.interval is not None]
    expected = np.mean([result.value for result in results])  # with its bias, which the interval does not hold
    assert np.mean([low < expected < high for low, high in intervals]) > 0.88


def test_shift_scale_rotation_and_dead_dimensions_change_nothing():
    means, log_variances, population = codes(8, 0.5, 2)
    reference = private_information(means, log_variances, population).value
    turned = np.linalg.qr(np.random.default_rng(1).normal(size=(2, 2)))[0]
    others = {
        "shift": (means + 1e4, log_variances),
        "scale": (means * 100, log_variances + 2 * math.log(100)),
        "sign": (-means, log_variances),
        "rotation": (means @ turned, log_variances),
        "dead": (np.pad(means, ((0, 0), (0, 0), (0, 1))), np.pad(log_variances, ((0, 0), (0, 0), (0, 1)))),
    }
    for name, (moved, variances) in others.items():
        assert private_information(moved, variances, population).value == pytest.approx(reference, abs=0.05), name


def test_populations_are_thinned_to_the_same_number():
    means, log_variances, population = codes(8, 0.5)
    kept = np.r_[:EACH, EACH : EACH + 100, 2 * EACH : 3 * EACH]
    result = private_information(means[kept], log_variances[kept], population[kept])
    assert result.parameters["observations_each"] == 100
    assert private_information(means, log_variances, population, most=70).parameters["observations_each"] == 70


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m, v, p: (m[:, 0], v[:, 0], p), r"expected means and log_variances of one shape"),
        (lambda m, v, p: (m, v[:, :, :0], p), r"expected means and log_variances of one shape"),
        (lambda m, v, p: (m, v, np.minimum(p, 1)), "each population from 0 to 2"),
        (lambda m, v, p: (m, v, p + 1), "each population from 0 to 2"),
        (lambda m, v, p: (m, v, p[:-1]), "expected as many population as codes"),
        (lambda m, v, p: (np.where(m == m.max(), np.nan, m), v, p), "expected finite means"),
    ],
)
def test_what_cannot_be_is_refused(change, words, as_a_user):
    with pytest.raises(ValueError, match=words):
        private_information(*change(*codes(1, 1)))
