"""Recipes that train: plain typed arguments in, a run folder out."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unbraid.recipes.networks import (
    PopulationModel,
    PopulationObjective,
    image_model,
    plain,
    population_objective,
    settled,
)
from unbraid.recipes.objectives import Rival, rival_objective, short_of_capacity
from unbraid.recipes.recipe import recipe
from unbraid.recipes.sequential import Pass, Reading, sequential_model
from unbraid.settings import Training

if TYPE_CHECKING:
    from unbraid.training import Plan

NOTE_ON_SPRITES = "Data: reconstructed dSprites. The grid is all there is, so validation images are training images."


@recipe
def sprites(
    out: Path,
    model: Pass = "sr-vae",
    objective: Rival = "elbo",
    strength: float | None = None,
    growth: int | None = None,
    latents: int = 10,
    size: Literal[64, 32, 16] = 64,
    widths: tuple[int, ...] | None = None,
    features: int = 256,
    centred: bool = True,
    likelihood: Reading = "bernoulli",
    variance: float = 0.5,
    resampled: bool = True,
    shuffled: bool = False,
    training: Training = Training(),  # noqa: B008 (frozen)
) -> "Plan":
    """Train SR-VAE, an ablation or a rival on reconstructed dSprites (2D Shape); defaults are the paper's.

    Args:
        out: run folder to make.
        model: the pass: plain, with skip (res-vae), sequential (seq-vae), or both (sr-vae).
        objective: what is minimised, under any pass: with the pass vae, beta is beta-VAE, capacity its annealed form,
            beta-tc is beta-TCVAE, dip-i and dip-ii are DIP-VAE, factor is FactorVAE, info InfoVAE, importance IWAE.
        strength: the objective's weight: beta (beta: 4, beta-tc: 6), gamma (capacity: 1000, factor: 35), lambda_od
            (dip-i and dip-ii: 10; lambda_d is 10 times and once that), lambda (info: 100), or the number of samples
            (importance: 5); default as in brackets; elbo has none.
        growth: steps in which the capacity (capacity) grows to 25 nats; default: 100,000, as in its paper.
        latents: number of latents, and of passes if sequential.
        size: image side in pixels.
        widths: channels of the stride-2 layers; default 32, 32, 64, 64 at 64 pixels, the first left out for a halving.
        features: width of the last encoder layer.
        centred: start the decoder's bias where the untrained pass gives the data's mean brightness; without, training
            at rates above 1e-4 may diverge or stand still.
        likelihood: bernoulli (logits), gaussian (the sigmoid of the output is the mean), or pixels (a Gaussian whose
            mean is the output itself: the literal reading of the paper, under which a pass with skip collapses).
        variance: of the Gaussian; with .5 minus log p is the squared error and a constant.
        resampled: draw earlier latents anew at every step (the paper); else each keeps its first noise.
        shuffled: learn the latents in another random order at every update.
        training: how to train.
    """
    arguments = plain(locals(), "out", "training")
    from unbraid.data import Sprites
    from unbraid.training import Plan

    data = Sprites(size)
    built = sequential_model(
        data,
        model,
        latents,
        widths,
        features,
        centred=centred,
        likelihood=likelihood,
        variance=variance,
        resampled=resampled,
        shuffled=shuffled,
        seed=training.seed,
    )
    minimised = rival_objective(objective, strength, len(data), growth)
    notes = [NOTE_ON_SPRITES, *short_of_capacity(minimised, training.steps)]
    record = {"recipe": "sprites", "arguments": arguments, "notes": notes}
    return Plan(built, minimised, data, out, training, validation=data, record=record)


@recipe
def grassy(
    out: Path,
    model: PopulationModel = "cpvae",
    objective: PopulationObjective | None = None,
    background: str | None = None,
    alpha: float = 1.0,
    rate: float = 1.1,
    maximum: float = 1000.0,
    shared: int = 100,
    private: int = 25,
    count: int = 10_000,
    amplitude: float = 0.25,
    variance: float = 0.02,
    trunk_widths: tuple[int, ...] = (32, 64, 128),
    decoder_widths: tuple[int, ...] = (64, 32),
    training: Training = Training(steps=20_000, learning_rate=1e-3),  # noqa: B008 (frozen)
) -> "Plan":
    """Train CPVAE, or a rival of it, on grassy digits (0-4 and 5-9); sizes are the paper's.

    Args:
        out: run folder to make.
        model: cpvae, vae (shared + private latents in one block) or contrastive (one population, the background, has
            no private latents).
        objective: mi (cross-population mutual information), elbo ("no MI"), or mmd (moment matching, for contrastive);
            default: mi for cpvae, else elbo, which a vae always takes.
        background: a contrastive model's background population, "digits 0-4" (the default) or "digits 5-9".
        alpha: weight of the cross term in the first epoch.
        rate: what alpha is multiplied by every epoch; 1 keeps it constant.
        maximum: largest alpha.
        shared: latents of the shared block.
        private: latents of each private block.
        count: training images.
        amplitude: brightness of the digits over the grass.
        variance: initial variance of the Gaussian likelihood, then learned.
        trunk_widths: channels of the encoder's strided layers.
        decoder_widths: channels of the decoders' layers.
        training: how to train.
    """
    arguments = settled(plain(locals(), "out", "training"))
    from unbraid.data import GrassyDigits
    from unbraid.training import Plan

    data = GrassyDigits("train", count, amplitude, training.seed)
    held_out = [GrassyDigits(split, 2000, amplitude, training.seed) for split in ("validation", "test")]
    built = image_model(model, data, shared, private, variance, trunk_widths, decoder_widths, training.seed, background)
    minimised = population_objective(built, arguments["objective"], alpha, rate, maximum)
    notes = ["Data: scikit-learn's digits on drawn grass; a stand-in for Grassy-MNIST, not comparable with it."]
    record = {"recipe": "grassy", "arguments": arguments, "notes": notes}
    return Plan(built, minimised, data, out, training, *held_out, record=record)


@recipe
def vectors(
    out: Path,
    objective: Literal["mi", "elbo"] = "mi",
    alpha: float = 1.0,
    shared: int = 2,
    private: int = 2,
    true_shared: int = 2,
    true_private: int = 2,
    nonlinear: bool = False,
    count: int = 5000,
    widths: tuple[int, ...] = (64, 64),
    training: Training = Training(steps=5000, learning_rate=1e-3),  # noqa: B008 (frozen)
) -> "Plan":
    """Train CPVAE on two populations of vectors whose shared and private factors are known.

    Args:
        out: run folder to make.
        objective: mi (cross-population mutual information) or elbo ("no MI").
        alpha: weight of the cross term, constant.
        shared: latents of the shared block.
        private: latents of each private block.
        true_shared: shared factors of the data.
        true_private: private factors of each population.
        nonlinear: whether the data are a curved function of their factors.
        count: training vectors of each population.
        widths: of the hidden layers.
        training: how to train.
    """
    arguments = plain(locals(), "out", "training")
    from unbraid.data import TwoPopulationVectors
    from unbraid.likelihoods import Gaussian
    from unbraid.models import CPVAE
    from unbraid.nets import MLPDecoder, MLPTrunk
    from unbraid.objectives import ELBO, Constant, CrossPopulation
    from unbraid.randomness import seeded
    from unbraid.training import Plan

    sizes = (20, true_shared, true_private, nonlinear)
    data = TwoPopulationVectors("train", (count, count), *sizes, seed=training.seed)
    validation = TwoPopulationVectors("validation", (1000, 1000), *sizes, seed=training.seed)
    test = TwoPopulationVectors("test", (1000, 1000), *sizes, seed=training.seed)
    size = data.features
    with seeded(training.seed):
        own = [MLPDecoder(private, size, widths if nonlinear else ()) for _ in data.populations]
        decoder = MLPDecoder(shared, size, widths if nonlinear else ())
        built = CPVAE(MLPTrunk(size, widths), decoder, own, Gaussian(1.0, learned=True), data.populations)
    minimised = CrossPopulation(Constant(alpha)) if objective == "mi" else ELBO()
    record = {"recipe": "vectors", "arguments": arguments, "notes": ["Data: generated, all factors known."]}
    return Plan(built, minimised, data, out, training, validation, test, record)
