"""Evidence and classes from weights whose truth is known: Gaussians proposed to a Gaussian."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from unbraid.metrics import evidence, evidence_classification, log_evidence

LABELS = np.arange(60) % 3


def weights(count: int = 60, populations: int = 3, samples: int = 400, wider: float = 1.4, seed: int = 0) -> np.ndarray:
    """Log weights of N(0, 1) proposed by a wider Gaussian: log p(x) is 0 by construction."""
    draws = wider * np.random.default_rng(seed).normal(size=(count, populations, samples))
    return norm.logpdf(draws) - norm.logpdf(draws, scale=wider)


def test_errors_cover_the_truth():
    found = log_evidence(weights(2000, 1))
    distances = found.value / found.error
    assert distances.mean() == pytest.approx(-found.error.mean() / 2, abs=3 / math.sqrt(2000))
    assert distances.std() == pytest.approx(1, abs=0.05)


def test_the_effective_sample_size_is_what_it_is_by_calculus():
    """E[w]^2 / E[w^2] for N(0, 1) proposed by N(0, c^2) is sqrt(2 c^2 - 1) / c^2."""
    share = log_evidence(weights(samples=20_000)).effective.mean() / 20_000
    assert share == pytest.approx(math.sqrt(2 * 1.4**2 - 1) / 1.4**2, rel=0.01)


@given(st.floats(-1e6, 1e6), st.integers(1, 5))
def test_a_constant_factor_moves_the_value_alone(shift, samples):
    given_, moved = weights(4, 2, samples), weights(4, 2, samples) + shift
    one, other = log_evidence(given_), log_evidence(moved)
    np.testing.assert_allclose(other.value, one.value + shift, atol=1e-8)
    np.testing.assert_allclose(other.effective, one.effective, rtol=1e-6)
    np.testing.assert_allclose(other.error, one.error, atol=1e-6)


@given(st.permutations(range(3)))
def test_names_of_populations_and_order_do_not_matter(order):
    log_weights = weights(samples=5)
    named = np.argsort(order)[LABELS]
    moved = evidence_classification(log_weights[:, order], named)
    assert moved.value == evidence_classification(log_weights, LABELS).value
    assert evidence(log_weights[:, order], named).value == pytest.approx(evidence(log_weights, LABELS).value)
    backwards = log_weights[..., ::-1].copy()
    assert evidence(backwards, LABELS).value == pytest.approx(evidence(log_weights, LABELS).value)


def test_weights_far_below_zero_do_not_underflow():
    found = log_evidence(weights(samples=50) - 1e5)
    assert np.isfinite(found.value).all()
    assert found.value.mean() == pytest.approx(-1e5, abs=1)


def test_each_observation_is_judged_under_its_own_population():
    log_weights = np.where(np.eye(3)[LABELS][..., None] == 1, -1.0, -9.0) * np.ones(4)
    assert evidence(log_weights, LABELS).value == -1
    assert evidence(log_weights, (LABELS + 1) % 3).value == -9
    assert evidence(log_weights[:, :1]).value == pytest.approx(np.where(LABELS == 0, -1, -9).mean())


def test_a_poor_proposal_is_noted_and_a_good_one_is_not():
    assert "note" not in evidence(weights(), LABELS).detail
    assert "note" in evidence(weights(wider=0.3) * 8, LABELS).detail
    assert "note" not in evidence(weights(samples=3, wider=1.0), LABELS).detail  # few draws, all of one weight


def test_one_draw_has_no_error_to_state():
    result = evidence(weights(samples=1), LABELS)
    assert result.detail["error"] == 0
    assert evidence_classification(weights(samples=1), LABELS).detail["uncertain"] == 0


def test_noise_classifies_at_chance_and_truth_at_its_ceiling():
    noise = np.random.default_rng(0).normal(size=(3000, 3, 1))
    labels = np.arange(3000) % 3
    assert evidence_classification(noise, labels).value == pytest.approx(1 / 3, abs=0.03)
    result = evidence_classification(9 * np.eye(3)[LABELS][..., None], LABELS)
    assert result.value == result.ceiling == 1
    assert result.detail["recalls"] == [1, 1, 1]
    assert result.detail["confusion"] == (20 * np.eye(3)).astype(int).tolist()


def test_a_class_without_observations_has_no_recall():
    found = evidence_classification(weights(), np.zeros(60, int))
    recalls = found.detail["recalls"]
    assert isinstance(recalls, list)
    assert recalls[1:] == [None, None]


def test_uncertain_decisions_are_those_that_another_run_changes():
    def decisions(seed):
        return log_evidence(weights(2000, 2, 100, seed=seed)).value.argmax(1)

    changed = (decisions(0) != decisions(1)).mean()
    result = evidence_classification(weights(2000, 2, 100), np.arange(2000) % 2)
    uncertain = result.detail["uncertain"]
    assert isinstance(uncertain, int)
    assert changed == pytest.approx(0.5, abs=0.05)  # both populations are as probable
    assert uncertain / 2000 == pytest.approx(0.95, abs=0.02)


def test_shared_draws_make_differences_certain():
    """An error that both populations share says nothing about which is more probable."""
    one = weights(200, 1, 50)
    both = np.concatenate([one, one - 0.01], axis=1)
    assert log_evidence(both).error.min() > 0.01
    assert evidence_classification(both, np.arange(200) % 2).detail["uncertain"] == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: evidence(weights()), "expected the population of each observation"),
        (lambda: evidence(weights(), LABELS + 1), "expected population from 0 to 2"),
        (lambda: evidence(weights(), LABELS[:-1]), "expected as many population as observations"),
        (lambda: evidence(weights(), LABELS, least_effective=0.5), "least_effective of at least 1"),
        (lambda: evidence(weights()[0]), "expected log weights"),
        (lambda: evidence_classification(weights()[:, :1], LABELS), "at least two populations"),
        (lambda: evidence_classification(weights(), LABELS, (0.5, 0.5)), "3 probabilities"),
        (lambda: evidence_classification(weights(), LABELS, (0.5, 0.5, 0.5)), "add up to 1"),
        (lambda: evidence_classification(weights(), LABELS.astype(float)), "expected labels as integers"),
    ],
)
def test_what_cannot_be_is_refused(call, words, as_a_user):
    with pytest.raises(ValueError, match=words):
        call()
