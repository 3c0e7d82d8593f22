"""CPVAE on counts of genes in single cells."""

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
    import torch

    from unbraid.data import Data
    from unbraid.models import Model
    from unbraid.training import Plan


@recipe
def cells(
    out: Path,
    file: Path,
    population: str,
    populations: tuple[str, ...] | None = None,
    label: str | None = None,
    layer: str | None = None,
    library: str | None = None,
    most_variable: int | None = 2000,
    model: PopulationModel = "cpvae",
    objective: PopulationObjective = "elbo",
    background: str | None = None,
    alpha: float = 1.0,
    rate: float = 1.1,
    maximum: float = 1000.0,
    shared: int = 10,
    private: int = 5,
    widths: tuple[int, ...] = (128, 64),
    private_widths: tuple[int, ...] = (),
    dispersion: float = 1.0,
    shuffle_populations: bool = False,
    training: Training = Training(steps=3000, learning_rate=1e-3, patience=5, validate_every=100),  # noqa: B008 (frozen)
) -> "Plan":
    """Train CPVAE, or a rival of it, on raw counts of genes, with a negative binomial likelihood.

    Args:
        out: run folder to make.
        file: an .h5ad file (AnnData).
        population: column of obs that says which population a cell belongs to.
        populations: names in the order to use; cells of others are left out; default: all, sorted.
        label: column of obs with cell types or other classes for judging.
        layer: layer with the raw counts; default: X.
        library: column of obs with total counts; default: the sum over the genes used.
        most_variable: number of genes to use, those that vary most over training cells; none uses all.
        model: cpvae, vae (shared + private latents in one block) or contrastive (one population, the background, has
            no private latents).
        objective: mi (cross-population mutual information), elbo ("no MI"; a vae always takes it), or mmd (moment
            matching, for contrastive).
        background: name of a contrastive model's background population; default: the first of two.
        alpha: weight of the cross term in the first epoch.
        rate: what alpha is multiplied by every epoch; 1 keeps it constant.
        maximum: largest alpha.
        shared: latents of the shared block.
        private: latents of each private block.
        widths: hidden layers of the encoder; in reverse order, of the shared decoder.
        private_widths: hidden layers of the private decoders; none makes them linear, so that each private latent
            multiplies every gene's expected count by a fixed factor.
        dispersion: initial dispersion of the counts, then learned for each gene.
        shuffle_populations: permute which population a cell is of, within each split, by the training's seed: what is
            found then needs no populations, as `stability` shows.
        training: how to train.
    """
    arguments = settled(plain(locals(), "out", "training"))
    from unbraid.data import Cells
    from unbraid.training import Plan

    arguments["file"] = str(file)
    sets = [
        Cells(file, population, populations, label, layer, library, None, most_variable, split, training.seed)
        for split in ("train", "validation", "test")
    ]
    sets = shuffled(sets, training.seed) if shuffle_populations else sets
    built = _model(model, sets[0], shared, private, widths, private_widths, dispersion, training.seed, background)
    minimised = population_objective(built, arguments["objective"], alpha, rate, maximum)
    return Plan(built, minimised, sets[0], out, training, *sets[1:], record={"recipe": "cells", "arguments": arguments})


def _model(
    model: PopulationModel,
    data: "Data",
    shared: int,
    private: int,
    widths: tuple[int, ...],
    private_widths: tuple[int, ...],
    dispersion: float,
    seed: int,
    background: str | None,
) -> "Model":
    """The decoders start at the training data's log proportions: the shared one at those of all populations together,
    a private one at its population's difference from them, so that the shared code need not learn populations first.
    """
    from unbraid.likelihoods import NegativeBinomial
    from unbraid.models import CPVAE
    from unbraid.nets import CountTrunk, MLPDecoder, MLPTrunk
    from unbraid.randomness import seeded

    size, (common, differences) = data.shape[0], _log_proportions(data)
    with seeded(seed):
        trunk, likelihood = CountTrunk(MLPTrunk(size, widths)), NegativeBinomial(size, dispersion)
        decoder = MLPDecoder(shared if model == "cpvae" else shared + private, size, widths[::-1])
        decoder.start_at(common)
        if model != "cpvae":
            return rival(model, trunk, decoder, likelihood, data.populations, background, private)
        own = [MLPDecoder(private, size, private_widths) for _ in data.populations]
        for each, difference in zip(own, differences, strict=True):
            each.start_at(difference)
        return CPVAE(trunk, decoder, own, likelihood, data.populations)


def _log_proportions(data: "Data") -> "tuple[torch.Tensor, torch.Tensor]":
    """Log proportions of the features over all populations `[feature]`, and each one's difference `[population,
    feature]`; every feature counts once more than it does, in all and (at the common proportions) in each.
    """
    import numpy as np
    import torch

    assert data.population is not None
    sums = torch.zeros(len(data.populations), data.shape[0], dtype=torch.float64)
    for part in np.array_split(np.arange(len(data)), -(-len(data) // 512)):
        batch = data.batch(part)
        assert batch.population is not None
        sums.index_add_(0, batch.population, batch.x.double())
    common = (sums.sum(0) + 1) / (sums.sum() + len(sums[0]))
    own = (sums + len(common) * common) / (sums.sum(1, keepdim=True) + len(common))
    return common.log().float(), (own.log() - common.log()).float()
