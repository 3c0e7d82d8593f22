"""Tables of runs, each trained and judged in a process of its own; importing this is quick."""

from unbraid.sweeps.collecting import Measured, Row, collect, measured
from unbraid.sweeps.combinations import parse_over, value_of
from unbraid.sweeps.execution import execute
from unbraid.sweeps.job import Job, Judging, Outcome, kinds, trains
from unbraid.sweeps.sweeping import Swept, carry_out, sweep

__all__ = [
    "Job",
    "Judging",
    "Measured",
    "Outcome",
    "Row",
    "Swept",
    "carry_out",
    "collect",
    "execute",
    "kinds",
    "measured",
    "parse_over",
    "sweep",
    "trains",
    "value_of",
]
