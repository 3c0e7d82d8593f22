"""Time training steps: SR-VAE against a plain eager loop; VAE, beta-VAE and FactorVAE against that and pythae's.

Ours are the updates that `train` makes, with reading the batch, in every way that this machine knows. The plain loop is
what a textbook writes: the layers as they are, Adam as it comes, on a batch that is there already. All of a comparison
take turns in one run, with the matrix products that say what the machine can do. 64 sprites of 64 x 64, 10 latents.
Without the network that installing pythae needs (once), the comparisons with it are left out.
"""

import subprocess
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from cases import BATCH, GAMMA, Step, chosen, plain_factor_step, plain_step, residual, sprites, updating, vae, ways
from harness import (
    Contender,
    Effort,
    Entry,
    compared,
    flops,
    interleaved,
    local,
    machine,
    part,
    peaks,
    products,
    rates,
    spread,
)
from peers import Pythae, install, installed
from rich.console import Console

from unbraid.objectives import ELBO, BetaELBO, FactorVAE, Objective
from unbraid.training.loop import Loop

PLAIN = "plain eager loop, float32"
OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "VAE": ELBO,
    "beta-VAE": BetaELBO,
    "FactorVAE": lambda: FactorVAE(GAMMA),
}
PLAIN_STEP = "plain float32, bare"  # the name of its times
# pythae's FactorVAE learns from half of what it is given and shows the other to the discriminator: first 64 and 64, as
# ours and the paper, then 32 and 32, what its batch of 64 comes to
PYTHAE_CASES = {
    "VAE": {"": "VAE"},
    "beta-VAE": {"": "beta-VAE"},
    "FactorVAE": {"": "FactorVAE", "_of_32": "FactorVAE of 32"},
}


@dataclass(frozen=True)
class Measured:
    """Times of one comparison.

    times: milliseconds of every contender, by name.
    own: names of ours; the first is exact and what a run without further arguments takes.
    operations: of a step.
    rate: GFLOP/s of matrix products, by precision.
    """

    times: dict[str, list[float]]
    own: list[str]
    operations: int
    rate: dict[str, float]

    @property
    def best(self) -> str:
        """The fastest of ours."""
        return self.fastest(self.own)

    def fastest(self, names: Sequence[str]) -> str:
        """The name with the smallest median."""
        return min(names, key=lambda name: float(np.median(self.times[name])))

    def entry(self, name: str, ours: str, theirs: str, against: str) -> Entry:
        """Ours against theirs, with rates."""
        found = compared(name, self.times[ours], against, self.times[theirs], what=ours)
        return found | rates(self.operations, found["median"], self.peak(ours))

    def peak(self, ours: str) -> float:
        """The rate of products in the precision of one of ours."""
        return self.rate["bfloat16" if "bfloat16" in ours else "float32"]

    def share(self, name: str) -> Entry:
        """The share that reading a batch takes of the best step."""
        data, step = self.times["data"], self.times[self.best]
        found = compared(name, step, f"a step, {self.best}", data)
        ratios = {key: found[key] for key in ("ratio", "ratio_low", "ratio_high")}
        return compared(name, data, found["against"], step, what="reading a batch") | ratios

    def floor(self, name: str) -> Entry:
        """The share that the best of ours reaches of the rate of matrix products."""
        peak, own = self.peak(self.best), spread(self.times[self.best])
        least, against = self.operations / peak / 1e6, f"its operations at {peak:.0f} GFLOP/s"
        entry = {"name": name, "ratio": least / own["median"], "against": against, "what": self.best, "unit": "ms"}
        return entry | own | {"against_median": least} | rates(self.operations, own["median"], peak)


