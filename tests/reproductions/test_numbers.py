"""What is said of numbers, on numbers whose answer is known."""

import math

import numpy as np
import pytest

from unbraid.reproductions import Claim, Measure
from unbraid.reproductions.figures import over_training
from unbraid.reproductions.numbers import chance_level, curves, judged, kept, notes, spread, summary, values
from unbraid.reproductions.srvae import COST

SCORE = Measure("score", "factor_vae", "dlib", ("z block",), True)
ERROR = Measure("error", "squared_error", None, ("reconstruction", "output with the skip"), False)
SECONDS = Measure("time", "seconds", None, (), False)


def rows(
    method: str, metric: str, found: dict[int, float], subject: str = "z block", protocol: str = "dlib", step=None
):
    shared = {"method": method, "metric": metric, "subject": subject, "protocol": protocol, "step": step, "note": None}
    return [
        {**shared, "seed": seed, "value": value, "seconds": 10.0 * seed, "chance": 0.2} for seed, value in found.items()
    ]


def compared(first: list[float], second: list[float], measure: Measure = SCORE, share=None, similar: bool = False):
    claim = Claim("first beats second", "first", "second", measure, similar)
    subject = measure.subjects[-1]
    table = rows("first", measure.metric, dict(enumerate(first)), subject)
    table += rows("second", measure.metric, dict(enumerate(second)), subject)
    return judged(table, claim, share)


def test_rows_are_chosen_by_metric_protocol_and_subject():
    table = rows("a", "factor_vae", {0: 0.5, 1: 0.6}) + rows("a", "factor_vae", {0: 0.9}, protocol="infogan-cr")
    table += rows("a", "squared_error", {0: 4.0}, "output with the skip") + rows("b", "factor_vae", {0: 0.1})
    table += rows("a", "factor_vae", {0: 0.3}, step=10) + rows("a", "factor_vae", {0: 0.2}, step=5)
    assert values(table, SCORE, "a") == {0: 0.5, 1: 0.6}
    assert values(table, ERROR, "a") == {0: 4.0}
    assert values(table, SECONDS, "a") == {0: 0.0, 1: 10.0}
    assert curves(table, SCORE, "a") == {0: [(5, 0.0, 0.2), (10, 0.0, 0.3)]}


@pytest.mark.parametrize(
    ("first", "second", "measure", "verdict"),
    [
        ([0.8, 0.81, 0.82], [0.5, 0.52, 0.51], SCORE, "held up"),
        ([0.5, 0.52, 0.51], [0.8, 0.81, 0.82], SCORE, "the other way round"),
        ([0.8, 0.5, 0.6], [0.5, 0.8, 0.6], SCORE, "not decided"),
        ([4.0, 4.1, 4.2], [6.0, 6.1, 6.3], ERROR, "held up"),  # smaller is better
        ([0.8], [0.5], SCORE, "one seed, which agrees"),
        ([0.4], [0.5], SCORE, "one seed, which does not agree"),
    ],
)
def test_verdicts(first, second, measure, verdict):
    found = compared(first, second, measure)
    assert found.verdict == verdict
    assert found.difference is not None
    agrees = verdict in ("held up", "one seed, which agrees")
    assert (found.difference.mean > 0) is agrees or verdict == "not decided"


def test_alike_is_never_proved_but_can_be_refuted():
    assert compared([0.8, 0.5, 0.6], [0.5, 0.8, 0.6], similar=True).verdict == "no difference shown"
    assert compared([0.8, 0.81, 0.82], [0.5, 0.52, 0.51], similar=True).verdict == "they differ"


def test_what_was_not_measured_is_not_judged():
    claim = Claim("first beats second", "first", "second", SCORE)
    assert judged(rows("first", "factor_vae", {0: 0.5}), claim, None).verdict is None
    table = rows("first", "factor_vae", {0: 0.5}) + rows("second", "factor_vae", {1: 0.5})
    assert judged(table, claim, None).difference is None  # no seed in common


def test_the_worst_seeds_are_compared_with_the_worst():
    first, second = [0.9, 0.2, 0.9, 0.9, 0.9, 0.3], [0.6, 0.6, 0.5, 0.6, 0.4, 0.6]
    found = compared(first, second, share=-1 / 3)
    assert found.difference is not None
    assert found.difference.values == pytest.approx((0.2 - 0.4, 0.3 - 0.5))
    whole = compared(first, second, share=1 / 3)  # the best are shown, but all are judged
    assert whole.difference is not None
    assert len(whole.difference.values) == 6


