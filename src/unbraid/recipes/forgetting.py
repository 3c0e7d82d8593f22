"""What runs that were trained one after the other still know of every task."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unbraid.data import Data
    from unbraid.runs import Run


def forgetting(
    runs: Sequence[Path],
    learned: tuple[int, ...] | None = None,
    observations: int = 500,
    shown: int = 2,
    seed: int = 0,
    data: "Data | None" = None,
) -> "Run":
    """Measure the error of every task after every phase, and what was forgotten, into the last run's `evaluation`.

    A phase is a run, a task a population of the last run's held-out data. Any model that reconstructs will do; a CPVAE
    reads each task with the head and decoder of its population. Nothing is trained or kept of what was measured before.

    Args:
        runs: folders of the finished runs, one a phase, in the order in which they were trained.
        learned: number of tasks, the first ones, that were learned by the end of each phase; default: as many as the
            run's model or held-out data have populations.
        observations: largest number of held-out observations of each task.
        shown: of how many of them each reconstruction is kept for the figure.
        seed: of the choice of observations and of the noise, which are the same after every phase.
        data: held-out observations with a population for each task (needed for runs on data in memory).

    Raises:
        ValueError: no finished runs, or tasks that do not follow from one run to the next.
    """
    import torch

    from unbraid.configuration import describe
    from unbraid.recipes.evaluation import held_out
    from unbraid.recipes.phases import Phases, named
    from unbraid.recipes.remembered import measuring_code
    from unbraid.runs import Run

    opened = [Run(run) for run in runs]
    if not opened:
        raise ValueError("expected at least one run, got none; pass the runs in the order in which they were trained")
    judged = held_out(opened[-1])[1] if data is None else data
    names, phases = named(opened), Phases(opened, judged, learned, observations, seed)
    with torch.no_grad():
        results, arrays = phases.measured(shown)
    outcome = {
        "results": results,
        "phases": [{"name": name, "weights": run.weights_checksum()} for name, run in zip(names, opened, strict=True)],
        "tasks": list(judged.populations),
        "learned": phases.learned,
        "judged_on": describe(judged),
        "observations": observations,
        "shown": shown,
        "seed": seed,
        "code": measuring_code(),
    }
    opened[-1].save_forgetting(outcome, arrays)
    return opened[-1]
