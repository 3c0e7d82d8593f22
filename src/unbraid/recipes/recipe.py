"""What makes a function that plans a run a recipe, which trains it."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, Protocol, cast, runtime_checkable

if TYPE_CHECKING:
    from unbraid.runs import Run
    from unbraid.training import Plan

Arguments = ParamSpec("Arguments")


@runtime_checkable
class Recipe(Protocol[Arguments]):
    """Trains when it is called, and says beforehand what it would train."""

    __name__: str

    def __call__(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> "Run":
        """Train, and keep the run in a folder."""
        ...

    def plan(self, *args: Arguments.args, **kwargs: Arguments.kwargs) -> "Plan":
        """What the same call would train, for `train_together`; it writes nothing."""
        ...


def recipe(planned: "Callable[Arguments, Plan]") -> Recipe[Arguments]:
    """A recipe with the arguments and the description of a function that only plans."""

    @wraps(planned)
    def trained(*args, **kwargs):
        from unbraid.training import train_plan

        return train_plan(planned(*args, **kwargs))

    trained.plan = planned  # type: ignore[attr-defined]
    return cast("Recipe[Arguments]", trained)
