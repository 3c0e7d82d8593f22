"""What was measured of a run before: never measured again for the same weights, data, settings and code."""

import hashlib
import inspect
import io
import json
from dataclasses import is_dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from unbraid import data, likelihoods, metrics, models, nets
from unbraid.metrics import Result
from unbraid.runs import write_atomically

Outcome = list[Result] | str


class Memory:
    """Results in a file of JSON lines, each written as soon as it is there, so that a killed evaluation goes on.

    file: where they are kept.
    state: what all of them depend on (weights, data, seed ...), as plain values; the metrics' own code is added.
    """

    def __init__(self, file: Path, state: dict[str, Any]):
        self.file, self.state = file, fingerprint({**state, "code": measuring_code()})
        self._known = {line["key"]: line["outcome"] for line in _lines(file) if line["state"] == self.state}
        if file.is_file() and not file.read_bytes().endswith(b"\n"):
            with file.open("ab") as end:  # a line that was cut off must not spoil the next
                end.write(b"\n")

    def recall(self, key: str) -> Outcome | None:
        """The results under this key, or why there are none; None if that was never measured."""
        return self._known.get(key)

    def keep(self, key: str, outcome: Outcome) -> None:
        """Remember results, or the reason why there are none."""
        what = {"reason": outcome} if isinstance(outcome, str) else {"results": [each.to_dict() for each in outcome]}
        self._known[key] = outcome
        self.file.parent.mkdir(exist_ok=True)
        line = json.dumps({"state": self.state, "key": key, **what}) + "\n"
        with self.file.open("ab", buffering=0) as file:  # at once: another evaluation may append too
            file.write(line.encode())


def settings(metric: partial) -> str:
    """The metric's name and what it is called with, but for the arrays, which follow from weights and data."""
    given = [*enumerate(metric.args), *metric.keywords.items()]
    said = [f"{name}={_said(value)}" for name, value in given if _plain(value)]
    return f"{metric.func.__name__}({', '.join(said)})"


def fingerprint(value: Any) -> str:
    """SHA-256 of a plain value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def keep_codes(file: Path, key: str, codes: dict[str, Float[np.ndarray, "n *code"]]) -> None:
    """Write codes of every block with the key of what they depend on."""
    content = io.BytesIO()
    np.savez(content, **{"__key__": np.array(key), **codes})  # type: ignore[arg-type]
    file.parent.mkdir(exist_ok=True)
    write_atomically(file, content.getvalue())


def recall_codes(file: Path, key: str) -> dict[str, Float[np.ndarray, "n *code"]] | None:
    """The codes that were kept under this key, None if there are others or none, or the file is damaged."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as stored:
            codes = dict(stored)
    except Exception:  # missing or damaged in any way: they are computed again
        return None
    return codes if str(codes.pop("__key__", "")) == key else None


def _plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(_plain(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str) or _protocol(value)


def _protocol(value: Any) -> bool:
    return is_dataclass(value) and hasattr(value, "name")


def _said(value: Any) -> str:
    if not _protocol(value):
        return repr(value)
    plain = {key: item for key, item in vars(value).items() if _plain(item)}  # without functions
    return f"{type(value).__name__}({plain})"


def _lines(file: Path) -> list[dict[str, Any]]:
    """Every line that can be read; the others were cut off or damaged, and what they said is measured again."""
    lines = []
    for text in file.read_bytes().splitlines() if file.is_file() else []:
        try:
            line = json.loads(text)
            lines.append({"state": line["state"], "key": str(line["key"]), "outcome": _read(line)})
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return lines


def _read(line: dict[str, Any]) -> Outcome:
    return str(line["reason"]) if "reason" in line else [Result.from_dict(plain) for plain in line["results"]]


@cache
def measuring_code() -> str:
    """Checksum of the metrics, of what makes codes and of what calls them: another version measures anew."""
    here = Path(__file__).parent
    others = [Path(inspect.getfile(module)).parent for module in (metrics, models, nets, likelihoods, data)]
    files = [file for folder in others for file in folder.rglob("*.py")]
    digest = hashlib.sha256(str([version(name) for name in ("numpy", "scipy", "scikit-learn", "torch")]).encode())
    for file in sorted([*files, *here.glob("judging*.py"), here / "phases.py", here / "suite.py"]):
        digest.update(file.read_bytes())
    return digest.hexdigest()
