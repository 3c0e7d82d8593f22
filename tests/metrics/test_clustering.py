import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score, silhouette_score

from unbraid.metrics import clustering


def null(result) -> dict:
    found = result.detail["null"]
    assert isinstance(found, dict)
    return found


def blobs(distance: float, classes: int = 4, each: int = 40):
    labels = np.repeat(np.arange(classes), each)
    noise = np.random.default_rng(0).normal(size=(len(labels), 5))
    return noise + distance * np.eye(5)[labels], labels


def pair_counting_ari(a, b):
    """Hubert & Arabie's index from the pairs themselves."""
    upper = np.triu_indices(len(a), 1)
    same_a, same_b = (a[:, None] == a)[upper], (b[:, None] == b)[upper]
    expected = same_a.sum() * same_b.sum() / len(same_a)
    return ((same_a & same_b).sum() - expected) / ((same_a.sum() + same_b.sum()) / 2 - expected)


def test_separate_classes_are_found_whatever_their_names():
    codes, labels = blobs(20)
    for names in (labels, labels[::-1].copy(), 7 * labels - 3):
        results = clustering(codes, names)
        assert [results[name].value for name in ("ari", "ami", "nmi")] == pytest.approx([1, 1, 1])
        assert results["silhouette"].value > 0.8


@pytest.mark.parametrize("distance", [1.5, 3])
def test_agrees_with_definitions(distance):
    codes, labels = blobs(distance)
    found = KMeans(4, n_init=10, random_state=0).fit_predict(codes)  # pyright: ignore[reportArgumentType]
    results = clustering(codes, labels)
    assert results["ari"].value == pytest.approx(pair_counting_ari(labels, found))
    assert results["ami"].value == pytest.approx(adjusted_mutual_info_score(labels, found))
    assert results["nmi"].value == pytest.approx(normalized_mutual_info_score(labels, found))
    assert results["silhouette"].value == pytest.approx(silhouette_score(codes, found))
    assert results["silhouette"].detail["of_classes"] == pytest.approx(silhouette_score(codes, labels))


def test_unrelated_labels_are_at_chance():
    codes, labels = blobs(20)
    results = clustering(codes, np.random.default_rng(1).permutation(labels))
    assert results["ari"].value == pytest.approx(0, abs=0.05)
    assert results["ami"].value == pytest.approx(0, abs=0.05)
    assert results["nmi"].value == pytest.approx(results["nmi"].chance, abs=0.04)
    assert (results["nmi"].chance or 0) > 0  # not corrected for chance
    for result in results.values():
        if result.metric != "clustering_silhouette":
            assert null(result)["low"] <= result.value <= null(result)["high"]
    assert null(results["ari"])["mean"] == pytest.approx(0, abs=0.01)
    assert null(results["ami"])["mean"] == pytest.approx(0, abs=0.01)


def test_codes_are_not_standardised():
    codes, labels = blobs(20, classes=2)
    loud = np.hstack([codes, 1000 * np.random.default_rng(1).normal(size=(len(codes), 1))])
    assert clustering(loud, labels)["ari"].value < 0.2


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_standardised_codes_have_one_scale_and_nothing_that_carries_nothing(scale):
    codes, labels = blobs(20, classes=2)
    rng = np.random.default_rng(1)
    loud = np.hstack([codes, 25 * rng.normal(size=(len(codes), 1)), 0.1 * rng.normal(size=(len(codes), 40))])
    assert clustering(scale * loud, labels)["ari"].value < 0.2
    result = clustering(scale * loud - 7, labels, standardised=True)["ari"]
    assert result.value > 0.9
    assert result.protocol == "k-means on standardised posterior means"


def test_a_code_without_anything_has_one_cluster():
    labels = np.arange(30) % 3
    assert clustering(np.zeros((30, 4)), labels, standardised=True)["ari"].value == 0


def test_silhouette_is_taken_on_a_bounded_sample():
    codes, labels = blobs(20)
    result = clustering(codes, labels, silhouette_samples=50)["silhouette"]
    assert result.parameters["silhouette_samples"] == 50
    assert result.value > 0.8


@pytest.mark.parametrize(
    ("labels", "words"),
    [(np.zeros(160, int), "at least two different"), (np.arange(160), "fewer classes than samples")],
)
def test_impossible_classes_are_refused(labels, words):
    with pytest.raises(ValueError, match=words):
        clustering(blobs(1)[0], labels)
