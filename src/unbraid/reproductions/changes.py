"""Options of an experiment's tasks that someone sets themselves, such as more updates or textures of their own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from unbraid.configuration import Plain
from unbraid.recipes import extend
from unbraid.reproductions.experiment import Experiment, Scale, Size, Task, slug
from unbraid.reproductions.jobs import methods_on, tasks_of
from unbraid.sweeps import kinds, trains, value_of


def changed(experiment: Experiment, scale: Scale, words: Sequence[str]) -> Experiment:
    """The experiment with options set as `words` say: NAME=VALUE, or DATA:NAME=VALUE for one of its data sets.

    Names are those of the recipe's options, `training.steps` and the like for settings of the training. What is set
    stands with what differs from the paper.

    Raises:
        ValueError: a word is no such thing, a task or an option does not exist or comes twice, a value is of another
            type, or the methods differ in that option.
    """
    tasks = tasks_of(experiment)
    for word in words:
        _check(word, tasks)
    for task in tasks:
        own = _own(words, task)
        if own:
            experiment = _with(experiment, task, scale, own)
    return experiment


def data_of(task: Task) -> str:
    """The data's name of a task, as it stands before the colon."""
    return slug(task.name.partition(",")[0])


def _read(word: str) -> tuple[str, str, str]:
    """Where, name and value."""
    left, equals, value = word.partition("=")
    where, _, name = left.lstrip("-").rpartition(":")
    if not (name and equals and value):
        raise ValueError(f"expected NAME=VALUE for --set, such as training.steps=10000, got '{word}'")
    return where, name.replace("-", "_"), value


def _check(word: str, tasks: Sequence[Task]) -> None:
    """Refuse a word that no task can take; a recipe that does not know an option is passed over for one that does."""
    where, name, value = _read(word)
    known = list(dict.fromkeys(map(data_of, tasks)))
    if where and where not in known:
        raise ValueError(f"expected one of {', '.join(known)} before the colon of --set, got '{word}'")
    meant = [trains(task.recipe) for task in tasks if where in ("", data_of(task))]
    value_of(next((recipe for recipe in meant if name in kinds(recipe)), meant[0]), name, value)


def _own(words: Sequence[str], task: Task) -> dict[str, str]:
    """What the words say about a task."""
    own: dict[str, str] = {}
    for where, name, value in map(_read, words):
        if where in ("", data_of(task)) and name in kinds(trains(task.recipe)):
            if name in own:
                raise ValueError(f"expected every option once for {task.name}, got {name}={value} as well")
            own[name] = value
    return own


def _with(experiment: Experiment, task: Task, scale: Scale, given: dict[str, str]) -> Experiment:
    recipe, size = trains(task.recipe), task.sizes[scale]
    values = {name: value_of(recipe, name, value) for name, value in given.items()}
    for method in methods_on(experiment, task):
        fixed = {*method.options, *({"rate"} if method.annealed else ()), *({"growth"} if method.growing else ())}
        if clash := fixed & set(values):
            name = min(clash)
            raise ValueError(f"expected an option that the methods share, got {name}, which {method.name} sets itself")
    if task.arriving and any(name.startswith("training.") for name in values):
        raise ValueError(f"expected no setting of the training for {task.name}, which has several, got {min(values)}")
    if "training.seed" in values:
        raise ValueError("expected what is set beside the seed, got training.seed; --seeds chooses those")
    other = replace(task, sizes={**task.sizes, scale: _size(size, values)})
    methods = tuple(replace(each, task=other) if each.task == task else each for each in experiment.methods)
    return replace(experiment, task=other if experiment.task == task else experiment.task, methods=methods)


def _size(size: Size, values: dict[str, Plain]) -> Size:
    own = {name.removeprefix("training."): value for name, value in values.items() if name.startswith("training.")}
    options: dict[str, Any] = {name: value for name, value in values.items() if not name.startswith("training.")}
    said = ", ".join(f"{name} {value}" for name, value in values.items())
    differs = "; ".join(part for part in (size.differs, f"but for what is set by hand: {said}") if part)
    later = {**size.later, **{name: value for name, value in options.items() if size.later and name in kinds(extend)}}
    changes = {"options": {**size.options, **options}, "training": {**size.training, **own}, "later": later}
    return replace(size, **changes, differs=differs)
