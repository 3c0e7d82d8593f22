"""What runs there are and how far they came."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unbraid.runs import Run

LOGGER = logging.getLogger("unbraid")
SEVERAL = ("factor_vae", "mig")  # metrics under several protocols, whose name says which
HEADLINE = (*SEVERAL, "clustering_ari", "canonical_correlation", "classification")


@dataclass(frozen=True)
class Row:
    """One run at a glance; `headline` holds a few measured values by name, each a mean over populations.

    Of a metric that was measured under several protocols it is the first one, which is the default.
    """

    path: Path
    created: str
    model: str
    objective: str
    seed: int
    status: str
    step: int
    steps: int
    headline: dict[str, float]


def overview(folder: Path = Path("runs")) -> list[Row]:
    """List every run in a folder or below it, oldest first; one that cannot be read is left out, with a warning.

    Args:
        folder: where to look.

    Raises:
        ValueError: there is no such folder.
    """
    from unbraid.runs import Run

    if not folder.is_dir():
        raise ValueError(f"expected a folder with runs, got '{folder}', which is none; `unbraid train` makes runs")
    rows = []
    for file in folder.rglob("run.json"):
        if file.parent.name.endswith(".tmp"):  # just being made, or left behind by a kill
            continue
        try:
            rows.append(_row(Run(file.parent)))
        except (ValueError, OSError, LookupError, AttributeError, TypeError) as error:
            LOGGER.warning("left out '%s', which is no readable run (%s: %s)", file.parent, type(error).__name__, error)
    return sorted(rows, key=lambda row: (row.created, str(row.path)))


def _row(run: "Run") -> Row:
    record, status, evaluation = run.record, run.status, run.evaluation()
    values: dict[str, list[float]] = {}
    protocols: dict[str, str] = {}  # the mean over two protocols would mean nothing
    for result in evaluation["results"] if evaluation else []:
        metric, protocol = result["metric"], result["protocol"]
        if metric in HEADLINE and protocols.setdefault(metric, protocol) == protocol:
            named = f"{metric} [{protocol}]" if metric in SEVERAL else metric
            values.setdefault(f"{named} {result['subject'].partition(',')[0]}", []).append(result["value"])
    model = record.get("arguments", {}).get("model", record["model"]["class"].rpartition(".")[2])
    return Row(
        path=run.path,
        created=record["created"],
        model=model,
        objective=record["objective"]["class"].rpartition(".")[2],
        seed=record["seed"],
        status=status["status"],
        step=status["step"],
        steps=record["training"]["steps"],
        headline={name: sum(each) / len(each) for name, each in values.items()},
    )
