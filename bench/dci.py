"""Time DCI `dlib` at full size against the plain definition, scikit-learn's classifier.

10,000 + 5,000 rows, the factors of dSprites, 10 codes. Ours does everything, the fits side by side as `dci` runs them.
Theirs is fitted one factor after another, as the reference implementation does: for a few stages, scaled to 100, or
with --full for all of them (15 minutes). That a stage costs the same throughout is measured too, on one factor.
"""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from harness import Contender, Effort, Entry, compared, interleaved, part
from sklearn.ensemble import GradientBoostingClassifier

from unbraid.metrics.dci import DCI_DLIB, dci

SIZES, TRAIN, TEST, CODES = (3, 6, 40, 32, 32), 10_000, 5_000, 10
NAMES = ("dci_disentanglement", "dci_completeness", "dci_informativeness")
STAGES = 2  # of theirs that are timed and scaled


def measure(effort: Effort) -> list[Entry]:
    """The ratio on the clock and of processor time, and whether scaling is fair or both agree."""
    train, test = (200, 100) if effort.quick else (TRAIN, TEST)
    codes, factors = representation(train + test)
    stages = DCI_DLIB.stages if effort.full else STAGES
    used: dict[str, list[float]] = {"ours": [], "theirs": []}
    contenders = {
        "ours": watched(lambda: dci(codes, factors, train, shuffles=0), used["ours"]),
        "theirs": watched(
            lambda: [reference(codes[:train], factor[:train], stages) for factor in factors.T], used["theirs"]
        ),
    }
    times = interleaved(contenders, replace(effort, seconds=0, least=1 if effort.full else min(2, effort.least)))
    scale = DCI_DLIB.stages / stages
    theirs = [milliseconds * scale for milliseconds in times["theirs"]]
    processor = scale * float(np.median(used["theirs"]) / np.median(used["ours"]))
    known = {"stages_timed": stages, "ratio_of_processor_time": processor}
    known |= agreement(codes, factors, train) if effort.full else linearity(codes[:train], factors[:train, 1])
    against = "scikit-learn's GradientBoostingClassifier" + ("" if effort.full else f", from {stages} of 100 stages")
    return [compared("dci_vs_reference", times["ours"], against, theirs, **known)]


def watched(call: Callable[[], object], used: list[float]) -> Contender:
    """A contender that notes the processor time of its calls as well."""

    def turn(calls: int) -> float:
        start, began = time.process_time(), time.perf_counter()
        for _ in range(calls):
            call()
        seconds = time.perf_counter() - began
        used.append((time.process_time() - start) / calls)
        return seconds

    return turn


def representation(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Every factor in a code of its own with noise, and as many codes of noise."""
    rng = np.random.default_rng(0)
    factors = rng.integers(SIZES, size=(rows, len(SIZES)))
    sizes = np.array(SIZES)
    noise = rng.normal(size=(rows, CODES)) * np.repeat([0.1, 1], CODES // 2)
    noise[:, : len(SIZES)] += (factors - (sizes - 1) / 2) / np.sqrt((sizes**2 - 1) / 12)
    return noise, factors


def reference(codes: np.ndarray, factor: np.ndarray, stages: int) -> GradientBoostingClassifier:
    """The reference's reader of one factor."""
    return GradientBoostingClassifier(n_estimators=stages, random_state=0).fit(codes, factor)


def linearity(codes: np.ndarray, factor: np.ndarray) -> dict[str, object]:
    """Processor seconds a stage with few and with many stages, on the factor with six values."""
    spent: dict[int, list[float]] = {STAGES: [], 10 * STAGES: []}
    for count, used in spent.items():
        watched(lambda count=count: reference(codes, factor, count), used)(1)
    return {"processor_seconds_a_stage": {str(count): used[0] / count for count, used in spent.items()}}


def agreement(codes: np.ndarray, factors: np.ndarray, train: int) -> dict[str, object]:
    """Largest difference of importances, whether both order them alike where they tell, and both informativenesses."""
    results = dci(codes, factors, train, shuffles=0)
    readers = [reference(codes[:train], factor[:train], DCI_DLIB.stages) for factor in factors.T]
    ours = np.array(results[NAMES[0]].detail["importance"])
    theirs = np.stack([reader.feature_importances_ for reader in readers], axis=1)
    right = [reader.score(codes[train:], factor[train:]) for reader, factor in zip(readers, factors.T, strict=True)]
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


if __name__ == "__main__":
    part("dci", __doc__, measure)
