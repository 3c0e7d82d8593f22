"""What values would be if labels meant nothing: exact counts, and a p-value that is uniform where they do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

from unbraid.metrics import LOGISTIC, clustering, population_leakage
from unbraid.metrics.null import agreements, permutation_null


def null(result) -> dict:
    found = result.detail["null"]
    assert isinstance(found, dict)
    return found


@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 6))
def test_tables_give_what_labels_give(seed, classes, clusters):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), rng.integers(classes, size=40)])
    found = np.where(rng.random(len(labels)) < 0.5, labels % clusters, rng.integers(clusters, size=len(labels)))
    table = np.asarray(contingency_matrix(labels, found))
    expected = float(expected_mutual_information(contingency_matrix(labels, found, sparse=True), len(labels)))
    ours = agreements(np.stack([table, table]), expected)
    assert ours["ari"] == pytest.approx(2 * [adjusted_rand_score(labels, found)])
    assert ours["ami"] == pytest.approx(2 * [adjusted_mutual_info_score(labels, found)], abs=1e-9)
    assert ours["nmi"] == pytest.approx(2 * [normalized_mutual_info_score(labels, found)], abs=1e-9)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30), st.floats(-1, 1))
def test_the_p_value_counts_ties_and_is_never_zero(shuffled, value):
    found = permutation_null(value, np.array(shuffled))
    low, mean, high, p = (found[name] for name in ("low", "mean", "high", "p"))
    assert 1 / (1 + len(shuffled)) <= p <= 1
    assert low - 1e-9 <= mean <= high + 1e-9 or len(shuffled) > 2
    assert permutation_null(2.0, np.array(shuffled))["p"] == 1 / (1 + len(shuffled))
    assert permutation_null(min(shuffled), np.array(shuffled))["p"] == 1


def test_without_shuffles_there_is_nothing_to_say():
    assert permutation_null(1.0, np.array([])) == {"shuffles": 0}
    codes, labels = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2
    assert clustering(codes, labels, shuffles=0)["nmi"].chance is None
    assert null(population_leakage(codes, labels, shuffles=0)["accuracy"]) == {"shuffles": 0}


def test_meaningless_labels_have_p_values_that_are_uniform():
    values = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        codes, labels = rng.normal(size=(60, 2)), rng.integers(3, size=60)
        results = clustering(codes, labels, seed, restarts=1, shuffles=39)
        values.append([null(results[name])["p"] for name in ("ari", "ami", "nmi")])
    shares = (np.array(values) <= 0.2).mean(axis=0)
    assert shares == pytest.approx(3 * [0.2], abs=0.16)


@pytest.mark.parametrize(("distance", "found"), [(0.0, False), (1.0, True)])
def test_a_leak_is_told_from_none(distance, found):
    rng = np.random.default_rng(1)
    population = np.arange(200) % 2
    codes = rng.normal(size=(200, 3)) + distance * population[:, None]
    found_null = null(population_leakage(codes, population, LOGISTIC, shuffles=19)["balanced_accuracy"])
    assert (found_null["p"] <= 0.05) == found
    assert found_null["mean"] == pytest.approx(0.5, abs=0.05)
