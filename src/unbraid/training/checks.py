"""What is refused before training starts rather than found out hours later."""

import numpy as np
import torch

from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.objectives.contract import Objective
from unbraid.types import Batch, Progress

CHECKED_VALUES = 100_000_000  # larger data are checked on evenly spaced observations


def check(model: Model, objective: Objective, data: Data, batch_size: int) -> None:
    """Refuse a model, an objective and data that do not fit together.

    Raises:
        ValueError: shapes differ, values are NaN or outside what the likelihood allows, or populations do not match.
    """
    if tuple(data.shape) != tuple(model.shape):
        raise ValueError(
            f"expected observations of shape {tuple(model.shape)}, which the model's networks take, "
            f"got {tuple(data.shape)}; change the networks or resize the data"
        )
    _check_populations(model, data)
    _check_values(data, model.likelihood.bounds)
    _check_step(model, objective, data.batch(np.arange(min(2, batch_size))))


def _check_populations(model: Model, data: Data) -> None:
    if not model.populations:
        return
    if data.population is None or (len(data.populations) < 2 < len(model.populations) + 1):
        raise ValueError(
            f"expected data with the populations {model.populations}, got one population; "
            "name a population for each observation"
        )
    if tuple(data.populations) != tuple(model.populations):
        unseen = sorted(set(data.populations) - set(model.populations))
        raise ValueError(
            f"expected the model's populations {model.populations} in this order, got {tuple(data.populations)}"
            + (f"; the model has never seen {unseen}" if unseen else "; reorder them")
        )
    counts = np.bincount(data.population, minlength=len(data.populations))
    empty = [name for name, count in zip(data.populations, counts, strict=False) if not count]
    if empty or len(counts) > len(data.populations):
        raise ValueError(
            f"expected observations of every population and of no other, got counts {counts.tolist()} for "
            f"{tuple(data.populations)}" + (f"; leave out {empty}" if empty else "")
        )


def _check_values(data: Data, bounds: tuple[float, float] | None) -> None:
    size = int(np.prod(data.shape))
    stride = -(-len(data) * size // CHECKED_VALUES)
    low, high = bounds or (-np.inf, np.inf)
    for chunk in np.array_split(np.arange(0, len(data), stride), max(1, len(data) // stride // 4096)):
        x = data.batch(chunk).x.flatten(1)
        finite = x.isfinite().all(1)
        if not finite.all():
            first = chunk[int((~finite).nonzero()[0])]
            raise ValueError(f"expected finite values, got NaN or infinity in observation {first}; remove or impute it")
        if x.min() < low or x.max() > high:
            first = chunk[int(((x < low) | (x > high)).any(1).nonzero()[0])]
            raise ValueError(
                f"expected values in [{low}, {high}] for this likelihood, got {x.min():.4g} to {x.max():.4g} "
                f"(observation {first}); rescale the data, or use a Gaussian likelihood"
            )


def _check_step(model: Model, objective: Objective, batch: Batch) -> None:
    # the objective itself knows what it needs; evaluation mode leaves running averages alone
    training = model.training
    model.eval()
    batch = batch.to(next(model.parameters()).device)
    with torch.no_grad():
        objective(model(batch), batch, Progress())
    model.train(training)
