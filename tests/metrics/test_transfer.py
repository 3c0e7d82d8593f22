"""Whether what is decoded as another population becomes one of it."""

import numpy as np
import pytest

from unbraid.metrics import transfer_accuracy, transfer_change

RNG = np.random.default_rng(0)
OF = np.repeat([0, 1, 2], (30, 50, 40))


def test_pairs_count_alike_and_chance_is_what_reconstructions_are_named():
    named = np.tile(np.arange(3), (len(OF), 1))  # what is decoded as j is named j
    named[OF == 1, 1] = 2  # but reconstructions of 1 are named 2
    named[OF == 0, 2] = 0  # and 0 as 2 stays 0
    found = transfer_accuracy(np.eye(3)[named], OF)
    assert found.value == pytest.approx(5 / 6)
    assert found.chance == pytest.approx(1 / 6)
    assert found.ceiling == pytest.approx(2 / 3)
    assert found.detail
    assert np.array(found.detail["named"])[0, 2].tolist() == [1, 0, 0]
    assert found.detail["counts"] == [30, 50, 40]


@pytest.mark.parametrize("truth", [0.02, 0.7, 0.98])
def test_the_interval_holds_the_truth_as_often_as_it_says(truth: float):
    held = 0
    for _ in range(400):
        hit = RNG.random((len(OF), 3)) < truth
        named = np.where(hit, np.arange(3), (np.arange(3) + 1) % 3)
        interval = transfer_accuracy(np.eye(3)[named], OF).interval
        assert interval
        held += interval[0] <= truth <= interval[1]
    assert held / 400 > 0.92


def test_no_transfer_at_all_has_an_interval():
    found = transfer_accuracy(np.eye(3)[OF][:, None].repeat(3, axis=1), OF)
    assert found.value == 0
    assert found.interval
    assert 0.01 < found.interval[1] < 0.1


def test_change_is_in_distances_of_reconstructions():
    own = RNG.normal(size=(len(OF), 4, 4)) * (1 + OF)[:, None, None]
    moved = own + RNG.normal(size=own.shape) * (1 + OF)[:, None, None]  # as far as a variance: half of a distance
    decoded = np.stack([moved] * 3, axis=1)
    decoded[np.arange(len(OF)), OF] = own
    found = transfer_change(decoded, OF)
    assert found.value == pytest.approx(0.5, abs=0.05)
    assert found.interval
    assert found.interval[0] < 0.5 < found.interval[1]
    assert transfer_change(decoded * 7 + 3, OF).value == pytest.approx(found.value)


@pytest.mark.parametrize(
    ("shape", "of", "message"),
    [
        ((6, 3), OF[:6], "decoded as, population"),
        ((6, 3, 2), OF[:6], "decoded as, population"),
        ((6, 2, 2), np.zeros(6, int), "of every population"),
    ],
)
def test_what_is_no_transfer_is_refused(shape, of, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        transfer_accuracy(np.zeros(shape), of)


def test_change_needs_reconstructions_that_differ(as_a_user):
    with pytest.raises(ValueError, match="the same for all of population 0"):
        transfer_change(np.ones((6, 2, 3)), np.arange(6) % 2)
    with pytest.raises(ValueError, match="at least two observations of each"):
        transfer_change(RNG.normal(size=(3, 2, 3)), np.array([0, 0, 1]))
    with pytest.raises(ValueError, match="at least two as at least two populations"):
        transfer_change(RNG.normal(size=(3, 1, 3)), np.zeros(3, int))
