"""A reproduction as one HTML page: verdicts first, then pictures, then numbers."""

import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unbraid.metrics import Summary
from unbraid.report.drawing import svg
from unbraid.report.page import template
from unbraid.report.pictures import Picture, Section, sections
from unbraid.report.reading import read
from unbraid.reproductions import figures
from unbraid.reproductions.experiment import Experiment
from unbraid.reproductions.jobs import differences, names_of, seed_count
from unbraid.reproductions.numbers import Judged, Row, kept, spread
from unbraid.reproductions.summing import Line, Summed
from unbraid.runs import write_atomically
from unbraid.sweeps import Job
from unbraid.sweeps.judged import finished

PAPERS = {
    "srvae": "Disentangled Representation Learning with Sequential Residual Variational Autoencoder",
    "cpvae": "Isolating Latent Structure with Cross-population Variational Autoencoders",
}
KINDS = {"held up": "for", "the other way round": "against", "they differ": "against"}  # one seed decides nothing


def write_page(file: Path, found: Summed, jobs: Sequence[Job], rows: Sequence[Row]) -> Path:
    """Write the page, whole or not at all, and return its path."""
    experiment = found.experiment
    html = template("page.html.jinja", "unbraid.reproductions").render(
        experiment=experiment,
        scale=found.scale,
        differs=differences(experiment, found.scale),
        about=_about(experiment),
        missing=_missing(found),
        outdated=_outdated(found),
        claims=[_claim(judged) for judged in found.verdicts],
        kept=_kept(found),
        figures=_figures(rows, experiment),
        sections=_sections(experiment, jobs),
        measures=_measures(found),
        facts=_facts(found),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, html.encode())
    return file


def _about(experiment: Experiment) -> str:
    paper = f"Paper: {PAPERS[experiment.name.partition('.')[0]]} (submission to ICLR 2020)"
    if experiment.figure is None:
        return f"Beyond the paper, on the runs that reproduce it: {names_of(experiment)}. {paper}."
    return f"Reproduces {experiment.figure} of the paper on {names_of(experiment)}. {paper}."


def _missing(found: Summed) -> str:
    count = found.expected - found.runs
    return f"{count} of {found.expected} runs are not finished, and are left out." if count else ""


def _outdated(found: Summed) -> str:
    if not found.outdated:
        return ""
    return (
        f"{found.outdated} runs were judged by other code or libraries than are here, or by a version that did not "
        "record it; --judge-again true judges them anew."
    )


def _kept(found: Summed) -> str:
    share, most = found.experiment.share, max((len(line.seeds) for line in found.lines), default=0)
    count = kept(most, share)
    return "" if count is None or share is None else f" (the {'best' if share > 0 else 'worst'} {count} of {most})"


def _figures(rows: Sequence[Row], experiment: Experiment) -> list[Picture]:
    drawn = [(figures.over_training(rows, experiment), "Curves of every method over updates.")]
    if experiment.against_time:
        drawn.append((figures.over_training(rows, experiment, by_time=True), "The same curves over seconds."))
    drawn += [
        (figure, "Dots for every seed of every method; the tables give the numbers.")
        for figure in _final(rows, experiment)
    ]
    return [
        Picture(alt, alt, svg(figure, f"picture{index}-"), float(figure.get_size_inches()[0]), True)
        for index, (figure, alt) in enumerate(drawn)
        if figure is not None
    ]


def _final(rows: Sequence[Row], experiment: Experiment) -> list:
    return figures.final(rows, experiment) if rows else []


def _sections(experiment: Experiment, jobs: Sequence[Job]) -> list[Section]:
    """The report's figures of the first seed of every method."""
    first: dict[str, Path] = {}
    names = {method.name for method in experiment.methods}
    for job in jobs:
        if job.method in names and finished(job.path):
            first.setdefault(job.method, job.path)
    if not experiment.pictures or not first:
        return []
    shown = [replace(run, label=method) for method, run in zip(first, read(list(first.values())), strict=True)]
    wanted = [section for section in sections(shown) if section.heading in experiment.pictures]
    return sorted(wanted, key=lambda section: experiment.pictures.index(section.heading))