def test_the_worst_seeds_of_equal_methods_are_seldom_found_different():
    """An interval of sorted pairs would find more than half of them different."""
    rng = np.random.default_rng(0)
    found = [
        compared(*rng.normal(size=(2, 12)).tolist(), measure=measure, share=-1 / 3, similar=True).verdict
        for measure in (SCORE, ERROR)
        for _ in range(20)
    ]
    assert found.count("they differ") <= 6
    assert compared([0.8, 0.81, 0.82, 0.8, 0.84, 0.81], [0.2, 0.21, 0.2, 0.22, 0.2, 0.24], share=-1 / 3).verdict == (
        "held up"
    )


def test_few_seeds_have_no_worst_third():
    assert compared([0.8, 0.5, 0.6], [0.1, 0.2, 0.1], share=-1 / 3).verdict is None


def test_the_worst_are_those_of_the_seeds_that_both_have():
    claim = Claim("first beats second", "first", "second", SCORE)
    table = rows("first", "factor_vae", dict(enumerate([0.9, 0.2, 0.9, 0.9, 0.8, 0.3])))
    table += rows("second", "factor_vae", {0: 0.6, 2: 0.6, 3: 0.5, 4: 0.6, 5: 0.4})
    difference = judged(table, claim, -1 / 3).difference
    assert difference is not None
    assert difference.values == pytest.approx((0.3 - 0.4, 0.8 - 0.5))
    assert difference.which == "worst 2 of 5"


def test_chance_is_that_of_the_very_measure():
    """DCI has one metric name under three protocols, whose levels are far apart."""
    table = rows("a", "dci", {0: 0.5}, protocol="qedr-lasso") + rows("a", "dci", {0: 0.5, 1: 0.5}, protocol="dlib")
    table += rows("a", "dci", {0: 0.5}, protocol="dlib", step=5) + rows("b", "dci", {0: 0.5}, protocol="dlib")
    for row, chance in zip(table, (0.6, 0.1, 0.3, 0.9, 0.9), strict=True):
        row["chance"] = chance
    assert chance_level(table, Measure("d", "dci", "dlib", ("z block",), True), "a") == pytest.approx(0.2)
    assert chance_level(table, SCORE, "a") is None
    assert chance_level(table, SECONDS, "a") is None


def test_what_speaks_against_a_value_stays_beside_it():
    table = rows("a", "factor_vae", {0: 0.5, 1: 0.6, 2: 0.4}) + rows("a", "factor_vae", {0: 0.5}, step=5)
    table += rows("a", "mig", {1: 0.5}) + rows("b", "factor_vae", {1: 0.5})
    for row in table[1:]:
        row["note"] = f"untrustworthy {row['value']}"
    assert notes(table, SCORE, "a") == {1: "untrustworthy 0.6", 2: "untrustworthy 0.4"}


def test_seeds_without_a_second_in_common_are_no_curve():
    shared = {"method": "SR-VAE", "metric": "factor_vae", "subject": "z block", "protocol": "dlib", "value": 0.5}
    table = [
        {**shared, "seed": seed, "step": step, "seconds": step * (1 + 9.0 * seed)} for seed in (0, 1) for step in (3, 6)
    ]
    assert over_training(table, COST, by_time=True) is None
    assert over_training(table, COST) is not None


@pytest.mark.parametrize(
    ("seeds", "share", "count"), [(30, 1 / 3, 10), (30, -1 / 3, 10), (6, -1 / 3, 2), (3, 1 / 3, None), (5, None, None)]
)
def test_a_share_of_seeds_is_never_a_single_one(seeds: int, share, count):
    assert kept(seeds, share) == count


def test_summaries_keep_the_right_end():
    numbers = [0.1, 0.5, 0.9, 0.3, 0.7, 0.2]
    assert set(summary(numbers, SCORE, 1 / 3).kept) == {0.9, 0.7}
    assert set(summary(numbers, SCORE, -1 / 3).kept) == {0.1, 0.2}
    assert set(summary(numbers, ERROR, 1 / 3).kept) == {0.1, 0.2}
    assert math.isnan(spread(summary([0.5], SCORE)))
