"""What a reproduction consists of: methods on a task at one of three scales, what is measured, what a paper claims."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from unbraid.sweeps import Judging

Scale = Literal["smoke", "laptop", "paper"]
MOST = 1000.0  # of the weight of the cross term, in the paper


@dataclass(frozen=True)
class Size:
    """A task at one scale.

    options: of the recipe, for every method.
    training: settings of the training, for every method.
    judging: of every run; which of the kept weights are followed is for `points` to say.
    seeds: how many, from 0 on, where an experiment does not say otherwise.
    differs: how it differs from the paper, in words, beside `epochs`; empty at the paper's scale.
    points: how many of the kept weights are followed at most, evenly spaced.
    images: of the training data, where the weight of the cross term of annealed methods grows faster than the paper's,
        so that it comes to its end in the last epoch; None grows as the paper's does, by 1.1 an epoch.
    later: arguments of `extend`, with its training, for populations that arrive later.
    """

    options: Mapping[str, Any]
    training: Mapping[str, Any]
    judging: Judging
    seeds: int
    differs: str = ""
    points: int = 6
    images: int | None = None
    later: Mapping[str, Any] = field(default_factory=dict)

    @property
    def epochs(self) -> int | None:
        """Of the training, begun ones too; None where nobody counts."""
        return None if self.images is None else -(-self.training["steps"] * self.training["batch_size"] // self.images)

    @property
    def annealing(self) -> float:
        """What the weight of the cross term of annealed methods is multiplied by every epoch, from 1 on."""
        return 1.1 if self.epochs is None or self.epochs < 2 else self.most ** (1 / (self.epochs - 1))

    @property
    def most(self) -> float:
        """To which the weight of the cross term grows."""
        return float(self.options.get("maximum", MOST))


@dataclass(frozen=True)
class Task:
    """Data, and how they are learned at each scale.

    name: for people; folders are named after it.
    recipe: name of the recipe that trains.
    sizes: by scale.
    arriving: populations that are learned afterwards, one after the other, each without the data of those before.
    """

    name: str
    recipe: str
    sizes: Mapping[Scale, Size]
    arriving: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """What is compared.

    name: for people; folders are named after it.
    options: of the recipe, beyond the task's.
    longer: multiple of the task's steps, by scale; 1 where nothing is said.
    growing: share of the steps in which a capacity grows to its end; None where there is none.
    annealed: whether the weight of the cross term grows, by the factor that the task's size says.
    task: what it is trained on, where methods of an experiment differ in that; None for the experiment's.
    later: arguments of `extend` beyond the task's, for populations that arrive later.
    first: name of the method with whose first training these go on; empty for its own.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    longer: Mapping[Scale, float] = field(default_factory=dict)
    growing: float | None = None
    annealed: bool = False
    task: Task | None = None
    later: Mapping[str, Any] = field(default_factory=dict)
    first: str = ""


@dataclass(frozen=True)
class Measure:
    """A number that methods are compared by: rows of the sweep's table.

    name: for people.
    metric, protocol: of the rows; protocol None where there is only one. The metric "seconds" is the training's time.
    subjects: of the rows, any of them, since models name their output differently.
    larger_is_better: which way it goes.
    published: the paper's value by method, where it prints one.
    instead: metric of the rows of models of another kind, that means the same.
    """

    name: str
    metric: str
    protocol: str | None
    subjects: tuple[str, ...]
    larger_is_better: bool
    published: Mapping[str, float] = field(default_factory=dict)
    instead: str | None = None


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper as a comparison: `better` is better than `worse` by a measure.

    similar: the claim is that they do alike instead.
    ours: the paper does not say so.
    """

    says: str
    better: str
    worse: str
    measure: Measure
    similar: bool = False
    ours: bool = False


@dataclass(frozen=True)
class Experiment:
    """One reproduction.

    name: such as "srvae.fig2ab", as the command takes it.
    title: of its page; figure: of the paper, None where it goes beyond.
    task, methods, measures: what is trained and measured; the first measure is the main one.
    claims: of the paper.
    curves: measures that are followed over training.
    share: of all seeds that figures keep, the best or (negative) the worst; the paper's best 10 of 30 is 1/3.
    against_time: draw the curves over seconds of training too.
    pictures: headings of the report's figures to show of seed 0 of every method.
    seeds: how many at a scale, instead of the task's.
    reading: how to read it, and what is not as in the paper.
    """

    name: str
    title: str
    figure: str | None
    task: Task
    methods: tuple[Method, ...]
    measures: tuple[Measure, ...]
    claims: tuple[Claim, ...] = ()
    curves: tuple[Measure, ...] = ()
    share: float | None = None
    against_time: bool = False
    pictures: tuple[str, ...] = ()
    seeds: Mapping[Scale, int] = field(default_factory=dict)
    reading: str = ""


def slug(name: str) -> str:
    """A name as a folder has it."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")
