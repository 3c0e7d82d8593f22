"""What every benchmark shares: timing in alternation, operations, peaks, the machine, and how figures are kept.

A part measures and returns entries. An entry is a plain object: `name`, `ratio` (above 1: ours is faster or smaller,
unless the name says share), `against`, then the raw figures: `median`, `low` and `high` (10th and 90th percentile),
`unit` and `repeats` of what is named, the same with `against_` of what it is compared with, and what else is known.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

Entry = dict[str, Any]
Contender = Callable[[int], float]  # runs that many times, answers the seconds they took together
TURN = 0.1  # seconds that one turn of a short contender is filled up to
PAUSE = 0.02  # seconds before a turn, in which the threads of the one before go to sleep
SIDE = 2048  # of the matrices whose product is the peak
LONGEST = 1.0  # seconds that such a product may take


@dataclass(frozen=True)
class Effort:
    """How long to measure, and where results go.

    seconds: that a comparison is repeated for, but at least `least` rounds.
    threads: of ours and of whatever it is compared with.
    quick: smaller cases in one round, to see that everything runs; its figures mean nothing.
    full: take all of a slow reference instead of a sample, and more cases.
    out: the folder.
    """

    seconds: float
    least: int
    threads: int
    quick: bool
    full: bool
    out: Path


def part(name: str, doc: str | None, measure: Callable[[Effort], list[Entry]]) -> None:
    """The command line of one part: measure, write `bench-<name>.json`, print a table."""
    effort = asked(doc)
    torch.set_num_threads(effort.threads)
    entries = measure(effort)
    effort.out.mkdir(parents=True, exist_ok=True)
    file = effort.out / f"bench-{name}.json"
    file.write_text(json.dumps(entries, indent=1))
    show(entries)
    Console().print(str(file))


def asked(doc: str | None) -> Effort:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small cases, one round: see that everything runs")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of steps (default: all cores)")
    parser.add_argument("--seconds", type=float, default=30.0, help="that one comparison is repeated for (default 30)")
    parser.add_argument("--full", action="store_true", help="all of slow references instead of a sample; an hour")
    parser.add_argument("--out", type=Path, help="folder of the results (default build, or build/bench-quick)")
    given = parser.parse_args()
    out = given.out or Path("build/bench-quick" if given.quick else "build")
    least = 1 if given.quick else 5
    return Effort(0.0 if given.quick else given.seconds, least, given.threads, given.quick, given.full, out)


def local(call: Callable[[], object]) -> Contender:
    """A contender of this process."""

    def turn(calls: int) -> float:
        began = time.perf_counter()
        for _ in range(calls):
            call()
        return time.perf_counter() - began

    return turn


def interleaved(contenders: dict[str, Contender], effort: Effort, most: int = 100) -> dict[str, list[float]]:
    """Milliseconds a call of every contender, one value a round; the order rotates, so that none is always first."""
    calls = {}
    for name, turn in contenders.items():
        first = turn(1)  # it allocates, and chooses kernels
        calls[name] = 1 if effort.quick or first > 1 else max(1, round(TURN / turn(1)))
    times: dict[str, list[float]] = {name: [] for name in contenders}
    order, began = list(contenders), time.perf_counter()
    while len(times[order[0]]) < effort.least or (
        time.perf_counter() - began < effort.seconds and len(times[order[0]]) < most
    ):
        turned = len(times[order[0]]) % len(order)
        for name in order[turned:] + order[:turned]:
            time.sleep(PAUSE)
            times[name].append(1000 * contenders[name](calls[name]) / calls[name])
    return times


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 10th and 90th percentile, and of how many."""
    low, median, high = np.percentile(values, (10, 50, 90)).tolist()
    return {"median": median, "low": low, "high": high, "repeats": len(values)}


def compared(name: str, ours: Sequence[float], against: str, theirs: Sequence[float], **known: object) -> Entry:
    """How many times faster ours is: the ratio of medians, and the spread of the ratios of single rounds."""
    own, other = spread(ours), spread(theirs)
    entry: Entry = {"name": name, "ratio": other["median"] / own["median"], "against": against}
    if len(ours) == len(theirs):
        pairs = spread([b / a for a, b in zip(ours, theirs, strict=True)])
        entry |= {"ratio_low": pairs["low"], "ratio_high": pairs["high"]}
    return {**entry, "unit": "ms", **own, **{f"against_{key}": value for key, value in other.items()}, **known}


def flops(call: Callable[[], object]) -> int:
    """Floating-point operations of a call's products and convolutions, both ways, as PyTorch counts them."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def rates(operations: float, milliseconds: float, peak: float) -> dict[str, float]:
    """Operations, the rate they were done at, and its share of `peak` (GFLOP/s)."""
    achieved = operations / milliseconds / 1e6
    return {"flops": operations, "gflops": achieved, "peak_gflops": peak, "share_of_peak": achieved / peak}


def products() -> dict[str, Contender]:
    """Matrix products whose rates are the machine's peaks, by precision, to be timed among everything else.

    They are named by side and precision. The side is `SIDE`, or less where one product would take over `LONGEST`: a
    processor without instructions for bfloat16 is fifty times slower in it.
    """
    found = {}
    for precision in (torch.float32, torch.bfloat16):
        side, product = 64, square(64, precision)
        while side < SIDE and 8 * min(product(1), product(1)) < LONGEST:
            side, product = 2 * side, square(2 * side, precision)
        found[f"peak {side} {str(precision).removeprefix('torch.')}"] = product
    return found


def square(side: int, precision: torch.dtype) -> Contender:
    """The product of two square matrices."""
    a, b = (torch.randn(side, side).to(precision) for _ in range(2))
    return local(lambda: a @ b)


def peaks(times: dict[str, list[float]]) -> dict[str, float]:
    """GFLOP/s of the products among the times, by precision."""
    named = [(name.split(), float(np.median(each))) for name, each in times.items() if name.startswith("peak ")]
    return {precision: 2 * int(side) ** 3 / median / 1e6 for (_, side, precision), median in named}


def machine() -> dict[str, object]:
    """What the figures depend on."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    built = [line.strip(" -") for line in torch.__config__.show().splitlines()]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "libraries": [line for line in built if "Math Kernel" in line or "MKL-DNN" in line],
        "system": platform.platform(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def show(entries: list[Entry]) -> None:
    """The entries as a table on the screen."""
    table = Table("name", "ratio", "against", "median (10 % to 90 %)", "against", "GFLOP/s", "of peak", box=None)
    for row in rows(entries):
        table.add_row(*row)
    Console(width=180).print(table)


def rows(entries: list[Entry]) -> list[list[str]]:
    """Name, ratio, what against, figure, figure of the other, rate, share of peak: as texts, empty where unknown."""
    found = []
    for entry in entries:
        rate = f"{entry['gflops']:.0f}" if "gflops" in entry else ""
        share = f"{entry['share_of_peak']:.0%}" if "share_of_peak" in entry else ""
        figures = figure(entry, ""), figure(entry, "against_")
        found.append([entry["name"], f"{entry['ratio']:.3g}", entry["against"], *figures, rate, share])
    return found


def figure(entry: Entry, which: str) -> str:
    """Median and spread with their unit."""
    if f"{which}median" not in entry:
        return ""
    text = f"{entry[f'{which}median']:.4g} {entry.get('unit', '')}".strip()
    if f"{which}low" in entry:
        text += f" ({entry[f'{which}low']:.4g} to {entry[f'{which}high']:.4g})"
    return text
