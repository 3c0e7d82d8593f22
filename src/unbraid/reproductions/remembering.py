"""What runs that go on with each other still know of what they learned first, as rows of a sweep's table."""

from collections.abc import Sequence
from typing import Any

from unbraid import recipes
from unbraid.reproductions.jobs import chains_of
from unbraid.sweeps import Job, Row

OBSERVATIONS, SHOWN = 500, 2  # of each task
AT_THE_END = ("squared_error", "forgetting", "output_drift")  # of each task, by the last run


def remembered(jobs: Sequence[Job]) -> list[Row]:
    """Rows for every task of every chain of finished runs, its subject the task; measured where that was not done.

    Errors are those after the last phase, forgetting and drift what has become of a task since it was learned.
    """
    return [row for chain in chains_of(jobs) if all(map(_finished, chain)) for row in _rows(chain)]


def _finished(job: Job) -> bool:
    from unbraid.sweeps.judged import finished

    return finished(job.path)


def _rows(chain: Sequence[Job]) -> list[Row]:
    last, found = chain[-1], _measured(chain)
    phase = found["phases"][-1]["name"]
    results = [one for one in found["results"] if one["phase"] == phase and one["metric"] in AT_THE_END]
    return [
        {
            **{name: one.get(name) for name in ("metric", "protocol", "value", "chance", "ceiling")},
            **{"method": last.method, "seed": last.seed, "run": str(last.path), "subject": one["task"]},
            **{"step": None, "seconds": None, "note": None},
        }
        for one in results
    ]


def _measured(chain: Sequence[Job]) -> dict[str, Any]:
    """What `forgetting` finds, kept from before if it was of these weights, as it is here, by the code that is here."""
    from unbraid.recipes.remembered import measuring_code
    from unbraid.runs import Run

    runs = [Run(job.path) for job in chain]
    found = runs[-1].forgetting() or {}
    weights = [run.weights_checksum() for run in runs]
    wanted = {"code": measuring_code(), "observations": OBSERVATIONS, "shown": SHOWN, "seed": 0}
    known = [phase["weights"] for phase in found.get("phases", [])]
    if known != weights or {name: found.get(name) for name in wanted} != wanted:
        found = recipes.forgetting([job.path for job in chain], None, OBSERVATIONS, SHOWN).forgetting()
    assert found is not None
    return found