def measure(effort: Effort) -> list[Entry]:
    """Every comparison, after the machine and its peak."""
    about = machine()  # before the load is ours
    sequential = residual_steps(effort)
    found = [summary(sequential, effort, about)]
    for name, ours in (("", sequential.best), ("_exact", sequential.own[0])):
        found.append(sequential.entry(f"srvae_step_vs_naive{name}", ours, PLAIN_STEP, PLAIN))
    found.append(sequential.floor("srvae_step_vs_floor"))
    each = {f"srvae_step_{ours.replace(' ', '_')}": ours for ours in sequential.own}
    found += [sequential.entry(name, ours, PLAIN_STEP, PLAIN) for name, ours in each.items()]
    found.append(sequential.entry("srvae_step_naive", PLAIN_STEP, PLAIN_STEP, PLAIN))
    found.append(sequential.share("data_share_of_srvae_step"))
    with peer(effort) or nullcontext() as pythae:
        for name in OBJECTIVES:
            found += peer_steps(name, effort, pythae)
    return found


def summary(measured: Measured, effort: Effort, about: dict[str, object]) -> Entry:
    """The peaks of matrix products, and on what everything was measured."""
    high, low = measured.rate["bfloat16"], measured.rate["float32"]
    figures = {"what": "bfloat16", "unit": "GFLOP/s", "median": high, "against_median": low}
    known = {"threads": effort.threads, "batch": BATCH, "machine": about}
    return {"name": "matrix_product_peak", "ratio": high / low, "against": "float32", **figures, **known}


def residual_steps(effort: Effort) -> Measured:
    """SR-VAE in every way."""
    side, latents = (16, 3) if effort.quick else (64, 10)
    own = ways(lambda: residual(latents, side=side), ELBO, sprites(side))
    return alternated(plain_step(residual(latents, side=side), ELBO(), sprites(side)), own, {}, effort)


def alternated(plain: Step, own: dict[str, Loop], others: dict[str, Contender], effort: Effort) -> Measured:
    """Times of a plain loop, of runs of ours, of reading their batch and of others, in turn."""
    ours = {name: local(updating(run)) for name, run in own.items()}
    first = next(iter(own.values()))
    data = {"data": local(lambda: first.supply(first.step))}
    times = interleaved({PLAIN_STEP: local(plain), **ours, **data, **others, **products()}, effort)
    return Measured(times, list(own), flops(plain), peaks(times))


def peer(effort: Effort) -> Pythae | None:
    """pythae, installed if need be; nothing where it cannot be, and nothing that takes long where we are quick."""
    try:
        if not effort.quick:
            install()
    except (OSError, subprocess.CalledProcessError) as error:
        Console().print(f"pythae is left out: {error}", markup=False)
    return Pythae(effort.threads) if installed() else None


def peer_steps(name: str, effort: Effort, pythae: Pythae | None) -> list[Entry]:
    """A model of one pass against the plain loop and pythae, and the share of its step that reading the batch takes."""
    data, objective, short = sprites(), OBJECTIVES[name], name.replace("-", "").lower()
    plain = plain_factor_step(vae(), data) if name == "FactorVAE" else plain_step(vae(), objective(), data)
    cases = PYTHAE_CASES[name] if pythae else {}
    asked = {f"{case}, {how}": (case, how) for case in cases.values() for how in ("bare", "trainer")}
    others = {label: pythae.contender(*each) for label, each in asked.items()} if pythae else {}
    measured = alternated(plain, chosen(vae, objective, data), others, effort)
    found = [measured.entry(f"{short}_step_naive", PLAIN_STEP, PLAIN_STEP, PLAIN)]
    for suffix, ours in (("", measured.best), ("_exact", measured.own[0])):
        found.append(measured.entry(f"{short}_step_vs_naive{suffix}", ours, PLAIN_STEP, PLAIN))
        for end, case in cases.items():
            theirs = measured.fastest([f"{case}, bare", f"{case}, trainer"])
            found.append(measured.entry(f"{short}_step_vs_pythae{end}{suffix}", ours, theirs, f"pythae's {theirs}"))
    return [*found, measured.share("data_share_of_step")] if name == "VAE" else found


if __name__ == "__main__":
    part("steps", __doc__, measure)
