"""Descriptions: what can be described comes back, and a foreign description runs no foreign code."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unbraid.configuration import Configured, build, describe
from unbraid.data import Arrays
from unbraid.objectives import BetaELBO, CrossPopulation, Exponential

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key != "in_memory"), inner),
    max_leaves=10,
)


@given(value=plain)
def test_plain_values_come_back(value):
    assert build(json.loads(json.dumps(describe(value)))) == value


def test_objects_come_back_with_their_arguments():
    objective = CrossPopulation(Exponential(1.2, 50.0))
    again = build(json.loads(json.dumps(describe(objective))))
    assert isinstance(again, CrossPopulation)
    assert repr(again) == repr(objective) == "CrossPopulation(alpha=Exponential(rate=1.2, maximum=50.0, start=1.0))"


def test_containers_of_objects_come_back():
    again = build(describe({"all": (BetaELBO(2.0), Path("a/b"))}))
    assert repr(again) == "{'all': [BetaELBO(beta=2.0), 'a/b']}"


class Forgetful(Configured):
    def __init__(self, kept, lost):
        self.kept = kept


def test_an_object_that_forgets_an_argument_cannot_be_described():
    with pytest.raises(TypeError, match=r"Forgetful.*does not keep.*'lost'.*set self.lost"):
        describe(Forgetful(1, 2))


def test_data_in_memory_are_recorded_by_checksum():
    one, other = np.zeros((4, 2)), np.ones((4, 2))
    description = describe(Arrays(one))
    assert description == describe(Arrays(one.copy())) != describe(Arrays(other))
    assert description != describe(Arrays(one, ["a", "a", "b", "b"])) != describe(Arrays(one, ["a", "b", "b", "b"]))
    assert len(json.dumps(description)) < 200
    with pytest.raises(ValueError, match=r"expected data that .* but the run used Arrays .*pass the same data again"):
        build(description)


def foreign(path: Path) -> str:
    """A module whose import leaves a mark."""
    (path / "foreign_module.py").write_text(
        f"from pathlib import Path\nPath({str(path / 'ran')!r}).touch()\nclass Thing:\n    pass\n"
    )
    return "foreign_module.Thing"


def test_a_class_of_another_package_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    name = foreign(tmp_path)
    with pytest.raises(ValueError, match=r"expected a class of unbraid, got 'foreign_module.Thing'; if you trust"):
        build({"class": name, "arguments": {}})
    assert "foreign_module" not in sys.modules
    assert not (tmp_path / "ran").exists()
    trusted = build({"class": name, "arguments": {}}, trusted=("unbraid", "foreign_module"))
    assert type(trusted).__name__ == "Thing"
    assert (tmp_path / "ran").exists()


WRONG = {
    "callable": ("os.system", {"command": "true"}, "expected a class of unbraid"),
    "no module": ("Thing", {}, "expected a class of unbraid"),
    "similar name": ("unbraided.Thing", {}, "expected a class of unbraid"),
    "imported by a module of ours": ("unbraid.runs.Path", {}, "expected a class of unbraid, got 'unbraid.runs.Path'"),
    "module of ours that is none": ("unbraid.nothing.Thing", {}, "which does not exist; .*another version"),
    "through another module": ("unbraid.runs.os.system", {"command": "true"}, "which does not exist"),
    "class of ours that is none": ("unbraid.objectives.Nothing", {}, "which does not exist; .*another version"),
    "function": ("unbraid.runs.write_atomically", {"file": "x", "content": "y"}, "expected a class"),
    "unknown argument": ("unbraid.objectives.elbo.BetaELBO", {"gamma": 1}, r"BetaELBO does not take \['gamma'\], only"),
    "missing argument": ("unbraid.nets.mlp.MLPTrunk", {}, "expected arguments that make a MLPTrunk.*'inputs'"),
    "refused by the class": ("unbraid.objectives.elbo.BetaELBO", {"beta": -1}, "beta of at least 0, got -1"),
    "abstract": ("unbraid.objectives.contract.Objective", {}, "expected arguments that make a Objective.*abstract"),
    "arguments are no dictionary": ("unbraid.objectives.elbo.ELBO", [1], "expected .* as a dictionary, got"),
}


@pytest.mark.parametrize(("name", "arguments", "message"), WRONG.values(), ids=WRONG)
def test_wrong_descriptions_are_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        build({"class": name, "arguments": arguments})
