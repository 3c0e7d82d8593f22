"""Which figures a run gives, and how each is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure

from unbraid import plots
from unbraid.report.drawing import png, svg
from unbraid.report.reading import Shown
from unbraid.report.tables import Row

# variance of the posterior mean over data (Burda et al. 2016, section 5.2)
ACTIVE_VARIANCE = 0.01
ENDS = ("share", "low", "high")


@dataclass(frozen=True)
class Picture:
    """One figure as it stands in the page: a data URI or an SVG element, widths in inches."""

    caption: str
    alt: str
    source: str
    width: float
    vector: bool


@dataclass(frozen=True)
class Section:
    """The same figure of every run that has it."""

    identifier: str
    heading: str
    reading: str
    pictures: list[Picture]


@dataclass(frozen=True)
class _Kind:
    heading: str
    reading: str
    alt: str
    draw: Callable[[Shown], Figure | None]
    vector: bool = False


def sections(runs: Sequence[Shown]) -> list[Section]:
    """Every figure that at least one run has the arrays for, with its pictures in the order of the runs."""
    made = []
    for number, kind in enumerate(KINDS):
        drawn = [(run, kind.draw(run)) for run in runs]
        pictures = [
            _picture(figure, kind, run.label, f"figure{number}-{index}-")
            for index, (run, figure) in enumerate(drawn)
            if figure is not None
        ]
        if pictures:
            made.append(Section(f"figure{number}", kind.heading, kind.reading, pictures))
    return made


def drawn_as(heading: str, run: Shown) -> Figure | None:
    """The figure of one section of one run; None if it has not the arrays.

    Raises:
        KeyError: there is no such section.
    """
    return {kind.heading: kind.draw for kind in KINDS}[heading](run)


def compare(rows: Sequence[Row], runs: Sequence[Shown]) -> Picture | None:
    """The finite values of the main metrics as dots, or None if there is none."""
    scores = [
        plots.Score(
            f"{row.metric.replace('_', ' ')} ({row.protocol})",
            f"{run.label}: {row.subject}" if len(runs) > 1 else row.subject,
            cell.value,
            cell.interval,
            cell.chance,
            cell.ceiling,
        )
        for row in rows
        if row.main
        for run, cell in zip(runs, row.cells, strict=True)
        if cell is not None and cell.value is not None and np.isfinite(cell.value)
    ]
    if not scores:
        return None
    alt = "Dots with intervals for each metric and run; the table below gives the same numbers."
    kind = _Kind("", "", alt, lambda _: None, vector=True)
    return _picture(plots.comparison(scores), kind, "all runs", "comparison-")


def _picture(figure: Figure, kind: _Kind, label: str, prefix: str) -> Picture:
    source = svg(figure, prefix) if kind.vector else png(figure)
    return Picture(label, f"{kind.alt} Run: {label}.", source, float(figure.get_size_inches()[0]), kind.vector)


def _floats(run: Shown, *names: str) -> list[Float[np.ndarray, "..."]] | None:
    if any(name not in run.arrays or not run.arrays[name].size for name in names):
        return None
    return [run.arrays[name].astype(np.float64) for name in names]


def _integers(run: Shown, name: str) -> Int[np.ndarray, " n"] | None:
    return run.arrays[name].astype(np.int64) if name in run.arrays else None


def _names(run: Shown, name: str = "population_names") -> list[str]:
    return [str(one) for one in run.arrays[name]] if name in run.arrays else []


def _reconstructions(run: Shown) -> Figure | None:
    labels = {
        "original": "original",
        "reconstruction": "reconstruction",
        "decoder_only": "decoder alone",
        "full": "reconstruction",
        "private_only": "private part",
        "shared_only": "shared part",
        "clean": "true foreground",
        "background": "true background",
    }
    if "original" not in run.arrays:
        return None
    rows = {label: found[0] for name, label in labels.items() if (found := _floats(run, name))}
    names = _names(run)
    return plots.reconstructions(rows, _integers(run, "population") if names else None, names) if rows else None


def _traversals(run: Shown) -> Figure | None:
    found = _floats(run, "traversal", "traversal_values", "kl_per_latent")
    if found is None:
        return None
    images, values, kl = found
    original, codes = _floats(run, "traversal_original"), _floats(run, "codes")
    return plots.traversals(images, values, kl, original[0] if original else None, _active(codes[0]) if codes else None)


def _steps(run: Shown) -> Figure | None:
    found, latents = _floats(run, "step_outputs", "step_residuals", "step_value"), _integers(run, "step_latents")
    if found is None or latents is None:
        return None
    outputs, residuals, value = found
    return plots.steps(outputs, residuals, latents, float(value))


def _transfer(run: Shown) -> Figure | None:
    found, population = _floats(run, "original", "transfer"), _integers(run, "population")
    if found is None or population is None:
        return None
    original, decoded = found
    return plots.transfer(original, decoded, population, _names(run))


def _samples(run: Shown) -> Figure | None:
    sources = {"samples_prior": "prior", "samples_aggregate": "aggregate posterior"}
    drawn = {label: found[0] for name, label in sources.items() if (found := _floats(run, name))}
    return plots.samples(drawn, _names(run)) if drawn else None


def _mistakes(run: Shown) -> Figure | None:
    found = _floats(run, "mistakes", "mistakes_probability")
    own, named = _integers(run, "mistakes_own"), _integers(run, "mistakes_named")
    if found is None or own is None or named is None:
        return None
    shown, probability = found
    return plots.mistakes(shown, own, named, probability, _names(run))


def _embedding(run: Shown) -> Figure | None:
    points, labels = _floats(run, "tsne_private"), _integers(run, "tsne_labels")
    if points is None or labels is None:
        return None
    population = _integers(run, "tsne_population") if "population_names" in run.arrays else None
    return plots.embedding(points[0], labels, population, _names(run))


def _kl(run: Shown) -> Figure | None:
    blocks: dict[str, np.ndarray] = {}
    active: dict[str, np.ndarray] = {}
    for kl_name, codes_name, block in (("kl_per_latent", "codes", "latents"), ("kl_shared", "codes_shared", "shared")):
        if kl := _floats(run, kl_name):
            blocks[block] = kl[0]
            if codes := _floats(run, codes_name):
                active[block] = _active(codes[0])
    if private := _floats(run, "kl_private"):
        codes, own = _floats(run, "codes_private"), _integers(run, "codes_population")
        for index, name in enumerate(_names(run)):
            blocks[f"private, {name}"] = private[0][index]
            if codes and own is not None and (own == index).any():
                active[f"private, {name}"] = _active(codes[0][own == index, index])
    return plots.kl_bars(blocks, active) if blocks else None


def _features(run: Shown) -> Figure | None:
    names = ("feature_gain", "feature_gain_low", "feature_gain_high", "feature_gain_by_chance", "feature_shift")
    found = _floats(run, *names)
    if found is None:
        return None
    gain, low, high, by_chance, shift = found
    shift_name = str(run.arrays["feature_shift_name"]) if "feature_shift_name" in run.arrays else "shift"
    return plots.feature_bars(_names(run, "feature_names"), gain, low, high, _names(run), by_chance, shift, shift_name)


def _explained(run: Shown) -> Figure | None:
    parts = {"shared part": "shared", "private part": "private", "both": "both"}
    found = {label: _floats(run, *(f"explained_{name}_{end}" for end in ENDS)) for label, name in parts.items()}
    gain = _floats(run, "feature_gain")
    ends = {label: np.stack(each, axis=-1) for label, each in found.items() if each is not None}
    if gain is None or len(ends) < len(parts):
        return None
    order = np.vstack([gain[0], ends["private part"][-1:, :, 0]])
    return plots.explained_dots(_names(run, "feature_names"), ends, [*_names(run), "all populations together"], order)


def _code_factors(run: Shown) -> Figure | None:
    found = _floats(run, "codes", "factors")
    if found is None:
        return None
    codes, factors = found
    return plots.code_factors(codes, factors, _names(run, "factor_names"))


def _remembered(run: Shown) -> Figure | None:
    found, task = _floats(run, "remembered_original", "remembered"), _integers(run, "remembered_task")
    if found is None or task is None:
        return None
    original, phases = found
    rows = {f"after {name}": phases[k] for k, name in enumerate(_names(run, "forgetting_phases"))}
    return plots.reconstructions({"original": original, **rows}, task, _names(run, "forgetting_tasks"))


def _forgetting(run: Shown) -> Figure | None:
    errors = {"squared error": "forgetting_squared_error", "-log p(x), nats": "forgetting_negative_log_likelihood"}
    panels = {label: found[0] for label, name in errors.items() if (found := _floats(run, name))}
    names = _names(run, "forgetting_phases"), _names(run, "forgetting_tasks")
    return plots.forgetting(panels, *names) if panels else None


def _curves(run: Shown) -> Figure | None:
    return plots.curves(run.curves) if run.curves else None


def _active(codes: Float[np.ndarray, "n latent"]) -> Bool[np.ndarray, " latent"]:
    return codes.var(0) > ACTIVE_VARIANCE


KINDS = (
    _Kind(
        "Reconstructions",
        "Each column is one observation. Compare the rows with the original at the top: what a row lacks, that part "
        "of the model does not carry.",
        "Grid of observations above their reconstructions, one row a kind.",
        _reconstructions,
    ),
    _Kind(
        "What each latent does",
        "Along a row only one latent changes. A row that changes one visible thing has found a factor; a row that "
        "changes nothing is not used, and its KL is near 0. A filled dot marks a latent in use (its code's variance "
        f"over data exceeds {ACTIVE_VARIANCE}).",
        "Grid of observations decoded with one latent varied along each row, largest KL first.",
        _traversals,
    ),
    _Kind(
        "The pass, step by step",
        "From left to right the model adds one latent a step. Each output is what the decoder said at that step, each "
        "residual what was left to explain before it. Red is positive, blue negative; the frame marks the step whose "
        "latent was set.",
        "Grid of decoder outputs and residuals at every step of the sequential pass.",
        _steps,
    ),
    _Kind(
        "Transfer between populations",
        "Each observation is decoded with the private part of every population. What stays the same down a column is "
        "shared; what changes is private. The frame marks the observation's own population.",
        "Grid of observations decoded as each population.",
        _transfer,
    ),
    _Kind(
        "Samples",
        "New observations from the model. The private code may leave the prior during training, so samples from the "
        "prior can look poor where those from the aggregate posterior (a mixture fitted to the codes) do not.",
        "Grid of samples for each population, from the prior and the aggregate posterior.",
        _samples,
    ),
    _Kind(
        "Surest mistakes",
        "Observations whose population was named wrongly, at the left what they are, at the right what they were named "
        "and with which probability. Where one cannot tell either, or the label is wrong, nothing better can be asked; "
        "where it is plain, the classifier has not learned it.",
        "Column of observations between their own population and the one that was named.",
        _mistakes,
    ),
    _Kind(
        "Private codes",
        "Each point is one observation, near others with similar private codes. Labels that form their own clumps are "
        "captured by the private code. Of a model with one code for all populations it is that one. "
        "Sizes of clumps and distances between them mean little.",
        "Scatter of private codes in two dimensions, marked by label.",
        _embedding,
        vector=True,
    ),
    _Kind(
        "KL of each latent",
        "How many nats each latent tells about an observation, averaged over data. Pale bars are latents not in use.",
        "Bars of the KL divergence of each latent, one panel a block.",
        _kl,
        vector=True,
    ),
    _Kind(
        "What the private parts explain",
        "By how much each feature is better explained by the private part of an observation's own population than by "
        "those of the other populations, the shared part being the same. The number beside a bar says which way the "
        "feature moves. Pale bars are not told from chance. A feature that differs between populations, or varies in "
        "one only, should be here; one that varies alike in all should not.",
        "Bars of the features that the private part of each population explains most, largest first.",
        _features,
        vector=True,
    ),
    _Kind(
        "Variance that each part explains",
        "The share of a feature's variance over held-out observations (of its deviance, for counts) that the shared "
        "part alone explains, the private part alone, and both. Within a population the features are those above, in "
        "the same order. In all populations together, what differs from one to the next is variance too; there the "
        "features are those of which the private part explains most. An encoder sees what it reconstructs, so that a "
        "little is explained by chance: compare with a run of shuffled populations.",
        "Dots with intervals of the share of variance that each part explains of each feature.",
        _explained,
        vector=True,
    ),
    _Kind(
        "Codes and known factors",
        "1 means that a latent rises or falls strictly with a factor, 0 that it does not. Disentangled codes show one "
        "dark cell in a row. Factors without an order (a shape) and circular ones (an angle) can be followed without "
        "showing here; the metrics below see them.",
        "Heat map of absolute rank correlation between latents and factors.",
        _code_factors,
        vector=True,
    ),
    _Kind(
        "What is remembered",
        "Each column is one held-out observation of a task. Down the rows are its reconstructions after each phase, "
        "from the one in which its task was learned on; what changes there was changed by later tasks.",
        "Grid of observations of every task above their reconstructions after every phase.",
        _remembered,
    ),
    _Kind(
        "Forgetting",
        "The error of each task on held-out observations, from the phase in which it was learned on, with its 95% "
        "interval over observations. A line that rises is being forgotten, one that is flat is kept.",
        "Lines of the error of each task after every phase.",
        _forgetting,
        vector=True,
    ),
    _Kind(
        "Training",
        "A flat end means that training has converged; a gap that opens between train and valid means over-fitting.",
        "Curves of every term of the loss over training steps.",
        _curves,
        vector=True,
    ),
)
