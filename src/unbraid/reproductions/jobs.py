"""An experiment as a table of runs, which experiments on one task share."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unbraid.reproductions.experiment import Experiment, Method, Scale, Size, Task, slug
from unbraid.sweeps import Job


def jobs_of(experiment: Experiment, scale: Scale, out: Path, seeds: tuple[int, ...] | None = None) -> list[Job]:
    """All runs of an experiment, those of `stages_of` one after the other."""
    return [job for stage in stages_of(experiment, scale, out, seeds) for job in stage]


def stages_of(experiment: Experiment, scale: Scale, out: Path, seeds: tuple[int, ...] | None = None) -> list[list[Job]]:
    """The runs of an experiment, the first seed of every method before the second of any; later stages go on with runs
    of the stage before.

    A run's folder is that of its task, method and seed, so that what one experiment has trained another finds. The
    method of runs that others go on with is named after what they have seen, that of the last is its own name.
    """
    chosen = range(seed_count(experiment, scale)) if seeds is None else seeds
    each = [(method, seed) for seed in chosen for method in experiment.methods]
    chains = [_chain(experiment, method, scale, out, seed) for method, seed in each]
    longest = max((len(chain) for chain in chains), default=0)
    stages = [[chain[stage] for chain in chains if stage < len(chain)] for stage in range(longest)]
    return [_each_once(stage) for stage in stages]


def _each_once(jobs: Sequence[Job]) -> list[Job]:
    """A first run may be that of several methods; different ones in one folder stay, to be refused."""
    kept: list[Job] = []
    for job in jobs:
        if job not in kept:
            kept.append(job)
    return kept


def chains_of(jobs: Sequence[Job]) -> list[list[Job]]:
    """Runs that go on with each other, from the first to the last of them."""
    by_path = {job.path: job for job in jobs}
    followed = {goes_on_with(job) for job in jobs}
    chains = []
    for job in (job for job in jobs if job.path not in followed and goes_on_with(job)):
        chain = [job]
        while (before := goes_on_with(chain[0])) is not None:
            chain.insert(0, by_path[before])
        chains.append(chain)
    return chains


def goes_on_with(job: Job) -> Path | None:
    """The run that a job extends; None where it starts anew."""
    return Path(str(job.arguments["run"])) if job.recipe == "extend" else None


def seed_count(experiment: Experiment, scale: Scale) -> int:
    """How many seeds an experiment has at a scale."""
    return experiment.seeds.get(scale, experiment.task.sizes[scale].seeds)


def steps_of(experiment: Experiment, method: Method, scale: Scale) -> int:
    """Updates of a method's first training."""
    return round(task_of(experiment, method).sizes[scale].training["steps"] * method.longer.get(scale, 1))


def updates_of(experiment: Experiment, method: Method, scale: Scale) -> int:
    """Updates of a method's whole training, of populations that arrive later too."""
    task = task_of(experiment, method)
    later = {**task.sizes[scale].later.get("training", {}), **method.later.get("training", {})}
    return steps_of(experiment, method, scale) + len(task.arriving) * later.get("steps", 0)


def task_of(experiment: Experiment, method: Method) -> Task:
    """What a method is trained on."""
    return method.task or experiment.task


def tasks_of(experiment: Experiment) -> list[Task]:
    """All that an experiment trains on, each once."""
    return list({task.name: task for task in (task_of(experiment, method) for method in experiment.methods)}.values())


def methods_on(experiment: Experiment, task: Task) -> list[Method]:
    """Those that are trained on a task."""
    return [method for method in experiment.methods if task_of(experiment, method) == task]


def names_of(experiment: Experiment) -> str:
    """What an experiment trains on, for people."""
    names = [task.name for task in tasks_of(experiment)]
    return names[0] if len(names) == 1 else ", ".join(dict.fromkeys(name.partition(",")[0] for name in names))


def differences(experiment: Experiment, scale: Scale) -> str:
    """How an experiment differs from the paper at a scale, in words; empty where it does not."""
    said = {task.name: _differs(experiment, task, task.sizes[scale]) for task in tasks_of(experiment)}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"{name}: {differs}" for name, differs in said.items() if differs)


def _differs(experiment: Experiment, task: Task, size: Size) -> str:
    said = [size.differs] if size.differs else []
    if size.images is not None:
        said.append(f"{size.epochs} epoch{'s' * (size.epochs != 1)} of {size.images:,} images")
        if any(method.annealed for method in methods_on(experiment, task)):
            grows = f"grows to {size.most:,.4g} in them, by {size.annealing:.3f} instead of 1.1 an epoch"
            said.append(f"an annealed alpha {'stays at 1' if size.epochs == 1 else grows}")
    return "; ".join(said)


def _job(experiment: Experiment, method: Method, scale: Scale, out: Path, seed: int) -> Job:
    task = task_of(experiment, method)
    size = task.sizes[scale]
    steps = steps_of(experiment, method, scale)
    growth = {} if method.growing is None else {"growth": round(method.growing * steps)}
    growth |= {"rate": size.annealing} if method.annealed else {}
    training: dict[str, Any] = {**size.training, "steps": steps, "seed": seed}
    path = out / "runs" / slug(task.name) / slug(method.name) / f"seed-{seed}"
    judging = replace(size.judging, steps=_followed(size, steps)) if size.judging.followed else size.judging
    arguments = {**size.options, **method.options, **growth, "training": training}
    return Job(method.name, seed, path, task.recipe, arguments, judging)


def _chain(experiment: Experiment, method: Method, scale: Scale, out: Path, seed: int) -> list[Job]:
    """A run, and those for populations that arrive later; only the last is judged."""
    first, task = _job(experiment, method, scale, out, seed), task_of(experiment, method)
    if not task.arriving:
        return [first]
    size = task.sizes[scale]
    given = {**size.later, **method.later}
    training = {**size.later.get("training", {}), **method.later.get("training", {}), "seed": first.seed}
    begun = _begun(experiment, method)
    begins = _job(experiment, begun, scale, out, seed)
    chain = [replace(begins, method=f"{begun.name}, first", judging=None)]
    for name in task.arriving:
        path = first.path.parent.with_name(f"{first.path.parent.name}-then-{slug(name)}") / first.path.name
        arguments = {**given, "run": str(chain[-1].path), "name": name, "training": training}
        chain.append(Job(f"{method.name}, then {name}", first.seed, path, "extend", arguments))
    return [*chain[:-1], replace(chain[-1], method=method.name, judging=first.judging)]


def _begun(experiment: Experiment, method: Method) -> Method:
    """The method whose first training a method goes on with."""
    if not method.first:
        return method
    own = [each for each in experiment.methods if each.name == method.first and not each.first]
    if not own or task_of(experiment, own[0]) != task_of(experiment, method):
        names = [each.name for each in experiment.methods if not each.first]
        raise ValueError(
            f"expected '{method.name}' of {experiment.name} to go on with a method on the same task, out of {names}, "
            f"got '{method.first}'"
        )
    return own[0]


def _followed(size: Size, steps: int) -> tuple[int, ...]:
    """Evenly spaced out of the steps whose weights are kept, to the last one."""
    every = size.training["snapshots"]
    spacing = every * max(1, -(-steps // (every * size.points)))
    return (*range(spacing, steps, spacing), steps)
