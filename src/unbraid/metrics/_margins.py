"""Linear support vector machines on one input, one against the rest for every value of every factor at once.

The minimum is found exactly. With one input sorted, the observations within the margin are the ones before or after a
threshold, so sums over them are differences of running sums, and a Newton step costs two searches however many
observations there are.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

_STEPS = 100
_TOLERANCE = 1e-11  # of the objective: above the rounding error of the running sums
_HALVINGS = 20
_LEAST_SCALE = 1e-15  # of the penalty; less changes nothing, and its square must not vanish


@dataclass(frozen=True)
class Line:
    """One code dimension, standardised and sorted, and running sums over it.

    values: `[n]` ascending, mean 0 and deviation 1.
    order: `[n]` which observation each one is.
    mean, deviation: of the dimension as given, since the penalty is on weights for that.
    sums: `[2, n + 1]` running sums of value and value squared.
    """

    values: Float[np.ndarray, " n"]
    order: Int[np.ndarray, " n"]
    mean: float
    deviation: float
    sums: Float[np.ndarray, "2 n_1"]


@dataclass(frozen=True)
class Classes:
    """Every value of every factor as a class against the rest.

    labels: `[factor, n]` the class of each observation under each factor, numbered through all factors.
    factor: `[class]` which factor it is a value of.
    counts: `[class]` observations of it.
    own, rest: `[class]` weight of an error on its observations, and on the others.
    """

    labels: Int[np.ndarray, "factor n"]
    factor: Int[np.ndarray, " class"]
    counts: Int[np.ndarray, " class"]
    own: Float[np.ndarray, " class"]
    rest: Float[np.ndarray, " class"]


@dataclass(frozen=True)
class _Derivatives:
    """Of the objective at a point, one row a class."""

    value: Float[np.ndarray, " class"]
    gradient: Float[np.ndarray, "class 2"]
    curvature: Float[np.ndarray, "class 2 2"]


def line(values: Float[np.ndarray, " n"]) -> Line:
    """The dimension, which must vary, in order."""
    mean, deviation, order = float(values.mean()), float(values.std()), np.argsort(values, kind="stable")
    ordered = (values[order] - mean) / deviation
    return Line(ordered, order, mean, deviation, _running(ordered))


def classes(factors: Int[np.ndarray, "n factor"], penalty: float) -> Classes:
    """Classes with the weights of "balanced" one-against-the-rest training, as scikit-learn's LinearSVC has them.

    An error on a class with n_c of n observations and K classes costs `penalty` n / (K n_c); one on the rest costs
    `penalty`, unless there are two classes, when it costs what it would there as the class.
    """
    sizes = factors.max(axis=0) + 1
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    labels = factors.T + starts[:, None]
    counts = np.bincount(labels.ravel(), minlength=int(sizes.sum()))
    factor = np.repeat(np.arange(len(sizes)), sizes)
    kinds = np.bincount(factor[counts > 0], minlength=len(sizes))[factor]
    own = penalty * len(factors) / (kinds * np.maximum(counts, 1))
    others = penalty * len(factors) / (kinds * np.maximum(len(factors) - counts, 1))
    small = labels.astype(np.int16 if labels.max() < 2**15 else np.int64)  # sorted by radix, much faster
    return Classes(small, factor, counts, own, np.where(kinds == 2, others, penalty))


def separate(along: Line, given: Classes) -> tuple[Float[np.ndarray, " class"], Float[np.ndarray, " class"]]:
    """Slopes and offsets, for the dimension as given, that minimise (w^2 + b^2) / 2 + sum of weighted squared hinges.

    Damped Newton steps from 0; the objective is convex and piecewise quadratic, so that they end at its minimum. A
    class without observations gets slope 0 and an offset below every other's.
    """
    problem = _Problem(along, given)
    point = np.zeros((len(given.counts), 2))
    here = problem.at(point)
    unfinished = np.ones(len(point), dtype=bool)
    for _ in range(_STEPS):
        step = -np.linalg.solve(here.curvature, here.gradient[..., None])[..., 0]
        decrease = -(step * here.gradient).sum(axis=1)
        unfinished &= decrease > _TOLERANCE * here.value
        if not unfinished.any():
            break
        length = _length(problem, point, here, step * unfinished[:, None], decrease * unfinished)
        unfinished &= length > 0
        point = point + (length * unfinished)[:, None] * step
        here = problem.at(point)
    slope = point[:, 0] / along.deviation
    offset = point[:, 1] - slope * along.mean
    absent = given.counts == 0
    return np.where(absent, 0.0, slope), np.where(absent, -np.inf, offset)


def _length(
    problem: "_Problem",
    point: Float[np.ndarray, "class 2"],
    here: _Derivatives,
    step: Float[np.ndarray, "class 2"],
    decrease: Float[np.ndarray, " class"],
) -> Float[np.ndarray, " class"]:
    """Share of the step after which each class's objective has fallen enough (Armijo); 0 where rounding hides it."""
    length, short = np.ones(len(step)), np.zeros(len(step), dtype=bool)
    for _ in range(_HALVINGS):
        value = problem.at(point + length[:, None] * step).value
        short = value > here.value - 1e-4 * length * decrease + _TOLERANCE * here.value
        if not short.any():
            return length
        length[short] /= 2
    return np.where(short, 0.0, length)


