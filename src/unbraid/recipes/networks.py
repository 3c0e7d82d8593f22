"""Models of data with populations, and what is minimised, which several recipes train."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from unbraid.data import Data
    from unbraid.likelihoods import Likelihood
    from unbraid.models import Model
    from unbraid.nets import Decoder, Trunk
    from unbraid.objectives import Objective

PopulationModel = Literal["cpvae", "vae", "contrastive"]
PopulationObjective = Literal["mi", "elbo", "mmd"]
CombinationName = Literal["add", "multiply", "screen"]
OBJECTIVES: dict[str, tuple[str, ...]] = {"cpvae": ("mi", "elbo"), "vae": ("elbo",), "contrastive": ("elbo", "mmd")}


def settled(arguments: dict) -> dict:
    """A recipe's arguments with the objective that the model takes, and None for what it does not use.

    Raises:
        ValueError: model, objective and background do not go together.
    """
    model, objective = arguments["model"], arguments["objective"]
    if objective is None or (model, objective) == ("vae", "mi"):
        objective = OBJECTIVES[model][0]
    if objective not in OBJECTIVES[model]:
        raise ValueError(
            f"expected the objective {' or '.join(OBJECTIVES[model])} for the model {model}, got {objective}; "
            "mi is for cpvae, mmd for contrastive"
        )
    if arguments["background"] is not None and model != "contrastive":
        raise ValueError(
            f"expected no background for the model {model}, got '{arguments['background']}'; only contrastive has one"
        )
    unused = {} if model == "cpvae" else dict.fromkeys({"alpha", "rate", "maximum"} & set(arguments))
    return {**arguments, "objective": objective, **unused}


def rival(
    model: PopulationModel,
    trunk: "Trunk",
    decoder: "Decoder",
    likelihood: "Likelihood",
    populations: Sequence[str],
    background: str | None,
    private: int,
) -> "Model":
    """What has one decoder, for all its latents: a VAE, or a contrastive VAE of which the last ones are private.

    Raises:
        ValueError: a contrastive model has no background: none is named, and there are not two populations.
    """
    from unbraid.models import ContrastiveVAE, SequentialVAE

    if model == "vae":
        return SequentialVAE(trunk, decoder, likelihood, sequential=False, skip=False)
    if background is None and len(populations) != 2:
        raise ValueError(
            f"expected the name of the background for a contrastive model of {len(populations)} populations, got none; "
            f"pass background as one of {', '.join(populations)}"
        )
    named = populations[0] if background is None else background
    return ContrastiveVAE(trunk, decoder, likelihood, populations, named, decoder.latents - private, private)


def image_model(
    model: PopulationModel,
    data: "Data",
    shared: int,
    private: int,
    variance: float,
    trunk_widths: tuple[int, ...],
    decoder_widths: tuple[int, ...],
    seed: int,
    background: str | None = None,
    combine: CombinationName = "add",
) -> "Model":
    """CPVAE, a VAE with shared + private latents in one block, or a contrastive VAE; networks of the CPVAE paper.

    The Gaussian's variance is learned; the (shared) decoder starts at the data's mean, private ones where they leave it
    unchanged.

    Raises:
        ValueError: parts are combined otherwise than by addition in a model that has no parts.
    """
    if model != "cpvae" and combine != "add":
        raise ValueError(f"expected combine={combine} for the model cpvae, whose parts are combined, got {model}")
    import numpy as np

    from unbraid.likelihoods import Gaussian
    from unbraid.models import CPVAE, Add, Multiply, Screen
    from unbraid.nets import NormTrunk, SkipDecoder
    from unbraid.randomness import seeded

    shape, mean = data.shape, float(data.batch(np.arange(min(len(data), 2000))).x.mean())
    with seeded(seed):
        trunk, likelihood = NormTrunk(shape, trunk_widths), Gaussian(variance, learned=True)
        decoder = SkipDecoder(shared if model == "cpvae" else shared + private, shape, decoder_widths, mean)
        if model != "cpvae":
            return rival(model, trunk, decoder, likelihood, data.populations, background, private)
        g = {"add": Add, "multiply": Multiply, "screen": Screen}[combine]()
        own = [SkipDecoder(private, shape, decoder_widths, g.neutral) for _ in data.populations]
        return CPVAE(trunk, decoder, own, likelihood, data.populations, g)


def population_objective(
    model: "Model", objective: PopulationObjective, alpha: float, rate: float, maximum: float
) -> "Objective":
    """Mutual information with alpha growing by `rate` an epoch, the ELBO, or the ELBO with moment matching."""
    from unbraid.models import ContrastiveVAE
    from unbraid.objectives import ELBO, Constant, ContrastiveMMD, CrossPopulation, Exponential

    if objective == "elbo":
        return ELBO()
    if objective == "mmd":
        assert isinstance(model, ContrastiveVAE)
        return ContrastiveMMD(model.background_index)
    return CrossPopulation(Constant(alpha) if rate == 1 else Exponential(rate, maximum, alpha))


def shuffled(sets: "Sequence[Data]", seed: int) -> "list[Data]":
    """The same splits with populations that mean nothing."""
    from unbraid.data import Shuffled

    return [Shuffled(part, seed) for part in sets]


def plain(arguments: dict, *left_out: str) -> dict:
    """A recipe's arguments (its `locals()`) as the run records them."""
    return {key: value for key, value in arguments.items() if key not in left_out}
