import json

import numpy as np
import pytest

from unbraid.metrics import Result

FULL = Result("mig", 0.5, "dlib", {"bins": 20}, 0.1, 0.9, (0.4, 0.6), 7, {"gaps": [0.5, 0.5]})


def test_line_names_everything():
    assert str(FULL) == "mig [dlib: bins=20] = 0.5 (95% 0.4 to 0.6, chance 0.1, ceiling 0.9, seed 7)"
    assert str(Result("mig", 0.5, "dlib")) == "mig [dlib] = 0.5"


def test_numpy_values_become_plain():
    result = Result("a", np.float64(0.5), "b", {"n": [np.int64(3)], "sizes": [(1, 2)]}, chance=np.float64(0.25))
    assert result.to_dict()["parameters"] == {"n": [3], "sizes": [[1, 2]]}
    assert type(result.value) is type(result.chance) is float
    json.dumps(result.to_dict())


def test_dictionary_round_trip():
    assert Result.from_dict(json.loads(json.dumps(FULL.to_dict()))) == FULL


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "where",
    [
        lambda bad: {"value": bad},
        lambda bad: {"chance": bad},
        lambda bad: {"ceiling": bad},
        lambda bad: {"interval": (0.0, bad)},
        lambda bad: {"parameters": {"a": bad}},
        lambda bad: {"detail": {"a": [[0.0], [bad]]}},
        lambda bad: {"detail": {"a": {"b": np.array([bad])}}},
    ],
)
def test_what_is_not_finite_is_refused(where, bad):
    with pytest.raises(ValueError, match="expected a finite number as"):
        Result(**{"metric": "a", "value": 0.0, "protocol": "b", **where(bad)})


def test_what_is_not_plain_is_refused():
    with pytest.raises(ValueError, match=r"expected a plain value .* got function"):
        Result("a", 0.0, "b", detail={"f": [lambda: 0]})


@pytest.mark.parametrize(("change", "words"), [({"extra": 1}, r"unknown \['extra'\]"), ({}, r"missing \['metric'\]")])
def test_a_foreign_dictionary_is_refused(change, words):
    fields = FULL.to_dict() | change
    if not change:
        del fields["metric"]
    with pytest.raises(ValueError, match=words):
        Result.from_dict(fields)
