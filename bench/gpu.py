"""Time training steps on a GPU: a plain loop, our updates one by one and as one CUDA graph, and `torch.compile`.

VAE and SR-VAE of 10 latents, 64 sprites of 64 x 64. All of a comparison take turns on one stream and are timed by
events on it, so that what the device waits for the host counts. Our updates read their batches from data kept on the
device; the plain loop has its batch there already. Takes under five minutes; without CUDA it says so and ends.
"""

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from unbraid.data import Sprites
from unbraid.likelihoods import Bernoulli
from unbraid.models import SequentialVAE
from unbraid.models.contract import Drawn
from unbraid.nets import ConvDecoder, ConvTrunk, compute_as
from unbraid.objectives import ELBO
from unbraid.randomness import seeded
from unbraid.settings import Precision, Training
from unbraid.training.capture import Captured
from unbraid.training.device import training_on
from unbraid.training.loop import Loop
from unbraid.training.resident import resident
from unbraid.types import Batch, Progress

DEVICE, BATCH, LATENTS, RATE = torch.device("cuda"), 64, 10, 1e-4
STEPS, ROUNDS, SIDE = 20, 7, 8192  # a turn has so many steps, a comparison so many turns of each
COMPILING = 75.0  # seconds at most
WHOLE = 300_000  # steps of the first paper's runs, as we read them
PLAIN = "plain loop, float32"
Step = Callable[[], object]


@dataclass(frozen=True)
class Contender:
    """A way to make a step.

    precision: whose matrix product is its peak.
    around: what a turn is made in.
    """

    step: Step
    precision: Precision = "float32"
    around: Callable[[], AbstractContextManager[None]] = nullcontext


