"""Members trained at once against the same runs one after the other: time of a step, and the memory of a few.

On a GPU, where there is one, up to 32 members of the paper's size; on a CPU up to 8 of smaller images. An entry's
ratio is the time of as many single steps by the time of one joint step; `memory` and `memory_alone` are megabytes.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from cases import BATCH, residual, sprites
from harness import Contender, Effort, Entry, compared, interleaved, local, part
from memory import STEPS, held

from unbraid.data import Data
from unbraid.nets import compute_as
from unbraid.objectives import ELBO
from unbraid.settings import Training
from unbraid.training.capture import Captured
from unbraid.training.device import training_on
from unbraid.training.loop import Loop
from unbraid.training.together import Together

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
MEMBERS = (1, 2, 4, 8, 16, 32) if CUDA else (1, 2, 4, 8)
MODELS = {"vae": False, "srvae": True}
SIDES = {name: 64 if CUDA else 32 - 16 * passes for name, passes in MODELS.items()}


def measure(effort: Effort) -> list[Entry]:
    """Every model and number of members."""
    counts = MEMBERS[:2] if effort.quick else MEMBERS
    sides = dict.fromkeys(MODELS, 16) if effort.quick else SIDES
    with training_on(DEVICE):
        return [entry for name in MODELS for entry in compare(name, sides[name], counts, effort)]


def compare(name: str, side: int, counts: tuple[int, ...], effort: Effort) -> list[Entry]:
    """One model with each number of members, all in turn with a single run in the fastest way and in the plain one."""
    data = sprites(side)
    single, plain = alone(name, side, data, "auto"), alone(name, side, data, "plain")
    contenders = {"single": single, "plain": plain}
    contenders |= {str(count): joint(name, side, data, count) for count in counts}
    times = interleaved(contenders, effort)
    entries = []
    for count in counts:
        known: dict[str, object] = {"members": count, "side": side, "device": DEVICE.type}
        if not CUDA:
            known |= {"memory": peak(name, side, count), "memory_alone": peak(name, side, 0)}
        for other in ("single", "plain"):
            against = f"{count} x one {'fastest' if other == 'single' else 'plain'} step"
            theirs = [count * value for value in times[other]]
            entries.append(compared(f"{name}_{count}_together", times[str(count)], against, theirs, **known))
    return entries


def runs(name: str, side: int, data: Data, count: int, **settings: object) -> list[Loop]:
    """Runs just before their first update, with seeds of their own."""
    training = replace(Training(batch_size=BATCH, device=DEVICE.type), **settings)
    made = []
    for seed in range(count):
        model = residual(side=side, passes=MODELS[name])
        made.append(Loop(model, ELBO(), data, None, replace(training, seed=seed)))
        made[-1].model.train()
    return made


def alone(name: str, side: int, data: Data, kernels: str) -> Contender:
    """Steps of one run, as `train` makes them; on a GPU as a graph."""
    (run,) = runs(name, side, data, 1, kernels=kernels)
    compute_as(run.model, run.computation, run.device)
    if run.obstacle is None:
        run.make = Captured(run.eager)

    def step() -> None:
        run.update()
        run.window.clear()

    return local(waited(step))


def joint(name: str, side: int, data: Data, count: int) -> Contender:
    """Joint steps of several runs."""
    ensemble = Together(runs(name, side, data, count)).ensemble

    def step() -> None:
        ensemble.update()
        ensemble.window.clear()

    return local(waited(step))


def waited(step: Callable[[], None]) -> Callable[[], None]:
    """The same until the device is done."""

    def call() -> None:
        step()
        if CUDA:
            torch.cuda.synchronize()

    return call


def peak(name: str, side: int, count: int) -> float:
    """Megabytes that a few joint steps take at most, in a process of their own; of a single run's for 0 members."""
    command = [sys.executable, __file__, "peak", json.dumps([name, side, count])]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def show_peak(name: str, side: int, count: int) -> None:
    """What `peak` reads."""
    torch.set_num_threads(1)
    data = sprites(side)
    data.batch(np.arange(BATCH))
    torch.mm(torch.ones(256, 256), torch.ones(256, 256))
    before = held("VmRSS")
    step = joint(name, side, data, count) if count else alone(name, side, data, "plain")
    step(STEPS)
    print(held("VmHWM") - before)  # noqa: T201


if __name__ == "__main__":
    if sys.argv[1:2] == ["peak"]:
        show_peak(*json.loads(sys.argv[2]))
    else:
        part("together", __doc__, measure)
