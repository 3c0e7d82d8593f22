"""An update as one CUDA graph: launched once instead of a thousand times."""

import gc
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from unbraid.training.adversary import still_buffers
from unbraid.training.update import Inputs, Update
from unbraid.types import Batch, Progress

LOGGER = logging.getLogger("unbraid")
WARM_UP = 3  # updates before the capture, in which libraries choose kernels and allocate; they count
WAITS = "called a synchronizing CUDA operation"  # what PyTorch warns with where the host waits


class Captured:
    """An update whose second half is replayed as a CUDA graph, once the first few have been made without one.

    The same kernels run on the same numbers, seeds included: a replay reads the seed and offset that its generators
    have at that moment. If the capture fails, updates go on without one, after a warning.

    Call it on one stream that is not the default one, from the first update on.
    """

    def __init__(self, update: Update):
        self.update, self.left = update, WARM_UP
        self.graph: Graph | None = None

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Make the update of step number `step`, from 0; every term by name."""
        inputs = self.update.inputs(step)
        if self.left == 0:
            self.graph = captured(self.update, inputs)
            if self.graph is None:
                self.update.renew()  # a capture that broke off may leave generators unusable
                inputs = self.update.inputs(step)
        self.left -= 1
        return self.graph(inputs) if self.graph else self.update.compute(inputs)


class Graph:
    """The second half of an update, captured.

    Raises:
        RuntimeError, AssertionError: it cannot be captured; nothing has been computed then.
    """

    def __init__(self, update: Update, inputs: Inputs):
        self.static = Static(inputs)
        self.graph = torch.cuda.CUDAGraph()
        for generator in update.generators:
            register(self.graph, generator)
        update.optimizer.zero_grad(set_to_none=True)  # so that gradients are made inside
        gc.collect()  # nothing of a dead cycle may be freed in the middle
        with capturable(), torch.cuda.graph(self.graph, stream=torch.cuda.current_stream()):
            named = update.compute(self.static.inputs)
            self.names = list(named)
            self.values = torch.stack([value.float() for value in named.values()])

    def __call__(self, inputs: Inputs) -> dict[str, Tensor]:
        """One update; its terms are copied, since the next replay writes over them."""
        self.static.take(inputs)
        self.graph.replay()
        return dict(zip(self.names, self.values.clone().unbind(), strict=True))


class Static:
    """Inputs at places that stay, which a graph reads: `take` fills them.

    inputs: those places; progress as tensors, since a graph keeps numbers as they were.
    """

    def __init__(self, inputs: Inputs):
        device = inputs.batch.x.device
        self.step, self.epoch = (torch.zeros((), dtype=torch.float64, device=device) for _ in range(2))
        second = None if inputs.second is None else inputs.second.map(torch.clone)
        self.inputs = Inputs(inputs.batch.map(torch.clone), Progress(self.step, self.epoch), second)

    def take(self, inputs: Inputs) -> None:
        """Copy the inputs of another update, with the same shapes and groups."""
        self._copy(self.inputs.batch, inputs.batch)
        if self.inputs.second is not None and inputs.second is not None:
            self._copy(self.inputs.second, inputs.second)
        self.step.fill_(inputs.progress.step)
        self.epoch.fill_(inputs.progress.epoch)

    @staticmethod
    def _copy(places: Batch, given: Batch) -> None:
        assert places.groups == given.groups, f"captured for groups {places.groups}, got {given.groups}"
        pairs = ((places.x, given.x), (places.population, given.population), (places.library, given.library))
        for place, value in pairs:
            if place is not None and value is not None:
                place.copy_(value)


def captured(update: Update, inputs: Inputs) -> Graph | None:
    """The update as a graph; None, with a warning that says why, if it cannot be one."""
    try:
        return Graph(update, inputs)
    except (RuntimeError, AssertionError) as error:
        while isinstance(error.__context__, Exception):  # the first is what happened, the last that a capture ended
            error = error.__context__
        LOGGER.warning("updates are not captured as a CUDA graph, and slower: %s", str(error).splitlines()[0])
        return None


def obstacle(update: Update) -> str | None:
    """Why an update is not to be captured; None if it is.

    It cannot be where the host waits for the device, which is found out by trying: loss and gradients of the first
    update, twice, without consequences. The first time libraries are loaded, the second time it is watched.
    """
    if update.supply.device.type != "cuda":
        return "not on a CUDA device"
    if not update.training.capture:
        return "not asked for"
    training, mode = update.model.training, torch.cuda.get_sync_debug_mode()
    update.model.train()
    attempt(update)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            attempt(update)
        finally:
            torch.cuda.set_sync_debug_mode(mode)
    update.model.train(training)
    places = waiting(caught)
    return f"the host waits for the device in {', '.join(places)}" if places else None


def attempt(update: Update) -> None:
    """The loss of the first update and its gradients, with nothing left of them."""
    inputs = update.inputs(0)
    with still_buffers(update.model):
        update.loss(inputs)[1].loss.backward()
    update.optimizer.zero_grad(set_to_none=True)


def waiting(caught: list[warnings.WarningMessage]) -> list[str]:
    """File and line of every warning that says that the host waited, each once."""
    found = [entry for entry in caught if WAITS in str(entry.message)]
    return list(dict.fromkeys(f"{Path(entry.filename).name}:{entry.lineno}" for entry in found))


@contextmanager
def capturable() -> Iterator[None]:
    """Whatever optimiser steps inside may be captured: PyTorch wants to be told, and warns if it is told before.

    A fused Adam, whose steps are counted on the device, computes the same either way.
    """
    before: list[tuple[dict[str, Any], bool]] = []

    def allow(optimizer: torch.optim.Optimizer, *_: object) -> None:
        for group in optimizer.param_groups:
            before.append((group, group.get("capturable", False)))
            group["capturable"] = True

    hook = register_optimizer_step_pre_hook(allow)
    try:
        yield
    finally:
        hook.remove()
        for group, value in reversed(before):
            group["capturable"] = value


def register(graph: torch.cuda.CUDAGraph, generator: torch.Generator) -> None:
    """Have every replay read the seed that the generator has then; newer versions of PyTorch need no telling."""
    if hasattr(graph, "register_generator_state"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph.register_generator_state(generator)
