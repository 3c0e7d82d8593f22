"""What runs there are and how far they came."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One run at a glance; `headline` holds a few measured values by name."""

    path: Path
    model: str
    objective: str
    seed: int
    status: str
    step: int
    steps: int
    headline: dict[str, float]


def overview(folder: Path = Path("runs")) -> list[Row]:
    """List every run in a folder or below it, oldest first; what is no run, or no readable one, is left out.

    Args:
        folder: where to look.

    Raises:
        ValueError: there is no such folder.
    """
    from unbraid.runs import Run

    if not folder.is_dir():
        raise ValueError(f"expected a folder with runs, got '{folder}', which is none; `unbraid train` makes runs")
    found = []
    for file in folder.rglob("run.json"):
        try:
            found.append(Run(file.parent))
        except ValueError:
            continue
    return [_row(run) for run in sorted(found, key=lambda run: (run.record["created"], str(run.path)))]


def _row(run) -> Row:
    record, status, evaluation = run.record, run.status, run.evaluation()
    results = evaluation["results"] if evaluation else []
    wanted = ("factor_vae", "ari", "squared_error")
    headline: dict[str, float] = {}
    for result in results:
        if result["metric"] in wanted:
            headline.setdefault(f"{result['metric']} {result['subject']}", result["value"])
    arguments = record.get("arguments", {})
    model = arguments.get("model", record["model"]["class"].rpartition(".")[2])
    objective = record["objective"]["class"].rpartition(".")[2]
    steps = record["training"]["steps"]
    return Row(run.path, model, objective, record["seed"], status["status"], status["step"], steps, headline)
