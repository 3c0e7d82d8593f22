"""Time DCI `dlib` at full size against the plain definition, scikit-learn's classifier: build/bench-dci.json.

10,000 + 5,000 rows, the factors of dSprites, 10 codes. Ours does everything, the fits side by side as `dci` runs them.
Theirs is fitted one factor after another, as the reference implementation does: for a few stages, scaled to 100, or
with --full for all of them (15 minutes). That a stage costs the same throughout is measured too, on one factor.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import GradientBoostingClassifier

from unbraid.metrics.dci import DCI_DLIB, dci

OUT = Path("build/bench-dci.json")
SIZES, TRAIN, ROWS, CODES = (3, 6, 40, 32, 32), 10_000, 15_000, 10
NAMES = ("dci_disentanglement", "dci_completeness", "dci_informativeness")


def main() -> None:
    """Measure both, print a table and what they agree in."""
    parser = argparse.ArgumentParser(description="DCI against scikit-learn's GradientBoostingClassifier.")
    parser.add_argument("--stages", type=int, default=2, help="stages of theirs that are timed and scaled (default 2)")
    parser.add_argument("--full", action="store_true", help="all of theirs, and compare the values")
    given = parser.parse_args()
    codes, factors = representation()
    stages = DCI_DLIB.stages if given.full else given.stages
    ours, results = timed(lambda: dci(codes, factors, TRAIN, shuffles=0))
    theirs, readers = timed(lambda: [reference(codes, factor, stages) for factor in factors.T])
    again, _ = timed(lambda: dci(codes, factors, TRAIN, shuffles=0))
    theirs = [seconds * DCI_DLIB.stages / stages for seconds in theirs]
    report = {
        "cpus": os.cpu_count(),
        "ours": [ours, again],
        "theirs": theirs,
        "stages_timed": stages,
        "ratio": [theirs[0] / seconds for seconds in sorted([ours[0], again[0]], reverse=True)],
        "ratio_of_processor_time": [theirs[1] / seconds for seconds in sorted([ours[1], again[1]], reverse=True)],
        **(agreement(results, readers, codes, factors) if given.full else linearity(codes, factors[:, 1])),
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(report, indent=1))
    show(report)


def representation() -> tuple[np.ndarray, np.ndarray]:
    """Every factor in a code of its own with noise, and as many codes of noise."""
    rng = np.random.default_rng(0)
    factors = rng.integers(SIZES, size=(ROWS, len(SIZES)))
    sizes = np.array(SIZES)
    noise = rng.normal(size=(ROWS, CODES)) * np.repeat([0.1, 1], CODES // 2)
    noise[:, : len(SIZES)] += (factors - (sizes - 1) / 2) / np.sqrt((sizes**2 - 1) / 12)
    return noise, factors


def timed(call):
    """Seconds on the clock and of the processors, and what the call gave."""
    start, used = time.perf_counter(), time.process_time()
    result = call()
    return (time.perf_counter() - start, time.process_time() - used), result


def reference(codes: np.ndarray, factor: np.ndarray, stages: int) -> GradientBoostingClassifier:
    """The reference's reader of one factor."""
    return GradientBoostingClassifier(n_estimators=stages, random_state=0).fit(codes[:TRAIN], factor[:TRAIN])


def linearity(codes: np.ndarray, factor: np.ndarray) -> dict:
    """Processor seconds a stage with few and with many stages, on the factor with six values."""
    spent = {count: timed(lambda: reference(codes, factor, count))[0][1] / count for count in (2, 20)}  # noqa: B023
    return {"processor_seconds_a_stage": {str(count): seconds for count, seconds in spent.items()}}


def agreement(results, readers, codes: np.ndarray, factors: np.ndarray) -> dict:
    """Largest difference of importances, whether both order them alike where they tell, and both informativenesses."""
    ours = np.array(results[NAMES[0]].detail["importance"])
    theirs = np.stack([reader.feature_importances_ for reader in readers], axis=1)
    right = [reader.score(codes[TRAIN:], factor[TRAIN:]) for reader, factor in zip(readers, factors.T, strict=True)]
    ours_share, theirs_share = (table / table.sum(axis=1, keepdims=True) for table in (ours, theirs))
    disentangled = [
        float((1 + (p * np.log(p + 1e-11)).sum(axis=1) / np.log(p.shape[1])) @ table.sum(axis=1) / table.sum())
        for p, table in ((ours_share, ours), (theirs_share, theirs))
    ]
    return {
        "largest_difference_of_importance": float(np.abs(ours - theirs).max()),
        "most_important_agree": bool((ours.argmax(axis=0) == theirs.argmax(axis=0)).all()),
        "disentanglement": disentangled,
        "informativeness": [results[NAMES[2]].value, float(np.mean(right))],
    }


def show(report: dict) -> None:
    """A table, then everything else."""
    table = Table(f"DCI, {TRAIN:,} + {ROWS - TRAIN:,} rows, {CODES} codes", "seconds", "of the processors", box=None)
    for name, (clock, used) in {"ours": report["ours"][0], "ours again": report["ours"][1]}.items():
        table.add_row(name, f"{clock:.1f}", f"{used:.1f}")
    table.add_row(f"scikit-learn, from {report['stages_timed']} stages", *(f"{part:.0f}" for part in report["theirs"]))
    table.add_row("ratio", *(" to ".join(f"{r:.0f}" for r in report[k]) for k in ("ratio", "ratio_of_processor_time")))
    Console(width=120).print(table)
    for name in list(report)[6:]:
        Console(width=120).print(f"{name}: {report[name]}", markup=False)
    Console().print(str(OUT))


if __name__ == "__main__":
    main()
