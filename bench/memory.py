"""The most memory that a few training steps take, each case in a process of its own.

As a script it is that process: `python bench/memory.py '{"latents": 32, "channels": 3}'` prints the megabytes that its
steps needed above what the process held after one of a tiny model (interpreter, PyTorch and its libraries, data), and
those of the whole process. `peak_of` runs it.
"""

import json
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from cases import digits, loop, population, residual, sprites

from unbraid.data import Arrays, Data
from unbraid.objectives import ELBO, CrossPopulation
from unbraid.settings import Precision, Training

STEPS = 3  # the optimiser's memory comes with the first, what the allocator keeps with the second


@dataclass(frozen=True)
class Case:
    """What is trained: SR-VAE on square images, or CPVAE where there are populations.

    threads: all that are there if None.
    """

    latents: int = 10
    channels: int = 1
    side: int = 64
    batch: int = 64
    populations: int = 0
    precision: Precision = "float32"
    recompute: bool | None = None
    threads: int | None = None

    @property
    def data(self) -> Data:
        """Sprites; noise where they have no such colours; grassy digits for populations."""
        if self.populations:
            return digits(self.populations)
        if self.channels == 1:
            return sprites(self.side)
        shape = (self.batch, self.channels, self.side, self.side)
        return Arrays(np.random.default_rng(0).random(shape, np.float32))


@cache
def peak_of(case: Case) -> dict[str, float]:
    """Megabytes: `memory_mb` above what the process held before, and `process_mb`, all of it."""
    command = [sys.executable, __file__, json.dumps(asdict(case))]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> None:
    """Train a few steps and look at the peak."""
    case = Case(**json.loads(sys.argv[1]))
    if case.threads:
        torch.set_num_threads(case.threads)
    data = case.data
    data.batch(np.arange(min(len(data), case.batch)))  # what it makes on first use is its own
    loop(residual(1, side=16), ELBO(), sprites(16), Training(batch_size=2, precision=case.precision)).update()
    before = held("VmRSS")
    training = Training(batch_size=case.batch, precision=case.precision, recompute=case.recompute)
    if case.populations:
        run = loop(population(data), CrossPopulation(), data, training)
    else:
        run = loop(residual(case.latents, case.channels, case.side), ELBO(), data, training)
    for _ in range(STEPS):
        run.update()
    print(json.dumps({"memory_mb": held("VmHWM") - before, "process_mb": held("VmHWM")}))  # noqa: T201


def held(which: str) -> float:
    """Megabytes that the process holds now (VmRSS) or has held at most (VmHWM); the latter for both without /proc."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines[which].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS: bytes


if __name__ == "__main__":
    main()
