"""The order of the data, a pure function of seed and step: nothing to save, nothing to lose on resuming."""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from unbraid.data.augmentation import Augmentation
from unbraid.data.contract import Data
from unbraid.randomness import Purpose, derived_seed
from unbraid.settings import Training
from unbraid.training.resident import Resident
from unbraid.types import Batch


class Shuffled:
    """An endless sequence of the given items, in a new random order on every pass."""

    def __init__(self, items: Int[np.ndarray, " item"], key: tuple[int, ...]):
        self.items, self.key = items, key
        self._orders: dict[int, np.ndarray] = {}

    def take(self, start: int, count: int) -> Int[np.ndarray, " count"]:
        """Items number `start` to `start + count` of the sequence."""
        parts = []
        while count:
            turn, offset = divmod(start, len(self.items))
            part = self._order(turn)[offset : offset + count]
            parts.append(self.items[part])
            start, count = start + len(part), count - len(part)
        return np.concatenate(parts)

    def _order(self, turn: int) -> Int[np.ndarray, " item"]:
        if turn not in self._orders:
            self._orders = {key: value for key, value in self._orders.items() if key == turn - 1}
            self._orders[turn] = np.random.default_rng([*self.key, turn]).permutation(len(self.items))
        return self._orders[turn]


class Batches:
    """Indices of each step's observations.

    With populations and `balanced`, every population gives the same number (the first ones one more, if the batch
    cannot be divided), each reshuffled whenever it has been through; one that is absent on purpose gives none.
    Otherwise the whole data are reshuffled.

    Args:
        data: what the indices point into.
        batch_size: observations a step.
        seed: of the order.
        balanced: whether populations give the same number.
        purpose: of the order; another purpose gives an independent order of the same data.

    groups: observations of each population in every batch, where they stand population by population; else None.

    Raises:
        ValueError: the batch is larger than the data, or smaller than the number of populations.
    """

    def __init__(self, data: Data, batch_size: int, seed: int, balanced: bool = True, purpose: Purpose = Purpose.ORDER):
        if batch_size > len(data):
            raise ValueError(
                f"expected a batch no larger than the data, got batch_size {batch_size} for {len(data)} observations; "
                f"use at most {len(data)}"
            )
        groups = [np.arange(len(data))]
        if balanced and data.population is not None:
            groups = [np.flatnonzero(data.population == k) for k in range(len(data.populations))]
        grouped = balanced and data.population is not None
        present = [k for k in range(len(groups)) if not (grouped and data.populations[k] in data.absent)]
        if batch_size < len(present):
            raise ValueError(
                f"expected a batch_size of at least {len(present)}, one for each population, got {batch_size}; "
                "use a larger batch, or balanced=False"
            )
        empty = [data.populations[k] for k in present if not len(groups[k])] if grouped else []
        if empty:
            raise ValueError(f"expected observations of every population, got none of {empty}; leave them out")
        base, extra = divmod(batch_size, len(present))
        self.counts = [base + (place < extra) for place in range(len(present))]
        counts = dict(zip(present, self.counts, strict=True))
        self.groups = tuple(counts.get(k, 0) for k in range(len(groups))) if grouped else None
        self.streams = [Shuffled(groups[k], (seed, purpose, k)) for k in present]

    def __call__(self, step: int) -> Int[np.ndarray, " batch"]:
        """Indices of the observations of step number `step`, from 0; population by population if balanced."""
        pairs = zip(self.streams, self.counts, strict=True)
        return np.concatenate([stream.take(step * count, count) for stream, count in pairs])


class Uploaded:
    """Indices of each step's observations on a device, for many steps at once, so that no step waits for the host.

    steps: that one upload serves; it begins at a multiple of them.
    """

    def __init__(self, batches: Batches, device: torch.device, steps: int = 256):
        self.batches, self.device, self.steps = batches, device, steps
        self.block, self.first = torch.zeros(0, dtype=torch.int64), None

    def __call__(self, step: int) -> Int[Tensor, " batch"]:
        """Indices of the observations of step number `step`, from 0."""
        first = step - step % self.steps
        if first != self.first:
            block = torch.from_numpy(np.stack([self.batches(first + k) for k in range(self.steps)]))
            if self.device.type == "cuda":
                block = block.pin_memory()
            self.block, self.first = block.to(self.device, non_blocking=True), first
        return self.block[step - first]


def copied(batch: Batch, copies: int) -> Batch:
    """Every observation `copies` times, its copies one after the other."""
    if copies == 1:
        return batch
    found = batch.map(lambda part: part.repeat_interleave(copies, 0))
    return found if found.groups is None else replace(found, groups=tuple(copies * count for count in found.groups))


class Supply:
    """The observations of each step as the model gets them: on its device, changed at random, each `copies` times.

    Args:
        data, training, augmentation, copies: of what, in what batches, changed how, how often each.
        device: where the model is.
        order, change: purposes of the random numbers; others give an independent supply of the same data.
        resident: the same data on the device, if they are there; the batches are the same, bit for bit.
    """

    def __init__(
        self,
        data: Data,
        training: Training,
        augmentation: Augmentation | None,
        copies: int,
        device: torch.device,
        order: Purpose = Purpose.ORDER,
        change: Purpose = Purpose.AUGMENTATION,
        resident: Resident | None = None,
    ):
        self.data, self.augmentation, self.copies = data, augmentation, copies
        self.seed, self.device, self.change = training.seed, device, change
        self.batches = Batches(data, training.batch_size, training.seed, training.balanced, order)
        self.generator = torch.Generator(device)
        self.uploaded = Uploaded(self.batches, device) if resident is not None else None
        self.resident = resident

    def __call__(self, step: int) -> Batch:
        """The batch of step number `step`, from 0."""
        return self.changed(self.read(step), step)

    def changed(self, batch: Batch, step: int) -> Batch:
        """What the model gets of the observations of step number `step`, once they are read."""
        batch = replace(batch, groups=self.batches.groups)
        if self.augmentation is not None:
            self.generator.manual_seed(derived_seed(self.seed, self.change, step))
            batch = replace(batch, x=self.augmentation(batch.x, self.generator))
        return copied(batch, self.copies)

    def read(self, step: int) -> Batch:
        """The observations of step number `step` as they are in the data, each once."""
        if self.resident is not None and self.uploaded is not None:
            return self.resident.batch(self.uploaded(step))
        batch = self.data.batch(self.batches(step))
        if self.device.type == "cuda":  # only from pinned memory does a copy leave the host free
            batch = batch.map(Tensor.pin_memory)
        return batch.to(self.device)
