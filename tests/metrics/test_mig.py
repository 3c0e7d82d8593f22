"""The mutual information gap against literal readings of its protocols."""

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from unbraid.metrics.mig import MIG_DLIB, MIG_LAFORGE, MIGProtocol, mig

SPRITES = (3, 6, 40, 32, 32)


def sprites(n: int = 3000) -> np.ndarray:
    return np.random.default_rng(0).integers(0, SPRITES, (n, 5))


def laforge(codes: np.ndarray, factors: np.ndarray) -> float:
    """Scaled to [0, 1], ten bins, information over the entropy of the code."""

    def bins(values):
        scaled = (values - values.min(axis=0)) / np.ptp(values, axis=0)
        return np.digitize(scaled, np.linspace(0, 1, 11)[:-1])

    codes, factors = bins(codes), bins(factors.astype(float))
    shares = [[mutual_info_score(f, c) / mutual_info_score(c, c) for c in codes.T] for f in factors.T]
    return float(np.mean([np.sort(row)[-1] - np.sort(row)[-2] for row in shares]))


def test_laforge_agrees_with_its_literal_definition():
    factors = sprites()
    codes = factors @ np.random.default_rng(1).normal(size=(5, 7)) / 10
    assert mig(codes, factors, MIG_LAFORGE).value == pytest.approx(laforge(codes, factors), abs=1e-12)


def test_protocols_are_the_published_ones():
    assert MIGProtocol(20, None, False, "dlib") == MIG_DLIB
    assert MIGProtocol(10, 10, True, "laforge") == MIG_LAFORGE
    assert MIGProtocol(30).name == "custom"


def test_more_values_than_bins_cannot_be_known():
    factors = sprites()
    dlib, laforge = (mig(factors.astype(float), factors, protocol) for protocol in (MIG_DLIB, MIG_LAFORGE))
    assert dlib.value == dlib.ceiling == pytest.approx(0.89, abs=0.02)
    assert laforge.value == laforge.ceiling == pytest.approx(0.99, abs=0.02)


def test_detail_names_the_dimensions():
    factors = np.stack(np.unravel_index(np.arange(120), (4, 5, 6)), axis=1)
    codes = np.stack([np.zeros(120), factors[:, 2], factors[:, 0], factors[:, 1]], axis=1).astype(float)
    detail = mig(codes, np.insert(factors, 0, 1, axis=1)).detail
    assert detail["best"] == [2, 3, 1]
    assert detail["active"] == [1, 2, 3]
    assert detail["factors"] == [1, 2, 3]
    np.testing.assert_allclose(np.array(detail["gaps"]), 1)
    np.testing.assert_allclose(np.array(detail["factor_entropies"]), np.log([4, 5, 6]))


def test_two_dimensions_for_one_factor_have_no_gap():
    factors = sprites()[:, :2]
    assert mig(factors[:, [0, 0, 1, 1]].astype(float), factors).value == 0


def test_too_few_bins_are_refused():
    with pytest.raises(ValueError, match="at least 2 bins, got 1"):
        MIGProtocol(factor_bins=1)
