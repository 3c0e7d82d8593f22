"""What is wrong with a table of runs, found before the first hour is spent on it."""

import inspect
import json
from collections.abc import Sequence
from dataclasses import asdict

from unbraid.recipes.existing import check_same
from unbraid.recipes.measures import chosen
from unbraid.sweeps.job import Job, given, trains, typed


def check_jobs(jobs: Sequence[Job]) -> None:
    """Refuse a table in which a job cannot work; each is planned for its first seed, and nothing is written.

    Raises:
        ValueError: a bad argument or metric, a run that has other arguments, or two jobs in one folder; the message
            names the job.
    """
    paths: set[object] = set()
    planned: set[str] = set()
    for job in jobs:
        if job.path in paths:
            raise ValueError(f"expected a folder of its own for every run, got '{job.path}' twice")
        paths.add(job.path)
        try:
            _check(job, planned)
        except ValueError as error:
            raise ValueError(f"{job.name}: {error}") from error


def _check(job: Job, planned: set[str]) -> None:
    from unbraid.runs import Run

    if job.judging is not None:
        chosen(job.judging.metrics)
        if job.judging.followed:
            chosen(job.judging.followed)
    recipe = trains(job.recipe)
    options = typed(recipe, job.arguments)
    needed = [name for name, each in inspect.signature(recipe).parameters.items() if each.default is each.empty]
    if missing := [name for name in needed if name not in options and name != "out"]:
        raise ValueError(f"expected {' and '.join(missing)} for {recipe.__name__}, got nothing")
    if (job.path / "run.json").is_file():
        check_same(recipe, job.path, given(job, options))
        return
    Run.check_free(job.path)
    key = _key(job)
    if key not in planned:
        recipe.plan(job.path, **options)
        planned.add(key)


def _key(job: Job) -> str:
    """What seeds of one method have in common."""
    training = {**(job.arguments.get("training") or {}), "seed": 0}  # type: ignore[dict-item]
    return json.dumps({**asdict(job), "seed": 0, "path": "", "arguments": {**job.arguments, "training": training}})
