"""Every combination of the values of some arguments, for every seed."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from unbraid import recipes
from unbraid.configuration import Plain, describe
from unbraid.settings import Training
from unbraid.sweeps.job import Job, Judging, typed

Combination = tuple[tuple[str, Plain], ...]


def parse_over(words: Sequence[str]) -> dict[str, list[str]]:
    """`strength=1,2,4` as a name and its values, still as text; commas inside brackets do not separate.

    Raises:
        ValueError: a word is no such thing, or a name comes twice.
    """
    over: dict[str, list[str]] = {}
    for word in words:
        name, equals, values = word.partition("=")
        name = name.lstrip("-").replace("-", "_")
        if not (name and equals and values):
            raise ValueError(f"expected NAME=VALUE,VALUE for --over, such as strength=1,2,4, got '{word}'")
        if name in over:
            raise ValueError(f"expected every name once in --over, got {name} again; write {name}=... with all values")
        over[name] = re.split(r",(?![^\[{]*[\]}])", values)
    return over


def table(
    recipe: recipes.Recipe[...],
    out: Path,
    seeds: Sequence[int],
    over: Mapping[str, Sequence[Any]],
    judging: Judging | None,
    options: Mapping[str, Any],
) -> list[Job]:
    """A job for every combination and seed, in `out/COMBINATION/seed-N`; `runs` if nothing is varied.

    The first seed of every combination comes before the second of any, so that an early look shows all of them.

    Raises:
        ValueError: a name or value that the recipe does not take, values or seeds that come twice, or none.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"expected different seeds, at least one, got {list(seeds)}")
    jobs, given = [], _plain(options)
    for seed, chosen in product(seeds, _combinations(recipe, over)):
        method = ",".join(f"{name}={_said(value)}" for name, value in chosen) or "runs"
        path = out / re.sub(r"[^\w.,=+-]+", "-", method) / f"seed-{seed}"
        arguments = _merged(given, {**dict(chosen), "training.seed": seed})
        jobs.append(Job(method, seed, path, recipe.__name__, arguments, judging))
    return jobs


def _combinations(recipe: recipes.Recipe[...], over: Mapping[str, Sequence[Any]]) -> list[Combination]:
    """In the order of the names, so that the order in which they are given is of no consequence."""
    varied = []
    for name in sorted(over):
        if name in ("training.seed", "seed"):
            raise ValueError(f"expected what is varied beside the seed, got {name}; seeds have an option of their own")
        values = [value_of(recipe, name, value) for value in over[name]]
        if not values or len(set(map(_said, values))) < len(values):
            raise ValueError(f"expected different values of {name}, at least one, got {list(over[name])}")
        varied.append([(name, value) for value in values])
    return list(product(*varied))


def value_of(recipe: recipes.Recipe[...], name: str, value: Any) -> Plain:
    """One value of an option, or of a setting (`training.steps`), as the recipe's signature has it, as a plain one.

    Raises:
        ValueError: a name that the recipe does not take, or a value of another type.
    """
    group, _, own = name.rpartition(".")
    part = typed(recipe, _merged({}, {name: value}))
    return describe(getattr(part[group], own) if group else part[name])


def _merged(arguments: Mapping[str, Plain], others: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with others, whose names may be nested (`training.steps`)."""
    merged: dict[str, Any] = dict(arguments)
    for name, value in others.items():
        group, _, own = name.rpartition(".")
        if group:
            merged[group] = {**merged.get(group, {}), own: value}
        else:
            merged[name] = value
    return merged


def _plain(options: Mapping[str, Any]) -> dict[str, Plain]:
    """Options as plain values; a whole `Training` with every setting."""
    given = {name: describe(value) for name, value in options.items() if name != "training"}
    training = options.get("training")
    if training is not None:
        given["training"] = asdict(training) if isinstance(training, Training) else dict(training)
    return given


def _said(value: Plain) -> str:
    """A value in the name of a folder."""
    if isinstance(value, list):
        return "x".join(map(_said, value)) or "none"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value)
