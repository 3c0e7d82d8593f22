"""What commands print on standard output; where things are kept comes last."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unbraid import recipes
from unbraid.reproductions import Listed, Reproduced
from unbraid.sweeps import Outcome, Swept

if TYPE_CHECKING:
    from unbraid.data import Card
    from unbraid.metrics import Result
    from unbraid.runs import Run


def show_path(run: "Run") -> None:
    """Where a run is."""
    print(run.path)  # noqa: T201


def show_paths(runs: "Sequence[Run]") -> None:
    """Where runs are; an error if some failed."""
    failed = [run for run in runs if run.status["status"] == "failed"]
    for run in runs:
        if run not in failed:
            show_path(run)
    if failed:
        sys.stdout.flush()
        reasons = "; ".join(f"{run.path.name}: {run.status['message']}" for run in failed)
        raise ValueError(f"expected {len(runs)} finished runs, but {len(failed)} failed: {reasons}")


def show_swept(swept: Swept) -> None:
    """What a sweep says over seeds; an error if runs failed."""
    for each in swept.measured:
        print(f"{each.method}: {each.measure} = {each}")  # noqa: T201
    print(swept.results)  # noqa: T201
    _refuse(swept.failed, len(swept.outcomes))


def show_reproduced(found: Reproduced) -> None:
    """The verdict on every claim, and where the page is; an error if runs failed."""
    for judged in found.verdicts:
        print(f"{judged.verdict or 'not measured'}: {judged.claim.says} ({judged.claim.measure.name})")  # noqa: T201
    print(found.page)  # noqa: T201
    _refuse(found.failed, found.runs)


def _refuse(failed: Sequence[Outcome], runs: int) -> None:
    if failed:
        sys.stdout.flush()
        reasons = "; ".join(f"{outcome.job.name}: {outcome.message}" for outcome in failed)
        raise ValueError(f"expected {runs} finished runs, but {len(failed)} failed: {reasons}")


def show_listed(rows: Sequence[Listed]) -> None:
    """The reproductions there are."""
    width = max(len(row.name) for row in rows)
    for row in rows:
        counts = ", ".join(f"{count} at {scale}" for scale, count in row.runs.items() if scale != "smoke")
        print(f"{row.name:{width}}  {row.title}: {row.figure}; runs: {counts}")  # noqa: T201


def show_results(run: "Run") -> None:
    """A run's evaluation."""
    from unbraid.metrics import Result

    for plain in (run.evaluation() or {})["results"]:
        print(f"{plain.pop('subject')}: {Result.from_dict(plain)}")  # noqa: T201
    print(run.path)  # noqa: T201


def show_followed(run: "Run") -> None:
    """Quality over training."""
    from unbraid.metrics import Result

    for point in (run.over_training() or {})["points"]:
        for plain in point["results"]:
            where = f"step {point['step']} ({point['seconds']:.0f} s): {plain.pop('subject')}"
            print(f"{where}: {Result.from_dict(plain)}")  # noqa: T201
    print(run.path)  # noqa: T201


def show_forgetting(run: "Run") -> None:
    """The error of every task after every phase, and what was forgotten."""
    from unbraid.metrics import Result

    for plain in (run.forgetting() or {})["results"]:
        where = f"{plain.pop('task')} after {plain.pop('phase')}"
        print(f"{where}: {Result.from_dict(plain)}")  # noqa: T201
    print(run.path)  # noqa: T201


def show_scores(scores: recipes.Scores) -> None:
    """Results, and what was left out on standard error."""
    for result in scores.results:
        print(json.dumps(result.to_dict()) if scores.json else result)  # noqa: T201
    for name, reason in scores.left_out:
        print(f"left out {name}: {reason}", file=sys.stderr)  # noqa: T201


def show_ranked(ranked: Sequence[recipes.Ranked]) -> None:
    """Runs by agreement."""
    for each in ranked:
        print(f"{each.run}: {each.result}")  # noqa: T201


def show_agreed(found: Sequence[recipes.Agreed]) -> None:
    """How far the codes of seeds agree."""
    for each in found:
        print(each)  # noqa: T201


def show_transfer(found: "Sequence[Result]") -> None:
    """How well a classifier takes what is decoded for what it was decoded as."""
    for result in found:
        print(result)  # noqa: T201


def show_stability(found: recipes.Stability) -> None:
    """Agreement of seeds, and where table and picture are."""
    for name, result in found.results:
        print(f"{name}: {result}")  # noqa: T201
    print(found.table)  # noqa: T201
    print(found.picture)  # noqa: T201


def show_rows(rows: Sequence[recipes.Row]) -> None:
    """A table of runs."""
    from rich.console import Console
    from rich.table import Table

    if not rows:
        print("no runs here; `unbraid train` and `unbraid demo` make some", file=sys.stderr)  # noqa: T201
        return
    table = Table("run", "model", "objective", "seed", "status", "steps", "measured", box=None)
    for row in rows:
        measured = ", ".join(f"{name} {value:.3g}" for name, value in row.headline.items()) or "-"
        steps = f"{row.step}/{row.steps}"
        table.add_row(str(row.path), row.model, row.objective, str(row.seed), row.status, steps, measured)
    # a terminal folds the table to its width; in a file or pipe every run is one line
    Console(width=None if sys.stdout.isatty() else 1000, markup=False, highlight=False).print(table)


def show_cards(cards: "Sequence[Card]") -> None:
    """Data sets with their terms."""
    for card in cards:
        size = sum(file.size or 0 for file in card.files) / 1e6
        files = ", ".join(file.name for file in card.files)
        print(f"{card.name}: {card.title}")  # noqa: T201
        about = {"licence": card.licence, "cite": card.citation, "home": card.homepage}
        about |= {"files": f"{files}{f' ({size:,.0f} MB)' if size else ''}" if files else "", "note": card.note}
        print("".join(f"    {key}: {value}\n" for key, value in about.items() if value))  # noqa: T201


def show_findings(findings: "Sequence[recipes.Finding]") -> None:
    """Checks of data; an error if some differ."""
    marks = {True: "ok", False: "DIFFERS", None: "-"}
    for finding in findings:
        print(f"{marks[finding.fine]:8}{finding.what}: {finding.detail}")  # noqa: T201
    wrong = [finding.what for finding in findings if finding.fine is False]
    if wrong:
        sys.stdout.flush()
        raise ValueError(f"expected the official data, but {len(wrong)} of {len(findings)} checks differ")
