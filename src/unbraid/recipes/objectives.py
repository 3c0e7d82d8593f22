"""What is minimised where there is one code, by the names that recipes offer."""

import logging
import math
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from unbraid.objectives.contract import Objective

LOGGER = logging.getLogger("unbraid")
Rival = Literal["elbo", "beta", "capacity", "beta-tc", "dip-i", "dip-ii", "factor", "info", "importance"]


def rival_objective(name: Rival, strength: float | None, observations: int, growth: int | None = None) -> "Objective":
    """An objective under the given weight, or its own default one.

    Args:
        name: of the objective.
        strength: beta (beta, beta-tc), gamma (capacity, factor), lambda_od with lambda_d in the paper's ratio (dip-i,
            dip-ii), lambda (info), number of samples (importance); None for the objective's default.
        observations: size of the training data.
        growth: steps in which the capacity (of capacity) grows to 25 nats; None for the paper's 100,000.

    Raises:
        ValueError: the strength is nothing that the objective can take, or a growth is given that it has not.
    """
    from unbraid.objectives.capacity import Capacity
    from unbraid.objectives.dip import DIP1, DIP2
    from unbraid.objectives.elbo import ELBO, BetaELBO
    from unbraid.objectives.factor import FactorVAE
    from unbraid.objectives.importance import ImportanceWeighted
    from unbraid.objectives.info import InfoVAE
    from unbraid.objectives.schedules import Linear
    from unbraid.objectives.total_correlation import BetaTC

    if strength is not None and not math.isfinite(strength):
        raise ValueError(f"expected a finite strength, got {strength}")
    if growth is not None and name != "capacity":
        raise ValueError(f"expected no growth for {name}, got {growth}; only the capacity grows")
    given: list[Any] = [] if strength is None else [strength]
    match name:
        case "beta":
            return BetaELBO(*given)
        case "capacity":
            return Capacity(None if growth is None else Linear(steps=growth), *given)
        case "beta-tc":
            return BetaTC(observations, 1.0, *given)
        case "dip-i":
            return DIP1(*given, *(10 * weight for weight in given))
        case "dip-ii":
            return DIP2(*given, *given)
        case "factor":
            return FactorVAE(*given)
        case "info":
            return InfoVAE(0.0, *given)
        case "importance":
            return ImportanceWeighted(*map(_whole, given))
        case "elbo":
            if given:
                raise ValueError(f"expected no strength for the elbo, got {strength}; beta is the elbo with a weight")
            return ELBO()


def short_of_capacity(objective: "Objective", steps: int) -> list[str]:
    """A note, logged as well, if training ends before the capacity has grown to its end."""
    from unbraid.objectives.capacity import Capacity
    from unbraid.objectives.schedules import Linear
    from unbraid.types import Progress

    if not isinstance(objective, Capacity) or not isinstance(objective.capacity, Linear):
        return []
    reached, end = objective.capacity(Progress(steps)), objective.capacity.end
    if reached == end:
        return []
    note = (
        f"The capacity grows to {end:g} nats in {objective.capacity.steps:,} steps; these {steps:,} steps end at "
        f"{reached:.3g}."
    )
    LOGGER.warning("%s Train longer, or let it grow faster (growth=%d).", note, steps)
    return [note]


def _whole(strength: float) -> int:
    if strength != int(strength):
        raise ValueError(f"expected a whole number of samples as strength of importance, got {strength}")
    return int(strength)
