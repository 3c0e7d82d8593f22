"""The pictures and tables of docs/paper1.md and docs/paper2.md, from what `unbraid reproduce` left in a folder.

python docs/figures/papers.py FOLDER > tables.md
"""

import csv
import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from unbraid import plots
from unbraid.report.pictures import ACTIVE_VARIANCE, drawn_as
from unbraid.report.reading import read
from unbraid.reproductions import EXPERIMENTS, Experiment, figures
from unbraid.reproductions.experiment import slug

HERE = Path(__file__).parent
NUMBERS = ("seed", "value", "step", "seconds", "chance", "ceiling")
SHOWN = {  # pictures of the first seed: experiment to methods, and headings of the report's sections beside traversals
    "srvae.fig3": ("sr-vae", "beta-vae", "factorvae"),
    "srvae.fig4": ("sr-vae",),
    "srvae.fig5": ("sr-vae",),
    "srvae.fig6": ("sr-vae",),
    "cpvae.fig2": ("cpvae-alpha-1", "cpvae-annealed", "cpvae-no-mi"),
    "cpvae.fig3": ("cpvae-alpha-1", "cpvae-annealed"),
    "cpvae.fig4": ("cpvae-annealed", "cpvae-alpha-1"),
    "cpvae.fig5": ("cpvae-then-pansy", "cpvae-frozen-then-pansy", "vae-then-pansy"),
    "cpvae.fig6": ("mnist-grass-annealed",),
    "cpvae.combination": ("alpha-1-multiply",),
    "cpvae.rivals": ("contrastive-vae",),
    "cpvae.alpha": ("cpvae-no-mi", "cpvae-alpha-1", "alpha-10"),
}
PAPERS = {"srvae": "paper1", "cpvae": "paper2"}


def main(folder: Path) -> None:
    """Write pictures beside this file, and tables to standard output."""
    for experiment in EXPERIMENTS:
        file = folder / experiment.name / "numbers.json"
        if not file.is_file():
            continue
        found, rows = json.loads(file.read_text()), _rows(file.with_name("results.csv"))
        sys.stdout.write("\n".join(_tables(experiment, found)) + "\n")
        _curves(experiment, rows)
        for method in SHOWN.get(experiment.name, ()):
            path = folder / "runs" / slug(experiment.task.name) / method / "seed-0"
            if (path / "evaluation").is_dir():
                _pictures(path, experiment, f"{_short(experiment)}-{method}")


def _rows(file: Path) -> list[dict]:
    with file.open(newline="") as text:
        rows = [dict(row) for row in csv.DictReader(text)]
    for row in rows:
        row |= {name: float(row[name]) if row[name] else None for name in NUMBERS}
        row |= {name: None if row[name] is None else int(row[name]) for name in ("seed", "step")}
    return rows


def _short(experiment: Experiment) -> str:
    paper, _, name = experiment.name.partition(".")
    return f"{PAPERS[paper]}-{name}"


def _curves(experiment: Experiment, rows: list[dict]) -> None:
    drawn = figures.over_training(rows, experiment, experiment.against_time)
    if drawn is not None:
        _save(drawn, _short(experiment))
    elif not experiment.pictures:
        _save(figures.final(rows, experiment)[0], _short(experiment))


def _pictures(path: Path, experiment: Experiment, name: str) -> None:
    run = read([path])[0]
    if experiment.name.startswith("cpvae"):
        for heading in experiment.pictures:
            drawn = drawn_as(heading, run)
            if drawn is not None:
                _save(drawn, f"{name}-{slug(heading)}")
        return
    images, values, kl = (run.arrays.get(key) for key in ("traversal", "traversal_values", "kl_per_latent"))
    codes = run.arrays.get("codes")
    if images is not None and values is not None and kl is not None:
        active = None if codes is None else codes.var(0) > ACTIVE_VARIANCE
        _save(plots.traversals(images, values, kl, run.arrays["traversal_original"], active), f"{name}-traversal")
    if "step_outputs" in run.arrays:
        steps = (run.arrays[f"step_{key}"] for key in ("outputs", "residuals", "latents"))
        _save(plots.steps(*steps, float(run.arrays["step_value"])), f"{name}-steps")


def _save(figure: Figure, name: str) -> None:
    figure.savefig(HERE / f"{name}.png", dpi=130, metadata={"Software": None})


def _tables(experiment: Experiment, found: dict) -> list[str]:
    hours = found["seconds of training"] / 3600
    text = [f"\n### {experiment.name}: {found['runs']} runs, {hours:.2f} h of one core, {found['machine']}\n"]
    for claim in found["claims"]:
        difference = claim["difference"]
        said = "" if difference is None else f"{_span(difference)}, {difference['wins']} of {len(difference['values'])}"
        text.append(f"| {claim['claim']} | {claim['measure']} | {said} | {claim['verdict']} |")
    measures = list(dict.fromkeys(line["measure"] for line in found["measures"]))
    methods = list(dict.fromkeys(line["method"] for line in found["measures"]))
    cells = {(line["measure"], line["method"]): line for line in found["measures"]}
    text.append("\n| method | seeds | " + " | ".join(measures) + " |\n|" + "---|" * (len(measures) + 2))
    for method in methods:
        lines = [cells.get((measure, method)) for measure in measures]
        seeds = max(len(line["seeds"]) for line in lines if line)
        text.append(
            f"| {method} | {seeds} | " + " | ".join(_span(line["all"]) if line else "" for line in lines) + " |"
        )
    return text


def _span(found: dict) -> str:
    middle = _number(found["mean"])
    return middle if found["low"] is None else f"{middle} ({_number(found['low'])} to {_number(found['high'])})"


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