class _Problem:
    """The objective of all classes along one dimension, in standardised units."""

    def __init__(self, along: Line, given: Classes) -> None:
        self.along, self.given = along, given
        self.n = len(along.order)
        ranks = np.argsort(given.labels[:, along.order], axis=1, kind="stable").ravel()  # by class, ascending in each
        self.keys = np.repeat(np.arange(len(given.counts)) * (self.n + 1), given.counts) + ranks
        self.sums = _running(along.values[ranks])
        self.ends = np.cumsum(given.counts)
        self.starts = self.ends - given.counts
        shift, scale = along.mean / along.deviation, max(1 / along.deviation, _LEAST_SCALE)
        self.penalty = np.array([[scale**2 + shift**2, -shift], [-shift, 1.0]])

    def at(self, point: Float[np.ndarray, "class 2"]) -> _Derivatives:
        slope, offset = point.T
        own, _ = self._within(1 - offset, slope, slope >= 0)
        own_of_rest, all_of_rest = self._within(-1 - offset, slope, slope < 0)
        parts = (
            _hinge(own, 1 - offset, -slope, self.given.own, -1.0),
            _hinge(all_of_rest - own_of_rest, 1 + offset, slope, self.given.rest, 1.0),
        )
        pulled = point @ self.penalty
        value = 0.5 * (pulled * point).sum(axis=1) + sum(part.value for part in parts)
        return _Derivatives(
            value, pulled + sum(part.gradient for part in parts), self.penalty + sum(part.curvature for part in parts)
        )

    def _within(
        self, level: Float[np.ndarray, " class"], slope: Float[np.ndarray, " class"], before: Bool[np.ndarray, " class"]
    ) -> tuple[Float[np.ndarray, "3 class"], Float[np.ndarray, "3 class"]]:
        """Sums over a class, and over all, of the observations before or after where slope times value is `level`."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            threshold = np.where(slope == 0, np.where(level > 0, np.inf, -np.inf), level / slope)
        place = np.searchsorted(self.along.values, threshold)
        among = np.searchsorted(self.keys, np.arange(len(place)) * (self.n + 1) + place)
        own = _between(self.sums, np.where(before, self.starts, among), np.where(before, among, self.ends))
        return own, _between(self.along.sums, np.where(before, 0, place), np.where(before, place, self.n))


def _running(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, "2 n_1"]:
    sums = np.zeros((2, len(values) + 1))
    np.cumsum(values, out=sums[0, 1:])
    np.cumsum(values * values, out=sums[1, 1:])
    return sums


def _between(
    sums: Float[np.ndarray, "2 n_1"], start: Int[np.ndarray, " class"], end: Int[np.ndarray, " class"]
) -> Float[np.ndarray, "3 class"]:
    """Sums of 1, value and value squared from `start` to before `end`."""
    return np.concatenate([(end - start)[None], sums[:, end] - sums[:, start]])


def _hinge(
    sums: Float[np.ndarray, "3 class"],
    constant: Float[np.ndarray, " class"],
    slope: Float[np.ndarray, " class"],
    weight: Float[np.ndarray, " class"],
    sign: float,
) -> _Derivatives:
    """Of weight times the sum of (constant + slope value)^2, with respect to slope and offset, whose sign is given."""
    zero, one, two = sums
    value = weight * (constant**2 * zero + 2 * constant * slope * one + slope**2 * two)
    along = 2 * sign * weight[:, None] * np.stack([constant * one + slope * two, constant * zero + slope * one], axis=1)
    curvature = 2 * weight[:, None, None] * sums[[[2, 1], [1, 0]]].transpose(2, 0, 1)
    return _Derivatives(value, along, curvature)
