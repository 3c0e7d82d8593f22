"""A reproduction from its name to its page: train what is missing, judge, sum up, draw."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from unbraid.reproductions.changes import changed
from unbraid.reproductions.experiment import Experiment, Scale
from unbraid.reproductions.jobs import goes_on_with, jobs_of, names_of, stages_of
from unbraid.reproductions.papers import EXPERIMENTS
from unbraid.reproductions.remembering import remembered

if TYPE_CHECKING:
    from unbraid.reproductions.numbers import Judged
    from unbraid.sweeps import Job, Outcome


@dataclass(frozen=True)
class Reproduced:
    """What came of a reproduction.

    page, numbers: files that were written.
    verdicts: on each claim.
    runs: how many there are; failed: those that failed, which the numbers leave out.
    """

    page: Path
    numbers: Path
    verdicts: "tuple[Judged, ...]"
    runs: int
    failed: "tuple[Outcome, ...]"


def reproduce(
    name: str,
    scale: Scale = "laptop",
    out: Path = Path("reproductions"),
    seeds: tuple[int, ...] | None = None,
    processes: int | None = None,
    threads: int = 1,
    options: Sequence[str] = (),
    judge_again: bool = False,
) -> Reproduced:
    """Train, judge and compare what one figure or table of a paper shows, and write a page about it.

    What was trained before, in `out/runs` by this or another reproduction, is kept and what was begun goes on; Ctrl-C
    stops, and the same call continues. In `out/NAME` are the page `index.html`, `numbers.json`, `results.csv` with
    everything that was measured, and `sweep.json` with the runs (of the last stage that could begin, where populations
    arrive later, without those that failed before).

    Args:
        name: as `unbraid reproduce list` prints it.
        scale: smoke (seconds; shows nothing), laptop (smaller and shorter than the paper, as the page says), or paper
            (the full protocol, for a GPU or a cluster).
        out: folder to make or to go on with; one for each scale.
        seeds: of the runs; default: as many as the scale has.
        processes: runs at once; default: as many as the cores allow for.
        threads: of each process; another number gives other last digits.
        options: of the recipe, set by hand: NAME=VALUE, or DATA:NAME=VALUE for one of several data sets.
        judge_again: judge runs anew that another version of the metrics has judged; otherwise the page counts them.

    Raises:
        ValueError: before anything starts: an unknown name, a bad option, or `out` holds runs with other arguments.
    """
    experiment = changed(named(name), scale, options)
    return carried_out(experiment, scale, out, seeds, processes, threads, options, judge_again)


def carried_out(
    experiment: Experiment,
    scale: Scale,
    out: Path,
    seeds: tuple[int, ...] | None = None,
    processes: int | None = None,
    threads: int = 1,
    options: Sequence[str] = (),
    judge_again: bool = False,
) -> Reproduced:
    """What `reproduce` does, with any experiment; options are those that it was changed by."""
    from unbraid.reproductions.page import write_page
    from unbraid.reproductions.summing import summed
    from unbraid.runs import write_atomically
    from unbraid.sweeps import collect
    from unbraid.sweeps.checking import check_jobs
    from unbraid.sweeps.collecting import write_csv
    from unbraid.sweeps.judged import anew

    folder = out / experiment.name
    stages = stages_of(experiment, scale, out, seeds)
    jobs = [job for stage in stages for job in stage]
    begun = [job for job in jobs if (job.path / "run.json").is_file()]
    check_jobs(begun)  # those of later stages too, before anything starts
    if judge_again:
        stages = [[anew(job) for job in stage] for stage in stages]
    failed = _in_stages(stages, folder, processes, threads)
    rows = collect(jobs) + remembered(jobs)
    write_csv(folder / "results.csv", rows)
    found = summed(experiment, scale, jobs, rows, options)
    numbers = folder / "numbers.json"
    write_atomically(numbers, (json.dumps(found.plain, indent=1) + "\n").encode())
    page = write_page(folder / "index.html", found, jobs, rows)
    return Reproduced(page, numbers, found.verdicts, len(jobs), failed)


def _in_stages(
    stages: "Sequence[Sequence[Job]]", folder: Path, processes: int | None, threads: int
) -> "tuple[Outcome, ...]":
    """Train and judge every stage on top of those before, and return what failed; what would go on with it is left."""
    from unbraid.sweeps import carry_out

    done: list[Job] = []
    failed: list[Outcome] = []
    for stage in stages:
        ready = [
            job for job in stage if (before := goes_on_with(job)) is None or before in {each.path for each in done}
        ]
        if not ready:  # all that they would go on with has failed
            break
        swept = carry_out([*done, *ready], folder, processes, threads)
        failed += swept.failed
        done = [outcome.job for outcome in swept.outcomes if outcome.state == "finished"]
    return tuple(failed)


@dataclass(frozen=True)
class Listed:
    """A reproduction as a list shows it: how many runs it has at each scale, shared ones too."""

    name: str
    title: str
    figure: str
    runs: dict[Scale, int]


def reproductions() -> list[Listed]:
    """List the reproductions: which figure, and how many runs at each scale."""
    scales: tuple[Scale, ...] = get_args(Scale)
    return [
        Listed(
            experiment.name,
            f"{experiment.title} ({names_of(experiment)})",
            experiment.figure or "beyond the paper",
            {scale: len(jobs_of(experiment, scale, Path())) for scale in scales},
        )
        for experiment in EXPERIMENTS
    ]


def named(name: str) -> Experiment:
    """The experiment of this name.

    Raises:
        ValueError: there is none.
    """
    known = {experiment.name: experiment for experiment in EXPERIMENTS}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]}?" if close else "`unbraid reproduce list` describes them"
        raise ValueError(f"expected a reproduction out of {', '.join(known)}, got '{name}'; {hint}")
    return known[name]
