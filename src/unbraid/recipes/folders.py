"""A recipe that only passes on to the part that does the work, so that importing it costs nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unbraid.data import Data
    from unbraid.runs import Run


def resume(run: Path, data: "Data | None" = None, validation: "Data | None" = None) -> "Run":
    """Continue an interrupted run from its last checkpoint, exactly; a finished one is left as it is.

    Args:
        run: run folder.
        data: only for a run on data in memory: the same data again.
        validation: likewise.

    Raises:
        ValueError: no run, a damaged checkpoint, or data that differ from the run's.
    """
    from unbraid.training import resume

    return resume(run, data, validation)
