"""Accuracy, cross-entropy and calibration by hand, and as the metric of evidence has them."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import confusion_matrix, log_loss, recall_score

from unbraid.metrics import calibration_error, classification, evidence_classification

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, 300)
LOGITS = RNG.normal(size=(300, 4)) + 1.5 * np.eye(4)[LABELS]
NAMED = LOGITS.argmax(1)
PROBABILITIES = np.exp(log_softmax(LOGITS, 1))


def test_values_are_those_of_scikit_learn():
    result = classification(LOGITS, LABELS)
    assert result.value == (NAMED == LABELS).mean()
    assert result.chance == np.bincount(LABELS).max() / 300
    assert result.parameters == {"observations": 300, "populations": 4}
    detail = result.detail
    assert detail["confusion"] == confusion_matrix(LABELS, NAMED).tolist()
    np.testing.assert_allclose(detail["recalls"], recall_score(LABELS, NAMED, average=None))  # type: ignore[arg-type]
    assert detail["cross_entropy"] == pytest.approx(log_loss(LABELS, PROBABILITIES))
    assert detail["confidence"] == pytest.approx(PROBABILITIES.max(1).mean())
    losses = -np.log(PROBABILITIES[np.arange(300), LABELS])
    half = 1.96 * losses.std(ddof=1) / np.sqrt(300)
    assert detail["cross_entropy_interval"] == pytest.approx([losses.mean() - half, losses.mean() + half], rel=1e-4)


def test_what_classification_by_evidence_has_too_is_the_same():
    one, two = classification(LOGITS, LABELS), evidence_classification(LOGITS[..., None], LABELS)
    assert (one.value, one.chance, one.ceiling, one.interval) == (two.value, two.chance, two.ceiling, two.interval)
    assert {name: one.detail[name] for name in ("recalls", "confusion")} == {
        name: two.detail[name] for name in ("recalls", "confusion")
    }
    assert one.detail["confidence"] == pytest.approx(two.detail["confidence"])
    assert one.protocol != two.protocol


def test_what_is_added_to_a_row_changes_nothing():
    moved = LOGITS + RNG.normal(size=(300, 1))
    for metric in (classification, calibration_error):
        assert metric(moved, LABELS).value == pytest.approx(metric(LOGITS, LABELS).value)
    assert classification(moved, LABELS).detail["cross_entropy"] == pytest.approx(log_loss(LABELS, PROBABILITIES))


@pytest.mark.parametrize("bins", [1, 4, 15])
def test_the_calibration_error_is_that_of_its_definition(bins: int):
    sure, total = PROBABILITIES.max(1), 0.0
    for k in range(bins):
        inside = (sure > k / bins) & (sure <= (k + 1) / bins)
        if inside.any():
            total += inside.mean() * abs((NAMED == LABELS)[inside].mean() - sure[inside].mean())
    result = calibration_error(LOGITS, LABELS, bins)
    assert result.value == pytest.approx(total)
    counts = result.detail["counts"]
    assert isinstance(counts, list)
    assert (len(counts), sum(counts)) == (bins, 300)  # type: ignore[arg-type]


def test_probabilities_that_mean_what_they_say_have_little_calibration_error():
    logits = 2 * RNG.normal(size=(50_000, 3))
    drawn = (np.exp(log_softmax(logits, 1)).cumsum(1) < RNG.random((50_000, 1))).sum(1)
    assert calibration_error(logits, drawn).value < 0.01
    assert calibration_error(3 * logits, drawn).value > 0.1  # too sure


def test_certainty_falls_into_the_last_bin():
    result = calibration_error(np.array([[0.0, -800.0]] * 3), np.zeros(3, dtype=np.int64), 4)
    assert result.detail["counts"] == [0, 0, 0, 3]
    assert result.detail["accuracy"] == [None, None, None, 1.0]
    assert result.value == 0


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (LOGITS[:, :1], LABELS * 0, "at least two classes, got 1"),
        (LOGITS, LABELS + 1, "labels from 0 to 3, the classes of the log_probabilities, got 1 to 4"),
        (LOGITS, LABELS[:-1], "as many labels as observations, got 299 and 300"),
        (LOGITS, LABELS.astype(float), r"labels as integers \[n\], got float64"),
        (LOGITS * np.nan, LABELS, "expected finite log_probabilities"),
        (LOGITS[0], LABELS[:4], "expected log_probabilities as a matrix"),
    ],
)
def test_what_is_wrong_is_refused(logits, labels, message, as_a_user):
    for metric in (classification, calibration_error):
        with pytest.raises(ValueError, match=message):
            metric(logits, labels)


def test_no_bin_is_refused():
    with pytest.raises(ValueError, match="expected at least 1 bin, got 0"):
        calibration_error(LOGITS, LABELS, 0)
