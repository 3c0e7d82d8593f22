"""Weights of all pairs of two kinds of draws: their error, by simulation, and what else must hold."""

import numpy as np
import pytest
from scipy.special import logsumexp

from unbraid.metrics import PairedWeights, evidence, evidence_classification, log_evidence


def effects(count: int, rows: int, columns: int, sizes: tuple[float, float, float], seed: int = 0) -> np.ndarray:
    """Log weights of mean weight 1 with given variances of the shared, the private and the remaining effect."""
    rng = np.random.default_rng(seed)
    shapes = (count, 1, rows, 1), (count, 1, 1, columns), (count, 1, rows, columns)
    bounded = [size**0.5 * rng.uniform(-(3**0.5), 3**0.5, shape) for size, shape in zip(sizes, shapes, strict=True)]
    weights = 1 + bounded[0] + bounded[1] + bounded[2]
    assert weights.min() > 0
    return np.log(weights)


SIZES = [(0.04, 0.01, 0.02), (0.0, 0.0, 0.1), (0.05, 0.0, 0.0), (0.0, 0.03, 0.03)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("rows", "columns"), [(12, 12), (20, 5)])
def test_the_variance_of_the_mean_is_that_of_a_two_way_analysis(sizes, rows, columns):
    """Known by construction, found in the spread of many estimates, and stated from each one alone."""
    found = PairedWeights.of(effects(4000, rows, columns, sizes))
    true = sizes[0] / rows + sizes[1] / columns + sizes[2] / (rows * columns)
    assert np.exp(found.value).var() == pytest.approx(true, rel=0.1)
    means = np.exp(found.value)
    parts = found.shared.var(2, ddof=1) / rows + found.private.var(2, ddof=1) / columns - found.rest / (rows * columns)
    assert (parts * means**2).mean() == pytest.approx(true, rel=0.05)  # without bias, before it is made no less than
    stated = (found.evidence().error ** 2).mean()
    assert 0.95 * true < stated < 1.5 * true  # either block's alone


def test_the_value_is_that_of_all_pairs_as_if_they_were_draws():
    weights = np.random.default_rng(0).normal(size=(5, 3, 6, 4)) * 3
    found = PairedWeights.of(weights).evidence()
    np.testing.assert_allclose(found.value, log_evidence(weights.reshape(5, 3, 24)).value)
    np.testing.assert_allclose(found.value, logsumexp(weights, axis=(2, 3)) - np.log(24))


def test_where_private_draws_make_no_difference_it_is_as_with_one_of_each():
    rows = np.random.default_rng(0).normal(size=(5, 2, 8))
    pairs = PairedWeights.of(np.repeat(rows[..., None], 3, axis=3)).evidence()
    plain = log_evidence(rows)
    np.testing.assert_allclose(pairs.value, plain.value)
    np.testing.assert_allclose(pairs.error, plain.error)
    assert (pairs.effective <= plain.effective + 1e-9).all()


def test_weights_far_apart_and_far_below_zero_do_not_underflow():
    weights = np.random.default_rng(0).normal(size=(4, 2, 6, 6)) * 500 - 1e5
    found = PairedWeights.of(weights)
    assert all(np.isfinite(part).all() for part in vars(found).values())
    assert (found.evidence().effective >= 1 - 1e-9).all()


def test_groups_of_observations_are_put_together():
    weights = np.random.default_rng(0).normal(size=(7, 2, 4, 5))
    whole, parts = PairedWeights.of(weights), [PairedWeights.of(weights[:3]), PairedWeights.of(weights[3:])]
    joined = PairedWeights.joined(parts)
    for name, value in vars(whole).items():
        np.testing.assert_array_equal(getattr(joined, name), value)
    assert (len(joined), joined.populations, joined.draws) == (7, 2, (4, 5))


def test_errors_of_differences_know_that_draws_of_z_are_shared():
    """Two populations with one effect of the shared draw: it cancels, what is private does not."""
    rng = np.random.default_rng(1)
    rows, columns, count = 10, 8, 4000
    common = 0.3 * rng.uniform(-1, 1, (count, 1, rows, 1))
    private = 0.3 * rng.uniform(-1, 1, (count, 2, 1, columns)) + 0.2 * rng.uniform(-1, 1, (count, 2, rows, columns))
    found = PairedWeights.of(np.log(1 + common + private))
    differences = np.exp(found.value[:, 0]) - np.exp(found.value[:, 1])
    stated = found.errors_of_differences(np.zeros(count, int))
    assert (stated[:, 0] == 0).all()
    assert differences.std() == pytest.approx(float(np.sqrt((stated[:, 1] ** 2).mean())), rel=0.05)
    single = PairedWeights.of(np.log(1 + np.repeat(common, 2, axis=1) * np.ones((1, 1, 1, columns))))
    np.testing.assert_allclose(single.errors_of_differences(np.zeros(count, int)), 0, atol=1e-12)


def test_metrics_take_them_and_say_so():
    labels = np.arange(40) % 3
    weights = effects(120, 6, 4, (0.04, 0.01, 0.02)).reshape(40, 3, 6, 4)
    weights += np.where(np.eye(3)[labels] == 1, 2.0, 0.0)[..., None, None]
    pairs = PairedWeights.of(weights)
    result = evidence(pairs, labels)
    own = weights[np.arange(40), labels].reshape(40, 24)
    assert result.value == pytest.approx(log_evidence(own[:, None]).value.mean())
    assert result.protocol == "importance sampling, all pairs"
    assert {"shared_samples": 6, "private_samples": 4}.items() <= result.parameters.items()
    classes = evidence_classification(pairs, labels)
    assert (classes.value, classes.protocol) == (1.0, "importance sampling, all pairs")
    assert classes.detail["uncertain"] == 0
    assert evidence(PairedWeights.of(weights[:, :1])).value == pytest.approx(pairs.value[:, 0].mean())


def test_uncertain_decisions_are_those_that_another_run_changes():
    def found(seed: int) -> PairedWeights:
        return PairedWeights.of(effects(2000, 8, 8, (0.04, 0.02, 0.02), seed).reshape(1000, 2, 8, 8))

    changed = (found(0).value.argmax(1) != found(1).value.argmax(1)).mean()
    uncertain = evidence_classification(found(0), np.arange(1000) % 2).detail["uncertain"]
    assert isinstance(uncertain, int)
    assert changed == pytest.approx(0.5, abs=0.05)  # both populations are as probable
    assert uncertain / 1000 == pytest.approx(0.95, abs=0.04)


LABELS, PAIRS = np.zeros(6, int), PairedWeights.of(np.zeros((6, 3, 4, 5)))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: PairedWeights.of(np.zeros((6, 3, 4, 1))), "at least 2 draws of each block"),
        (lambda: PairedWeights.of(np.full((6, 3, 4, 5), np.nan)), "finite"),
        (lambda: evidence(PAIRS), "expected the population of each observation"),
        (lambda: evidence(PAIRS, np.arange(6)), "expected population from 0 to 2"),
        (lambda: evidence(PairedWeights.of(np.zeros((1, 1, 4, 5)))), "at least 2 observations"),
        (
            lambda: evidence_classification(PairedWeights.of(np.zeros((6, 1, 4, 5))), np.zeros(6, int)),
            "two populations",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, words, as_a_user):
    with pytest.raises(ValueError, match=words):
        call()
