"""Time and memory of a step as SR-VAE's latents, batch and images grow, and as CPVAE's populations do.

What is measured is the default run (exact, best kernels). Each case has its operations, the rate they are done at, the
bytes that the forward pass keeps for the way back (`kept_mb`), and the weights with what belongs to them (`weights_mb`:
weights, gradients, two averages of Adam): operations over rate is the time, kept plus weights about the memory. Ratios
are to the case in the middle, the paper's. A family takes turns in one run, with the matrix products; memory is the
peak of a process of its own, above what it holds after a tiny step.
"""

from dataclasses import replace

import numpy as np
import torch
from cases import loop, plain_step, population, residual, updating
from harness import Effort, Entry, compared, flops, interleaved, local, part, peaks, products, rates
from memory import Case, peak_of
from torch import Tensor

from unbraid.models import Model
from unbraid.objectives import ELBO, CrossPopulation, Objective
from unbraid.settings import Training
from unbraid.training.loop import Loop
from unbraid.types import Progress

BASE = Case()
POPULATIONS = Case(populations=2, batch=60)  # shared out evenly between 2, 5 and 10
FAMILIES: dict[str, tuple[Case, dict[int, Case]]] = {
    "latents": (BASE, {count: replace(BASE, latents=count) for count in (1, 2, 5, 10, 20, 32)}),
    "batch": (BASE, {count: replace(BASE, batch=count) for count in (16, 32, 64, 128, 256)}),
    "side": (BASE, {side: replace(BASE, side=side) for side in (16, 32, 64)}),
    "populations": (POPULATIONS, {count: replace(POPULATIONS, populations=count) for count in (2, 5, 10)}),
}
CELEBA = Case(latents=32, channels=3)
LARGE = {
    "d32_3x64x64": CELEBA,
    "d32_3x64x64_all_kept": replace(CELEBA, recompute=False),
    "d32_3x64x64_bfloat16": replace(CELEBA, precision="bfloat16"),
}
LIMIT = 600.0  # megabytes that these should stay under
SMALL = Case(latents=3, side=16)


def measure(effort: Effort) -> list[Entry]:
    """Every family, and the memory of the largest case with and without recomputation."""
    if effort.quick:
        return family("latents", SMALL, {SMALL.latents: SMALL}, effort)
    found = []
    for name, (base, cases) in FAMILIES.items():
        found += family(name, base, cases, replace(effort, seconds=effort.seconds / 3))
    for name, case in LARGE.items():
        used = peak_of(replace(case, threads=effort.threads))
        known = {"unit": "MB", "median": used["memory_mb"], "against_median": LIMIT, **used}
        found.append({"name": f"srvae_memory_{name}", "ratio": LIMIT / known["median"], "against": "600 MB", **known})
    return found


def family(name: str, base: Case, cases: dict[int, Case], effort: Effort) -> list[Entry]:
    """Cases that differ in one number, in turn."""
    middle = next(value for value, case in cases.items() if case == base)
    contenders = {str(value): local(updating(run(case))) for value, case in cases.items()}
    times = interleaved({**contenders, **products()}, effort)
    peak = peaks(times)["float32"]
    found = []
    for value, case in cases.items():
        own, other = times[str(value)], times[str(middle)]
        entry = compared(f"scaling_{name}_{value}", own, f"{name} {middle}", other)
        entry["ratio"] = 1 / entry["ratio"]  # how much more it costs
        known = {**rates(operations(case), entry["median"], peak), **sizes(case)}
        found.append({**entry, **known, **peak_of(replace(case, threads=effort.threads))})
    return found


def run(case: Case) -> Loop:
    """The case as `train` would run it."""
    model, objective = made(case)
    return loop(model, objective, case.data, Training(batch_size=case.batch))


def made(case: Case) -> tuple[Model, Objective]:
    """Model and objective."""
    if case.populations:
        return population(case.data), CrossPopulation()
    return residual(case.latents, case.channels, case.side), ELBO()


def operations(case: Case) -> float:
    """Of a step, as the layers are written down; counted on a few observations, to which they are proportional."""
    few = max(case.populations, 2)
    return flops(plain_step(*made(case), case.data, few)) * case.batch / few


def sizes(case: Case) -> dict[str, float]:
    """Megabytes kept for the way back, and of the weights with all that belongs to them."""
    ready, kept = run(case), {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    batch = case.data.batch(np.arange(case.batch))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        terms = ready.objective(ready.model(batch, torch.Generator()), batch, Progress())
    weights = {parameter.data_ptr(): parameter.nbytes for parameter in ready.model.parameters()}
    assert terms.loss.requires_grad  # and so everything was kept until now
    activations = sum(size for place, size in kept.items() if place not in weights)
    return {"kept_mb": activations / 2**20, "weights_mb": 4 * sum(weights.values()) / 2**20}


if __name__ == "__main__":
    part("scaling", __doc__, measure)