def _claim(judged: Judged) -> dict[str, Any]:
    found, claim = judged.difference, judged.claim
    says = claim.says[0].upper() + claim.says[1:] + (" (ours, not the paper's)" if claim.ours else "")
    shared = {"says": says, "measure": claim.measure.name}
    if found is None:
        return {**shared, "difference": "–", "interval": "", "wins": "", "verdict": "not measured", "kind": "open"}
    return {
        **shared,
        "difference": _number(found.mean, sign=True),
        "interval": _interval(found),
        "wins": "" if claim.similar else f"{found.wins} of {len(found.values)}",
        "verdict": judged.verdict,
        "kind": KINDS.get(str(judged.verdict), "open"),
    }


def _measures(found: Summed) -> list[dict[str, Any]]:
    made = []
    for measure in found.experiment.measures:
        lines = [line for line in found.lines if line.measure.name == measure.name]
        if not lines:
            continue
        optional = {
            lines[0].chosen.which if lines[0].chosen else "": any(line.chosen for line in lines),
            "Paper": any(line.published is not None for line in lines),
            "Chance": any(line.chance is not None for line in lines),
        }
        head = ["Method", "Mean", "Deviation", "Seeds", *(name for name, there in optional.items() if there and name)]
        rows = [{"method": line.method, "cells": _cells(line, head[4:])} for line in lines]
        better = "larger" if measure.larger_is_better else "smaller"
        warnings = [_warning(line) for line in lines if line.notes]
        made.append({"name": measure.name, "better": better, "head": head, "rows": rows, "warnings": warnings})
    return made


def _cells(line: Line, optional: Sequence[str]) -> list[dict[str, str]]:
    cells = [
        {"text": _number(line.every.mean), "below": _interval(line.every)},
        {"text": _number(spread(line.every)), "below": ""},
        {"text": str(len(line.seeds)), "below": ""},
    ]
    others = {"Paper": line.published, "Chance": line.chance}
    for name in optional:
        if name in others:
            value = others[name]
            cells.append({"text": "–" if value is None else _number(value), "below": ""})
        else:
            chosen = line.chosen
            cells.append(
                {"text": _number(chosen.mean) if chosen else "–", "below": _interval(chosen) if chosen else ""}
            )
    return cells


def _warning(line: Line) -> str:
    """The note of the first seed that has one, and how many have."""
    seed, note = next(iter(line.notes.items()))
    seeds = f" ({len(line.notes)} of {len(line.seeds)} seeds)" if len(line.seeds) > 1 else ""
    return f"{line.method}{seeds}: {f'seed {seed}: ' if len(line.seeds) > 1 else ''}{note}."


def _facts(found: Summed) -> list[tuple[str, str]]:
    hours, name = found.seconds / 3600, found.experiment.name
    steps = ", ".join(f"{method} {count:,}" for method, count in found.steps.items())
    return [
        ("Command", f"unbraid reproduce {name} --scale {found.scale}{_seeds(found)}{_set(found)}"),
        ("Runs", f"{found.runs}, {hours:.2f} hours of training in all (of one process each)"),
        ("Updates", steps if len(set(found.steps.values())) > 1 else f"{next(iter(found.steps.values())):,}"),
        ("Machine", found.machine),
        ("Versions", ", ".join(f"{package} {version}" for package, version in found.versions.items())),
    ]


def _seeds(found: Summed) -> str:
    """The option that chose the seeds, where they are not those of the scale."""
    usual = tuple(range(seed_count(found.experiment, found.scale)))
    return "" if found.seeds == usual else f" --seeds {' '.join(map(str, found.seeds))}"


def _set(found: Summed) -> str:
    """The options that were set by hand."""
    return f" --set {shlex.join(found.options)}" if found.options else ""


def _number(value: float, sign: bool = False) -> str:
    if math.isnan(value):
        return "–"
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 100 else 0
    return f"{value:{'+' if sign else ''},.{digits}f}".replace("-", "−")


def _interval(found: Summary) -> str:
    return "" if math.isnan(found.low) else f"{_number(found.low)} to {_number(found.high)}"
