"""Which way networks compute, chosen once before training and recorded."""

from dataclasses import replace

import torch
from torch import Tensor

from unbraid.models.contract import Model
from unbraid.nets import compute_as
from unbraid.nets.contract import Network
from unbraid.settings import WAYS, Computation, Training
from unbraid.types import Batch

MUCH = 2**29  # bytes that a step may keep on a CPU before some are computed again


def chosen(training: Training, model: Model, device: torch.device, batch_size: int) -> Computation:
    """What `training` asks for, with what it leaves open settled: the best way that a network of the model knows there.

    batch_size: observations that the model is given at once.

    Raises:
        ValueError: kernels were asked for by name, and no network of the model has them there.
    """
    computation = replace(best(training, model, device), recompute=bool(training.recompute))
    if training.recompute is None and device.type == "cpu":
        much = kept(model, computation) * batch_size > MUCH
        return replace(computation, recompute=much)
    return computation


def best(training: Training, model: Model, device: torch.device) -> Computation:
    """The best kernels of those that are allowed."""
    networks = [part for part in model.modules() if isinstance(part, Network)]
    for way in WAYS if training.kernels == "auto" else (training.kernels,):
        computation = Computation(way, training.precision)
        if way == "plain" or any(network.knows(computation, device) for network in networks):
            return computation
    raise ValueError(
        f"expected kernels that the model has on {device}, got '{training.kernels}' in {training.precision}; "
        "use 'auto', or 'plain'"
    )


def kept(model: Model, computation: Computation) -> int:
    """Bytes that a forward pass keeps for the way back, for each observation; the model stays as it was.

    What does not grow with the batch (the weights, and copies of them in bfloat16) is left out.
    """
    training, device = model.training, next(model.parameters()).device
    model.eval()  # so that no running average changes
    compute_as(model, computation, device)
    few, more = (_kept_by(model, count, device) for count in (2, 4))
    compute_as(model)
    model.train(training)
    return (more - few) // 2


def _kept_by(model: Model, count: int, device: torch.device) -> int:
    """Bytes that a forward pass of so many observations keeps."""
    found: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    x = torch.zeros(count, *model.shape, device=device)
    last = len(model.populations) - 1  # of a frozen model, the only one that learns
    population = torch.full((count,), last, device=device) if model.populations else None
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        outcome = model(Batch(x, population), torch.Generator(device))
    assert outcome.log_likelihood.shape == (count,)
    return sum(found.values())