def main() -> int:
    """Both models, with the rates that bound them."""
    if not torch.cuda.is_available():
        Console().print("no CUDA device: the benchmark on a GPU is left out")
        return 0
    data, entries, began = Sprites(64), [], time.monotonic()
    with training_on(DEVICE):
        kept = resident(data, Training(batch_size=BATCH), DEVICE)  # all of ours share them
        assert kept is not None, "the sprites take 377 MB on the device"
        peaks: dict[Precision, float] = {each: peak(each) for each in ("float32", "bfloat16")}
        Console().print(
            f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}: matrix products of "
            + ", ".join(f"{rate / 1e12:.0f} TFLOP/s in {each}" for each, rate in peaks.items())
        )
        for name in ("VAE", "SR-VAE"):
            entries += compared(name, data, peaks)
    out = Path("build/bench-gpu.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(entries, indent=1))
    Console().print(f"{out}, after {time.monotonic() - began:.0f} s")
    return 0


def compared(name: str, data: Sprites, peaks: dict[Precision, float]) -> list[dict[str, Any]]:
    """Every way of one model: times in turn, then kernels and memory of each alone."""
    sequential = name == "SR-VAE"
    given = data.batch(np.arange(0, len(data), len(data) // BATCH)[:BATCH]).to(DEVICE)
    makers: dict[str, Callable[[], Contender]] = {
        PLAIN: lambda: Contender(plain(sequential, given)),
        "plain loop, PyTorch's defaults": lambda: Contender(plain(sequential, given), around=defaults),
        "updates, float32": lambda: Contender(ours(sequential, data, "float32", False)),
        "one CUDA graph, float32": lambda: Contender(ours(sequential, data, "float32", True)),
        "updates, bfloat16": lambda: Contender(ours(sequential, data, "bfloat16", False), "bfloat16"),
        "one CUDA graph, bfloat16": lambda: Contender(ours(sequential, data, "bfloat16", True), "bfloat16"),
        "torch.compile, float32": lambda: Contender(compiled(sequential, given)),
    }
    contenders, memory = {}, {}
    for way, make in makers.items():
        try:
            contenders[way], memory[way] = warmed(make)
        except Exception as error:  # whatever a compiler raises, say; the others go on
            Console().print(f"{name}: {way} is left out: {str(error).splitlines()[0]}", markup=False)
    times: dict[str, list[float]] = {way: [] for way in contenders}
    for _ in range(ROUNDS):
        for way, each in contenders.items():
            times[way].append(turn(each, STEPS))
    operations = flops(plain(sequential, given))
    entries = [
        entry(name, way, each, times, operations, peaks[each.precision], counted(each), memory[way])
        for way, each in contenders.items()
    ]
    show(name, entries)
    return entries


def model(sequential: bool) -> SequentialVAE:
    """The networks of the first paper (table 1)."""
    with seeded(0):
        return SequentialVAE(ConvTrunk(), ConvDecoder(LATENTS), Bernoulli(), sequential, sequential)


def plain(sequential: bool, given: Batch) -> Step:
    """What a textbook writes, on a batch that is there."""
    network, objective = model(sequential).to(DEVICE), ELBO()
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    generator = torch.Generator(DEVICE).manual_seed(0)

    def step() -> None:
        optimizer.zero_grad()
        objective(network(given, generator), given, Progress()).loss.backward()
        optimizer.step()

    return step


def ours(sequential: bool, data: Sprites, precision: Precision, capture: bool) -> Step:
    """The updates that `train` makes, batches included, and terms dropped as often as they would be."""
    training = Training(batch_size=BATCH, precision=precision, device=str(DEVICE))
    ready = Loop(model(sequential), ELBO(), data, None, training)
    ready.model.train()
    compute_as(ready.model, ready.computation, ready.device)
    if capture:
        assert ready.obstacle is None, ready.obstacle
        ready.make = Captured(ready.eager)

    def step() -> None:
        ready.update()
        if ready.step % training.log_every == 0:
            ready.checked_window()
            ready.window.clear()

    return step


def compiled(sequential: bool, given: Batch) -> Step:
    """The plain loop with its loss compiled in the mode "reduce-overhead".

    Raises:
        Exception: the compiler fails, or takes too long.
    """
    network, objective = model(sequential).to(DEVICE), ELBO()
    optimizer = torch.optim.Adam(network.parameters(), RATE, fused=True)
    generator = torch.Generator(DEVICE).manual_seed(0)

    def loss(noise: torch.Tensor) -> torch.Tensor:
        return objective(network(given, cast(Any, Drawn((noise,)))), given, Progress()).loss

    fast = torch.compile(loss, mode="reduce-overhead")

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        noise = torch.randn((network.passes, BATCH, LATENTS), generator=generator, device=DEVICE)
        fast(noise).backward()
        optimizer.step()

    began = time.monotonic()
    with at_most(COMPILING):
        for _ in range(3):
            step()
    Console().print(f"torch.compile took {time.monotonic() - began:.0f} s")
    return step


# measuring


def warmed(make: Callable[[], Contender]) -> tuple[Contender, int]:
    """A contender after the steps that choose kernels, allocate and capture; the bytes that it takes at most."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    each = make()
    turn(each, 6)
    torch.cuda.reset_peak_memory_stats()
    turn(each, 1)
    return each, torch.cuda.max_memory_allocated() - before


def turn(each: Contender, steps: int) -> float:
    """Milliseconds a step."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    with each.around():
        start.record()
        for _ in range(steps):
            each.step()
        end.record()
    end.synchronize()
    return start.elapsed_time(end) / steps


def counted(each: Contender) -> int:
    """Kernels, copies and fills of a step."""
    torch.cuda.synchronize()
    with each.around(), profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        each.step()
        torch.cuda.synchronize()
    return sum(event.device_type.name == "CUDA" for event in profiled.events() or [])


def flops(step: Step) -> int:
    """Floating-point operations of products and convolutions in a step, forward and backward, as PyTorch counts."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def peak(precision: Precision) -> float:
    """Operations a second of a large matrix product of random numbers."""
    a, b = (torch.randn(SIDE, SIDE, device=DEVICE).to(getattr(torch, precision)) for _ in range(2))
    product = Contender(lambda: a @ b)
    turn(product, 3)
    return 2 * SIDE**3 / (np.median([turn(product, 5) for _ in range(5)]) / 1000)


@contextmanager
def defaults() -> Iterator[None]:
    """Convolutions as PyTorch has them: in TF32, the first kernel that fits."""
    cudnn: Any = torch.backends.cudnn
    cudnn.conv.fp32_precision, cudnn.benchmark = "tf32", False
    try:
        yield
    finally:
        cudnn.conv.fp32_precision, cudnn.benchmark = "ieee", True


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError inside after so many seconds, where the system has alarms."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def late(*_: object) -> None:
        raise TimeoutError(f"no end after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# saying


def entry(
    name: str,
    way: str,
    each: Contender,
    times: dict[str, list[float]],
    operations: int,
    rate: float,
    kernels: int,
    memory: int,
) -> dict[str, Any]:
    """One figure, with all that is known of it."""
    low, median, high = np.percentile(times[way], (10, 50, 90)).tolist()
    against = float(np.median(times[PLAIN]))
    short = f"{name}_gpu_{way}".lower().replace("-", "").replace(", ", "_").replace(" ", "_").replace("'", "")
    about = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "precision": each.precision}
    return {
        "name": short,
        "what": way,
        "ratio": against / median,
        "against": PLAIN,
        "unit": "ms",
        **{"median": median, "low": low, "high": high, "repeats": len(times[way]), "against_median": against},
        **{"kernels": kernels, "peak_mb": memory / 1e6, "minutes_whole": median * WHOLE / 60_000},
        **{"flops": operations, "gflops": operations / median / 1e6, "peak_gflops": rate / 1e9},
        **{"share_of_peak": operations / rate * 1000 / median, "floor_ms": operations / rate * 1000},
        **about,
    }


def show(name: str, entries: list[dict[str, Any]]) -> None:
    """A table on the screen."""
    head = (name, "ms", "10 % to 90 %", "ratio", "kernels", "MB", "of floor", "300,000 steps")
    table = Table(*head, box=None)
    for each in entries:
        table.add_row(
            each["what"],
            f"{each['median']:.3g}",
            f"{each['low']:.3g} to {each['high']:.3g}",
            f"{each['ratio']:.2f}",
            f"{each['kernels']:,}",
            f"{each['peak_mb']:,.0f}",
            f"{each['share_of_peak']:.1%}",
            f"{each['minutes_whole']:.1f} min",
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    sys.exit(main())
