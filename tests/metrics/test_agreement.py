"""How much of one code another one knows, on codes whose answer is known."""

import numpy as np
import pytest

from unbraid.metrics import code_agreement

RNG = np.random.default_rng(0)
CODES = RNG.normal(size=(2000, 4))


def test_a_linear_map_changes_nothing():
    found = code_agreement(CODES, CODES @ RNG.normal(size=(4, 4)) + 5)
    assert found.value > 0.999
    assert found.interval is not None
    assert found.interval[0] > 0.999


def test_what_is_common_is_the_share_of_variance():
    noise = RNG.normal(size=CODES.shape)
    found = code_agreement(CODES, np.sqrt(0.7) * CODES + np.sqrt(0.3) * noise)
    assert found.value == pytest.approx(0.7, abs=0.02)
    assert found.interval is not None
    assert found.interval[0] < 0.7 < found.interval[1]
    assert found.chance == pytest.approx(0.0, abs=0.02)


def test_latents_that_hardly_move_do_not_count():
    unused = 1e-3 * RNG.normal(size=(2000, 50))
    assert code_agreement(CODES, np.hstack([CODES, unused])).value > 0.999
    assert code_agreement(np.hstack([CODES, unused]), CODES).value > 0.99


def test_it_is_directed():
    assert code_agreement(CODES, CODES[:, :2]).value > 0.999
    assert code_agreement(CODES[:, :2], CODES).value == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("others", "folds", "message"),
    [
        (np.full((2000, 2), 0.3), 5, "expected other codes that vary"),
        (CODES * np.nan, 5, "finite"),
        (CODES, 1, "expected 2 to 2000 folds"),
    ],
)
def test_what_is_wrong_is_said(others, folds, message):
    with pytest.raises(ValueError, match=message):
        code_agreement(CODES, others, folds=folds)
