"""Which way networks compute, chosen once before training and recorded."""

import torch

from unbraid.models.contract import Model
from unbraid.nets.contract import Network
from unbraid.settings import WAYS, Computation, Training


def chosen(training: Training, model: Model, device: torch.device) -> Computation:
    """What `training` asks for, with "auto" settled to the best way that a network of the model knows on `device`.

    Raises:
        ValueError: kernels were asked for by name, and no network of the model has them there.
    """
    networks = [part for part in model.modules() if isinstance(part, Network)]
    for way in WAYS if training.kernels == "auto" else (training.kernels,):
        computation = Computation(way, training.precision, training.recompute)
        if way == "plain" or any(network.knows(computation, device) for network in networks):
            return computation
    raise ValueError(
        f"expected kernels that the model has on {device}, got '{training.kernels}' in {training.precision}; "
        "use 'auto', or 'plain'"
    )
