"""Judging the run of a job, and knowing cheaply that it was judged so before."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from unbraid import recipes
from unbraid.sweeps.job import Job, Judging

NOTE = "evaluation/judged.json"
WRITTEN = ("evaluation/results.json", "evaluation/over_training.json")


def judge(job: Job) -> None:
    """Judge a finished run as the job says, unless it was; what was measured before is not measured again."""
    from unbraid.recipes.remembered import measuring_code
    from unbraid.runs import write_atomically

    if job.judging is None or judged(job):
        return
    how = job.judging
    recipes.evaluate(job.path, how.metrics, how.max_codes, how.seed, draws=how.draws)
    if how.followed:
        recipes.follow(job.path, how.followed, how.steps, how.followed_codes, how.seed)
    note = {**_state(job.path, how), "code": measuring_code()}
    write_atomically(job.path / NOTE, (json.dumps(note) + "\n").encode())


def anew(job: Job) -> Job:
    """The job, to be judged again where other code than is here has judged it."""
    from unbraid.recipes.remembered import measuring_code

    if job.judging is None:
        return job
    return replace(job, judging=replace(job.judging, code=measuring_code()))


def outdated(job: Job) -> bool:
    """Whether the run was judged as the job says, but not, as far as is known, by the code and libraries of here."""
    return judged(job) and not judged(anew(job))


def complete(job: Job) -> bool:
    """Whether nothing is left to do; reads a few small files and the weights' bytes, and builds nothing."""
    return finished(job.path) and (job.judging is None or judged(job))


def finished(path: Path) -> bool:
    """Whether the run is trained to its end."""
    return (path / "weights.safetensors").is_file() and status(path).get("status") == "finished"


def status(path: Path) -> dict[str, Any]:
    """The run's status, empty if there is none or it cannot be read."""
    try:
        return dict(json.loads((path / "status.json").read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def judged(job: Job) -> bool:
    """Whether the run was judged in this way, and neither weights nor results have changed since."""
    note = _note(job.path)
    if job.judging is None or not note or job.judging.code not in ("", note.get("code")):
        return False
    # a note that was made before a setting existed has its default
    usual, noted = _plain(Judging()), note.get("judging", {})
    draws = {**usual["draws"], **noted.get("draws", {})}
    known = {"judging": {**usual, **noted, "draws": draws}, "files": note.get("files")}
    return known == _state(job.path, job.judging)


def _note(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((path / NOTE).read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _state(path: Path, judging: Judging) -> dict[str, Any]:
    files = [path / name for name in ("weights.safetensors", *WRITTEN)]
    sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}
    return {"judging": _plain(judging), "files": sums}


def _plain(judging: Judging) -> dict[str, Any]:
    plain = {**asdict(judging), "steps": list(judging.steps)}
    del plain["code"]  # stands beside it in the note
    return plain
