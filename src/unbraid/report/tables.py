"""The numbers of a page: measured values side by side, and what was run."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unbraid.report.reading import Shown

NOTHING = "–"
# what the models claim; everything else, other protocols too, is there to be looked up
MAIN = (
    "factor_vae",
    "mig",
    "dci_disentanglement",
    "canonical_correlation",
    "clustering_ari",
    "population_leakage_balanced_accuracy",
    "evidence_classification",
    "classification",
    "pixel_correlation",
)
DEFAULT_PROTOCOL = {
    "factor_vae": "dlib",
    "mig": "dlib",
    "dci_disentanglement": "dlib",
    "clustering_ari": "k-means on posterior means",
}
ALWAYS_DIFFERENT = ("created", "folder")


@dataclass(frozen=True)
class Cell:
    """One measured value of one run; a value that is not defined is None."""

    value: float | None
    interval: tuple[float, float] | None
    chance: float | None
    ceiling: float | None
    more: str

    @property
    def text(self) -> str:
        """The value for people."""
        return number(self.value)

    @property
    def interval_text(self) -> str:
        """The interval for people, empty if there is none."""
        return "" if self.interval is None else f"{number(self.interval[0])} to {number(self.interval[1])}"


@dataclass(frozen=True)
class Row:
    """One metric under one protocol with one set of parameters: comparable between runs.

    subject: what was measured, such as "private code, digits 0-4"; cells: one a run, None where it was not measured.
    """

    subject: str
    metric: str
    protocol: str
    how: str
    cells: list[Cell | None] = field(default_factory=list)

    @property
    def main(self) -> bool:
        """Whether it is one of the few numbers that a page is opened for."""
        return self.metric in MAIN and DEFAULT_PROTOCOL.get(self.metric, self.protocol) == self.protocol

    @property
    def title(self) -> str:
        """Metric, protocol and subject in one line."""
        protocol = f" ({self.protocol})" if self.protocol else ""
        return f"{self.metric}{protocol}" + (f", {self.subject}" if self.subject else "")

    @property
    def chance(self) -> str:
        """What a code that knows nothing scores, for every run if it differs."""
        return _shared([cell.chance for cell in self.cells if cell])

    @property
    def ceiling(self) -> str:
        """What a perfect code scores, for every run if it differs."""
        return _shared([cell.ceiling for cell in self.cells if cell])

    @property
    def more(self) -> list[tuple[int, str]]:
        """Index of a run, and what else is known about its value."""
        return [(index, cell.more) for index, cell in enumerate(self.cells) if cell and cell.more]


MOST = 12  # facts of one kind that are shown


def measures(runs: Sequence[Shown]) -> list[Row]:
    """One row for every metric, protocol, parameters and subject, in order of appearance, and a cell for every run."""
    keyed = [{_key(result, copy): result for result, copy in _counted(run.results)} for run in runs]
    rows = []
    for key in dict.fromkeys(key for results in keyed for key in results):
        cells = [_cell(results[key]) if key in results else None for results in keyed]
        rows.append(Row(*key[:4], cells=cells))
    return _told_apart(rows)


def facts(runs: Sequence[Shown]) -> list[tuple[str, list[str], bool]]:
    """Everything that was run, as (name, value of each run, whether the runs differ in a way that matters)."""
    flat = [_flatten(_recorded(run)) for run in runs]
    table = []
    for name in dict.fromkeys(name for values in flat for name in values):
        values = [one.get(name, NOTHING) for one in flat]
        table.append((name, values, name not in ALWAYS_DIFFERENT and len(set(values)) > 1))
    return table


def overview(run: Shown) -> dict[str, Any]:
    """What stands at the top of the page about a run."""
    record, status = run.record, run.status
    state = str(status.get("status", "unknown"))
    return {
        "label": run.label,
        "path": str(run.path),
        "model": _class(record.get("model")),
        "objective": _class(record.get("objective")),
        "data": _class(record.get("data")),
        "state": state,
        "unfinished": state != "finished",
        "message": str(status.get("message") or ""),
        "steps": f"{int(status.get('step', 0)):,}",
        "time": duration(float(status.get("seconds", 0))),
        "notes": [str(note) for note in record.get("notes") or []],
        "evaluated": run.evaluated,
        "judged": _judged(run.judged_on),
        "sources": [_source(card) for card in record.get("cards") or []],
        "left_out": [f"{each['subject']}: {each['reason']}" for each in run.left_out],
    }


def _source(card: Any) -> str:
    """Whose data, and under what terms."""
    if not isinstance(card, Mapping):
        return ""
    known = {name: str(card.get(name) or "") for name in ("title", "licence", "citation")}
    return f"{known['title']}. Licence: {known['licence']}. Cite: {known['citation']}"


def _judged(on: Mapping[str, Any]) -> str:
    parts = {"test": "test data", "validation": "validation data", "data": "its training data", "passed": "data passed"}
    part = parts.get(str(on.get("part")), "")
    return f"Judged on {on.get('observations', 0):,} observations of {part}" if part else ""


def number(value: float | None) -> str:
    """Three decimals where they fit, significant digits elsewhere."""
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return "not defined" if math.isnan(value) else f"{value:+}"
    if value == 0 or 0.001 <= abs(value) < 100:
        return f"{value:.3f}"
    return f"{value:,.1f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.3g} s"


def _counted(results: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], int]]:
    # a metric measured twice with the same parameters (two seeds) keeps both values
    seen: dict[tuple, int] = {}
    counted = []
    for result in results:
        key = _key(result, 0)
        counted.append((result, seen.get(key, 0)))
        seen[key] = seen.get(key, 0) + 1
    return counted


def _key(result: Mapping[str, Any], copy: int) -> tuple[str, str, str, str, int]:
    subject, metric, protocol = (str(result.get(name) or "") for name in ("subject", "metric", "protocol"))
    return subject, metric, protocol, _parameters(result.get("parameters")), copy


def _parameters(parameters: Any) -> str:
    if isinstance(parameters, Mapping):
        return ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in parameters.items())
    return _plain(parameters) if parameters else ""


def _cell(result: Mapping[str, Any]) -> Cell:
    interval = result.get("interval")
    known = {"metric", "value", "protocol", "parameters", "chance", "ceiling", "interval", "seed", "detail", "subject"}
    rest = {name: value for name, value in result.items() if name not in known and value is not None}
    seed = None if result.get("seed") is None else f"seed {result['seed']}"
    texts = [_parameters(part) for part in (seed, result.get("detail"), rest) if part]
    return Cell(
        value=_float(result.get("value")),
        interval=(float(interval[0]), float(interval[1])) if interval and None not in interval else None,
        chance=_float(result.get("chance")),
        ceiling=_float(result.get("ceiling")),
        more=_cut("; ".join(texts), 1500),
    )


def _told_apart(rows: list[Row]) -> list[Row]:
    # the same metric with other parameters, or measured again, must not share a line of the comparison
    titles = [row.title for row in rows]
    told, seen = [], {}
    for row in rows:
        subject = row.subject
        if titles.count(row.title) > 1:
            seen[row.title] = seen.get(row.title, 0) + 1
            subject = f"{subject} [{seen[row.title]}]".strip()
        told.append(Row(subject, row.metric, row.protocol, row.how, row.cells))
    return told


def _shared(values: Sequence[float | None]) -> str:
    texts = [number(value) for value in values]
    return " / ".join(texts) if len(set(texts)) > 1 else (texts[0] if texts else NOTHING)


def _recorded(run: Shown) -> dict[str, Any]:
    order = ("seed", "recipe", "arguments", "training", "model", "objective", "data", "created", "unbraid", "versions")
    chosen = {name: run.record[name] for name in order if name in run.record}
    above = ("notes", "name", "cards")  # what the top of the page shows
    rest = {name: value for name, value in run.record.items() if name not in chosen and name not in above}
    if isinstance(rest.get("facts"), Mapping):
        rest["facts"] = {part: _few(facts) for part, facts in rest["facts"].items()}
    return chosen | rest | {"folder": str(run.path)}


def _few(facts: Any) -> Any:
    """Facts without long lists, such as the mean of every column."""
    if not isinstance(facts, Mapping):
        return facts
    long = {name for name, value in facts.items() if isinstance(value, Mapping | list) and len(value) > MOST}
    return {name: f"{len(value)}, see run.json" if name in long else value for name, value in facts.items()}


def _flatten(value: Any, name: str = "") -> dict[str, str]:
    if isinstance(value, dict) and set(value) == {"class", "arguments"}:
        return {name: _class(value)} | _flatten(value["arguments"], name)
    if not isinstance(value, dict):
        return {name: _cut(_plain(value), 300)}
    flat: dict[str, str] = {}
    for key, item in value.items():
        flat |= _flatten(item, f"{name} › {key}" if name else str(key))
    return flat


def _class(description: Any) -> str:
    if isinstance(description, dict) and "class" in description:
        return str(description["class"]).rpartition(".")[2]
    return _cut(_plain(description), 60) if description else ""


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _float(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
