"""A recipe for one's own table of measurements: patients and controls, treatments, strains."""

from pathlib import Path
from typing import TYPE_CHECKING

from unbraid.recipes.networks import (
    PopulationModel,
    PopulationObjective,
    plain,
    population_objective,
    rival,
    settled,
    shuffled,
)
from unbraid.recipes.recipe import recipe
from unbraid.settings import Training

if TYPE_CHECKING:
    from unbraid.data import Data, Table
    from unbraid.models import Model
    from unbraid.training import Plan


@recipe
def table(
    out: Path,
    file: Path,
    population: str,
    populations: tuple[str, ...] | None = None,
    label: str | None = None,
    leave_out: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    group: str | None = None,
    group_pattern: str | None = None,
    model: PopulationModel = "cpvae",
    objective: PopulationObjective | None = None,
    background: str | None = None,
    alpha: float = 1.0,
    shared: int = 10,
    private: int = 2,
    widths: tuple[int, ...] = (64,),
    linear: bool = True,
    shuffle_populations: bool = False,
    training: Training = Training(  # noqa: B008 (frozen)
        steps=6000, learning_rate=1e-3, patience=8, validate_every=100
    ),
) -> "Plan":
    """Train CPVAE, or a rival of it, on a table (CSV, Parquet); missing values stay missing.

    Args:
        out: run folder to make.
        file: the table: a row for each sample, a column for each thing measured, names in the first line.
        population: column that says which population a row belongs to (patient or control, treatment, strain).
        populations: names in the order to use; rows of others are left out; default: all, sorted.
        label: column of classes for judging, never learned from.
        leave_out: columns that are no measurements: identifiers, dates, what gives the population away.
        categories: columns of codes to read as words.
        group: column that says which rows belong together (samples of one patient), so that no group is in two splits.
        group_pattern: regular expression for the group at the start of that column; [^_]+ ends it before the first _.
        model: cpvae, vae (shared + private latents in one block) or contrastive (one population, the background, has
            no private latents).
        objective: mi (cross-population mutual information), elbo ("no MI"), or mmd (moment matching, for contrastive);
            default: mi for cpvae, else elbo, which a vae always takes.
        background: name of a contrastive model's background population; default: the first of two.
        alpha: weight of the cross term, constant.
        shared: latents of the shared block.
        private: latents of each private block.
        widths: of the encoder's hidden layers, and in reverse of the decoders'.
        linear: decoders without hidden layers, whose weights say what each latent does to each column.
        shuffle_populations: permute which population a row (or all rows of a group) is of, within each split, by the
            training's seed: what is found then needs no populations, as `stability` shows.
        training: how to train.
    """
    arguments = settled(plain(locals(), "out", "training"))
    arguments["file"] = str(file)
    from unbraid.data import Table
    from unbraid.training import Plan

    columns = (file, population, populations, label, leave_out, categories, group, group_pattern)
    sets = [Table(*columns, split, training.seed) for split in ("train", "validation", "test")]
    notes = _notes(sets[0], sets[2])
    data, validation, test = shuffled(sets, training.seed) if shuffle_populations else sets
    built = _model(model, data, shared, private, widths, () if linear else widths[::-1], training.seed, background)
    minimised = population_objective(built, arguments["objective"], alpha, 1.0, alpha)
    record = {"recipe": "table", "arguments": arguments, "notes": notes}
    return Plan(built, minimised, data, out, training, validation, test, record)


def _notes(data: "Table", test: "Table") -> list[str]:
    """What must be known beside the results."""
    facts = data.facts()
    found = {
        "Columns that give the population away": facts["give_population_away"],
        "Columns left out, since they do not vary in the training rows": facts["constant"],
    }
    notes = [f"{what}: {', '.join(names)}." for what, names in found.items() if isinstance(names, list) and names]
    if data.group is not None:
        notes.append(
            f"Rows of one {data.group} are in one split. The probes of the evaluation share out the {len(test)} test "
            "rows at random, so that they may know a group again: leakage is overestimated."
        )
    return notes


def _model(
    model: PopulationModel,
    data: "Data",
    shared: int,
    private: int,
    widths: tuple[int, ...],
    decoder: tuple[int, ...],
    seed: int,
    background: str | None,
) -> "Model":
    """Masked where values are missing, and nothing is said about them."""
    from unbraid.likelihoods import Gaussian, IgnoreMissing
    from unbraid.models import CPVAE
    from unbraid.nets import MaskedTrunk, MLPDecoder, MLPTrunk
    from unbraid.randomness import seeded

    size = data.shape[0]
    with seeded(seed):
        likelihood = Gaussian(1.0, learned=True)
        trunk = MaskedTrunk(MLPTrunk(2 * size, widths)) if data.missing else MLPTrunk(size, widths)
        likelihood = IgnoreMissing(likelihood) if data.missing else likelihood
        if model != "cpvae":
            both = MLPDecoder(shared + private, size, decoder)
            return rival(model, trunk, both, likelihood, data.populations, background, private)
        own = [MLPDecoder(private, size, decoder) for _ in data.populations]
        return CPVAE(trunk, MLPDecoder(shared, size, decoder), own, likelihood, data.populations)
