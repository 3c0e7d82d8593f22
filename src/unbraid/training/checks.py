"""What is refused before training starts rather than found out hours later."""

import numpy as np
import torch

from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.objectives.contract import Adversarial, Objective
from unbraid.training.batches import copied
from unbraid.types import Batch, Progress

CHECKED_VALUES = 100_000_000  # larger data are checked on evenly spaced observations
BOUNDED_VALUES = 2_000_000  # likewise where the kind of data sets the bounds: drawn or decoded, so within them


def check(model: Model, objective: Objective, data: Data, batch_size: int) -> None:
    """Refuse a model, an objective and data that do not fit together.

    Raises:
        ValueError: shapes differ, values are infinite, outside what the likelihood allows, or missing where the model
            needs them, an observation has no value, populations do not match, or the objective refuses them.
    """
    if tuple(data.shape) != tuple(model.shape):
        raise ValueError(
            f"expected observations of shape {tuple(model.shape)}, which the model's networks take, "
            f"got {tuple(data.shape)}; change the networks or resize the data"
        )
    _check_populations(model, data)
    objective.check(model, data)
    if isinstance(objective, Adversarial):
        _check_adversary(model, objective, batch_size)
    gap = _check_values(data, model.likelihood.bounds)
    if (data.missing or gap is not None) and not model.likelihood.missing:
        raise _needs_all(gap, f"the likelihood {model.likelihood!r} needs every coordinate")
    index = np.arange(min(2, batch_size))
    if gap is None:
        _check_step(model, objective, data.batch(index))
    else:
        _check_gradients(model, objective, data.batch(np.append(index[:-1], gap)), gap)


def _check_populations(model: Model, data: Data) -> None:
    if not model.populations:
        return
    if data.population is None or len(data.populations) < 2 <= len(model.populations):
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
    empty = [name for name in empty if name not in data.absent]
    if empty or len(counts) > len(data.populations):
        raise ValueError(
            f"expected observations of every population and of no other, got counts {counts.tolist()} for "
            f"{tuple(data.populations)}"
            + (f"; leave out {empty}, or say that they are absent on purpose (OneOf)" if empty else "")
        )


def _check_adversary(model: Model, objective: Adversarial, batch_size: int) -> None:
    if batch_size < 2:
        raise ValueError(f"expected a batch_size of at least 2 for an adversary, got {batch_size}; use a larger batch")
    objective.prepare(model, next(model.parameters()).device, seed=0)  # training makes it anew


def _check_values(data: Data, bounds: tuple[float, float] | None) -> int | None:
    """The first observation with a missing value, None if there is none."""
    size = int(np.prod(data.shape))
    most = CHECKED_VALUES if type(data).bounds is None else BOUNDED_VALUES
    stride = -(-len(data) * size // most)
    low, high = bounds or (-np.inf, np.inf)
    gap = None
    for chunk in np.array_split(np.arange(0, len(data), stride), max(1, len(data) // stride // 4096)):
        x = data.batch(chunk).x.flatten(1)
        missing = x.isnan()
        for bad, what in ((x.isinf().any(1), "infinity"), (missing.all(1), "nothing but NaN")):
            if bad.any():
                first = chunk[int(bad.nonzero()[0])]
                raise ValueError(f"expected finite values, got {what} in observation {first}; remove it")
        if gap is None and missing.any():
            gap = int(chunk[int(missing.any(1).nonzero()[0])])
        outside = ((x < low) | (x > high)).any(1)
        if outside.any():
            first, known = chunk[int(outside.nonzero()[0])], x[~missing]
            raise ValueError(
                f"expected values in [{low}, {high}] for this likelihood, got {known.min():.4g} to {known.max():.4g} "
                f"(observation {first}); rescale the data, or use a Gaussian likelihood"
            )
    return gap


def _check_step(model: Model, objective: Objective, batch: Batch) -> None:
    # the objective itself knows what it needs; evaluation mode leaves running averages alone
    training = model.training
    model.eval()
    batch = copied(batch.to(next(model.parameters()).device), objective.copies)
    with torch.no_grad():
        objective(model(batch), batch, Progress())
    model.train(training)


def _check_gradients(model: Model, objective: Objective, batch: Batch, gap: int) -> None:
    # a missing value that gets past the mask makes the loss or its gradient NaN, in whatever way the model is built
    training = model.training
    model.eval()
    batch = copied(batch.to(next(model.parameters()).device), objective.copies)
    loss = objective(model(batch), batch, Progress()).loss
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    model.train(training)
    if not all(bool(value.isfinite().all()) for value in (loss, *gradients) if value is not None):
        raise _needs_all(gap, "the loss or its gradient is then NaN: the encoder needs every coordinate")


def _needs_all(gap: int | None, why: str) -> ValueError:
    where = "in data that may have missing values" if gap is None else f"in observation {gap}"
    return ValueError(
        f"expected finite values, got NaN {where}, and {why}; if NaN means missing, use the likelihood "
        "IgnoreMissing(...) and an encoder MaskedTrunk(...), else remove or impute it"
    )
