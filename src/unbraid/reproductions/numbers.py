"""What the rows of a sweep say: a measure's value by method and seed, curves, and verdicts on claims."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from unbraid.metrics import Summary, paired_difference, summarise
from unbraid.reproductions.experiment import Claim, Experiment, Measure
from unbraid.sweeps import Row


@dataclass(frozen=True)
class Judged:
    """A claim, the paired difference that speaks for or against it (positive: for it), and the verdict.

    verdict: None where a method was not measured, or on too few seeds.
    """

    claim: Claim
    difference: Summary | None
    verdict: str | None


def values(rows: Sequence[Row], measure: Measure, method: str) -> dict[int, float]:
    """The measure of a method's final weights, by seed; of several subjects (populations) the mean."""
    found: dict[int, list[float]] = {}
    for row in rows:
        if row["step"] is None and _fits(row, measure, method):
            found.setdefault(row["seed"], []).append(_value(row, measure))
    return {seed: math.fsum(each) / len(each) for seed, each in found.items()}


def curves(rows: Sequence[Row], measure: Measure, method: str) -> dict[int, list[tuple[int, float, float]]]:
    """Step, seconds and value over training, by seed."""
    found: dict[int, list[tuple[int, float, float]]] = {}
    for row in rows:
        if _fits(row, measure, method) and row["step"] is not None:
            found.setdefault(row["seed"], []).append((row["step"], row["seconds"], _value(row, measure)))
    return {seed: sorted(points) for seed, points in found.items()}


def chance_level(rows: Sequence[Row], measure: Measure, method: str) -> float | None:
    """What a code that knows nothing gets by the measure: the mean over seeds; None where there is no such level."""
    if measure.metric == "seconds":
        return None
    found = [row["chance"] for row in rows if _fits(row, measure, method) and row["step"] is None]
    known = [float(level) for level in found if level is not None]
    return math.fsum(known) / len(known) if known else None


def notes(rows: Sequence[Row], measure: Measure, method: str) -> dict[int, str]:
    """What speaks against trusting the measure of the method's final weights, by seed, where something does."""
    found = [row for row in rows if row["step"] is None and row["note"] and _fits(row, measure, method)]
    return {row["seed"]: row["note"] for row in found}


def summary(found: Sequence[float], measure: Measure, share: float | None = None) -> Summary:
    """Mean and interval over seeds, of the best or the worst share of them; of all where that would be one seed."""
    count = kept(len(found), share)
    if count is None:
        return summarise(list(found))
    best, worst = (count, None) if share is not None and share > 0 else (None, count)
    return summarise(list(found), best, worst, measure.larger_is_better)


def kept(seeds: int, share: float | None) -> int | None:
    """How many seeds a share of them is; None for all."""
    count = seeds if share is None else round(abs(share) * seeds)
    return count if 1 < count < seeds else None


def judged(rows: Sequence[Row], claim: Claim, share: float | None) -> Judged:
    """What all seeds say of a claim.

    Seeds are compared in pairs. A claim holds up if the whole interval of the difference speaks for it. That two
    methods do alike is nothing that a difference can show; there only the contrary is. A figure of the worst seeds is
    judged by those alone, out of the seeds that both methods have, and not at all where that would be one seed.
    """
    measure = claim.measure
    first, second = (values(rows, measure, method) for method in (claim.better, claim.worse))
    shared = first.keys() & second.keys()
    sign = 1.0 if measure.larger_is_better else -1.0
    first, second = ({seed: sign * each[seed] for seed in sorted(shared)} for each in (first, second))
    if not shared or not all(map(math.isfinite, [*first.values(), *second.values()])):
        return Judged(claim, None, None)
    if share is None or share > 0:
        difference = paired_difference(first, second)
    elif (count := kept(len(shared), share)) is not None:
        difference = _of_the_worst(list(first.values()), list(second.values()), count)
    else:
        return Judged(claim, None, None)
    return Judged(claim, difference, _verdict(difference, claim.similar))


def _of_the_worst(first: Sequence[float], second: Sequence[float], count: int) -> Summary:
    """The k-th worst of one with the k-th worst of the other, larger values being better.

    Both are sorted, so these differences scatter less than those of random pairs: an interval of them would find 60% of
    equal methods different (30 seeds, 10 kept). It is made of the intervals of the two means, which count in the
    choice: 4 to 7% (6 to 30 seeds). Source: Zou & Donner 2008, the difference of independent estimates.
    """
    a, b = summarise(first, worst=count), summarise(second, worst=count)
    pairs = dict(enumerate(sorted(a.kept))), dict(enumerate(sorted(b.kept)))
    middle = a.mean - b.mean
    low = middle - math.hypot(a.mean - a.low, b.high - b.mean)
    high = middle + math.hypot(a.high - a.mean, b.mean - b.low)
    return replace(paired_difference(*pairs), mean=middle, low=low, high=high, which=a.which, method=a.method)


def spread(found: Summary) -> float:
    """Standard deviation over the kept seeds; NaN of one."""
    import numpy as np

    return float(np.std(found.kept, ddof=1)) if len(found.kept) > 1 else math.nan


def measured(rows: Sequence[Row], experiment: Experiment) -> dict[str, dict[str, dict[int, float]]]:
    """Measure to method to seed to value, what was measured only."""
    found = {
        measure.name: {method.name: values(rows, measure, method.name) for method in experiment.methods}
        for measure in experiment.measures
    }
    kept = {name: {method: by for method, by in each.items() if by} for name, each in found.items()}
    return {name: each for name, each in kept.items() if each}


def _verdict(difference: Summary, similar: bool) -> str:
    if similar:
        within = difference.low <= 0 <= difference.high or math.isnan(difference.low)
        return "no difference shown" if within else "they differ"
    if math.isnan(difference.low):
        return "one seed, which agrees" if difference.mean > 0 else "one seed, which does not agree"
    if difference.low > 0:
        return "held up"
    return "the other way round" if difference.high < 0 else "not decided"


def _fits(row: Row, measure: Measure, method: str) -> bool:
    if row["method"] != method:
        return False
    if measure.metric == "seconds":
        return True
    protocol = measure.protocol is None or row["protocol"] == measure.protocol
    metric = row["metric"] in (measure.metric, measure.instead)
    return metric and row["subject"] in measure.subjects and protocol


def _value(row: Row, measure: Measure) -> float:
    return float(row["seconds"] if measure.metric == "seconds" else row["value"])
