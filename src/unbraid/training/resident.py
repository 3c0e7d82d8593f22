"""Data kept where the model is, so that a batch costs no copy from the host."""

import logging
import math
from weakref import WeakValueDictionary

import numpy as np
import torch
from jaxtyping import Float, Int, Int32, Shaped
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from unbraid.data.contract import Data
from unbraid.progress import ProgressBar
from unbraid.settings import Training
from unbraid.types import Batch

LOGGER = logging.getLogger("unbraid")
SHARE = 0.5  # of the memory that is free before training: activations need the rest
VALUES = 2**22  # that are read and packed at a time
_KEPT: "WeakValueDictionary[tuple[int, str], Resident]" = WeakValueDictionary()  # runs on the same data share them
TOLD_APART = {1: 2, 8: 256, 32: math.inf}  # distinct values, by the bits that each takes


class Resident:
    """All observations on one device, each value in as few bits as hold it exactly; made by `load`.

    Batches equal those of the data, bit for bit, missing values included.

    data: what is kept.
    packed: their values.
    population, library: of all observations, as in a batch.
    """

    def __init__(
        self,
        data: Data,
        packed: "Packed",
        population: Int[Tensor, " n"] | None,
        library: Float[Tensor, " n"] | None,
    ):
        self.data, self.packed, self.population, self.library = data, packed, population, library

    @classmethod
    def load(cls, data: Data, device: torch.device, budget: float) -> "Resident | None":
        """Read the data once; None if they need more than `budget` bytes on the device."""
        size, others = math.prod(data.shape), []
        if room(len(data), size, 1) > budget:
            return None
        packed = Packed(len(data), size, device)
        with ProgressBar(f"data to {device}", len(data), "observations", start=0) as bar:
            for rows in spans(len(data), size):
                batch = data.batch(np.arange(rows.start, rows.stop)).to(device)
                if not packed.append(batch.x.flatten(1), budget):
                    return None
                others.append((batch.population, batch.library))
                bar.show(rows.stop)
        together = (None if parts[0] is None else torch.cat(parts) for parts in zip(*others, strict=True))
        return cls(data, packed, *together)

    def batch(self, index: Int[Tensor, " batch"]) -> Batch:
        """The observations at `index`; nobody checks that they are there, since the host would wait for that."""
        x = self.packed.rows(index).view(len(index), *self.data.shape)
        population, library = (
            None if part is None else part.index_select(0, index) for part in (self.population, self.library)
        )
        return Batch(x, population, library)


class Packed:
    """Rows of float32 values in as few bits as hold them exactly.

    What counts is the bit pattern of a value. Few distinct ones are kept as numbers into a palette, in the order in
    which they were met: two take 1 bit, up to 256 take 8. So black and white images take a thirty-second of their size
    and those of 256 shades a quarter.

    count, size: rows, and values in each.
    device: where they are.
    bits: that a value takes now, 1, 8 or 32.
    """

    def __init__(self, count: int, size: int, device: torch.device):
        self.count, self.size, self.device = count, size, device
        self.bits, self.filled = 1, 0
        self.palette = torch.zeros(0, dtype=torch.int32, device=device)
        self.stored = self._empty()

    def append(self, x: Float[Tensor, "rows size"], budget: float) -> bool:
        """Take further rows; False if they need more than `budget` bytes, and then all is lost."""
        assert x.dtype == torch.float32, f"data answer in float32, got {x.dtype}"
        patterns = x.contiguous().view(torch.int32)
        if self.bits < 32:
            met = patterns.unique()
            self.palette = torch.cat([self.palette, met[~torch.isin(met, self.palette)]])
        if len(self.palette) > TOLD_APART[self.bits]:
            wider = min(bits for bits, distinct in TOLD_APART.items() if len(self.palette) <= distinct)
            if room(self.count, self.size, self.bits) + room(self.count, self.size, wider) > budget:
                return False
            self._widen(wider)
        self.stored[self.filled : self.filled + len(x)] = packed(patterns, self.palette, self.bits)
        self.filled += len(x)
        return True

    def rows(self, index: Int[Tensor, " rows"]) -> Float[Tensor, "rows size"]:
        """The rows at `index`."""
        return self._patterns(self.stored.index_select(0, index)).view(torch.float32)

    def _widen(self, bits: int) -> None:
        before, old = self.stored, self.bits
        self.bits = bits
        self.stored = self._empty()
        for rows in spans(self.filled, self.size):
            patterns = unpacked(before[rows.start : rows.stop], self.palette, old, self.size)
            self.stored[rows.start : rows.stop] = packed(patterns, self.palette, bits)

    def _patterns(self, stored: Shaped[Tensor, "rows stored"]) -> Int32[Tensor, "rows size"]:
        return unpacked(stored, self.palette, self.bits, self.size)

    def _empty(self) -> Shaped[Tensor, "count stored"]:
        kind = torch.int32 if self.bits == 32 else torch.uint8
        width = room(1, self.size, self.bits) // kind.itemsize
        return torch.zeros(self.count, width, dtype=kind, device=self.device)


def packed(
    patterns: Int32[Tensor, "rows size"], palette: Int32[Tensor, " distinct"], bits: int
) -> Shaped[Tensor, "rows stored"]:
    """Bit patterns as numbers into the palette, which holds all of them; 8 numbers of 1 bit are one byte."""
    if bits == 32:
        return patterns
    known, order = palette.sort()
    numbers = order[torch.searchsorted(known, patterns)].to(torch.uint8)
    if bits == 8:
        return numbers
    eights = F.pad(numbers, (0, -numbers.shape[1] % 8)).unflatten(1, (-1, 8))
    return (eights << _places(eights)).sum(2, dtype=torch.uint8)


def unpacked(
    stored: Shaped[Tensor, "rows stored"], palette: Int32[Tensor, " distinct"], bits: int, size: int
) -> Int32[Tensor, "rows size"]:
    """What `packed` was given."""
    if bits == 32:
        return stored
    if bits == 1:
        stored = ((stored[..., None] >> _places(stored)) & 1).flatten(1)[:, :size]
    return palette.index_select(0, stored.reshape(-1).int()).view(-1, size)


def room(count: int, size: int, bits: int) -> int:
    """Bytes of so many rows of so many values."""
    return count * -(-size * bits // 8)


def spans(count: int, size: int) -> list[range]:
    """All rows, in parts of about `VALUES` values."""
    step = max(1, VALUES // size)
    return [range(first, min(first + step, count)) for first in range(0, count, step)]


def resident(data: Data, training: Training, device: torch.device) -> Resident | None:
    """The data on a GPU, if training asks for it, will read them about once anyway, and they fit."""
    if device.type != "cuda" or not training.resident or training.steps * training.batch_size < len(data):
        return None
    key = id(data), str(device)  # which stays the data's own: what is kept holds them
    if key in _KEPT:
        return _KEPT[key]
    budget = SHARE * torch.cuda.mem_get_info(device)[0]
    found = Resident.load(data, device, budget)
    if found is None:
        LOGGER.info("the data stay on the host: they need more than %.1f GB on %s", budget / 1e9, device)
    else:
        _KEPT[key] = found
    return found


def _places(like: Shaped[Tensor, "..."]) -> Shaped[Tensor, " 8"]:
    return torch.arange(8, dtype=torch.uint8, device=like.device)
