"""The metrics of codes beside factors against the values of a reference implementation, on stored codes."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unbraid.metrics.irs import irs
from unbraid.metrics.mig import mig
from unbraid.metrics.modularity import modularity
from unbraid.metrics.result import Result
from unbraid.metrics.sap import SAP_DLIB_CONTINUOUS, sap
from unbraid.metrics.total_correlation import gaussian_total_correlation

FOLDER = os.environ.get("UNBRAID_TEST_GOLDEN")
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="UNBRAID_TEST_GOLDEN is unset: NOTHING is compared with the reference's values"
)
CASES = ("identity_noise", "rotation", "mix", "duplicate")
TRAIN = 2000
Score = Callable[[np.ndarray, np.ndarray], Result]
SCORES: dict[str, tuple[Score, float]] = {
    "mig": (lambda codes, factors: mig(codes[:TRAIN], factors[:TRAIN]), 1e-6),
    "modularity": (lambda codes, factors: modularity(codes[:TRAIN], factors[:TRAIN]), 1e-6),
    "irs": (lambda codes, factors: irs(codes[:TRAIN], factors[:TRAIN]), 1e-6),
    "gaussian_total_correlation": (lambda codes, factors: gaussian_total_correlation(codes[:TRAIN]), 1e-6),
    "sap_continuous": (lambda codes, factors: sap(codes, factors, TRAIN, SAP_DLIB_CONTINUOUS), 1e-6),
    "sap_discrete": (lambda codes, factors: sap(codes, factors, TRAIN), 0.02),
}


@pytest.fixture(scope="module")
def reference() -> dict:
    return json.loads((Path(FOLDER or "") / "metrics.json").read_text())


def arrays(case: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(Path(FOLDER or "") / "metrics.npz") as stored:
        return stored[f"{case}.codes"], stored[f"{case}.factors"]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", SCORES)
def test_value_is_the_reference_s(name: str, case: str, reference: dict):
    score, tolerance = SCORES[name]
    assert score(*arrays(case)).value == pytest.approx(reference[case][name], abs=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_mutual_information_is_the_reference_s(case: str, reference: dict):
    codes, factors = arrays(case)
    ours = np.array(mig(codes[:TRAIN], factors[:TRAIN]).detail["mutual_information"])
    np.testing.assert_allclose(ours, reference[case]["mutual_information"], atol=1e-6)
