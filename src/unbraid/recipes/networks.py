"""Models of images with populations, which several recipes train."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from unbraid.data import Data
    from unbraid.models import Model
    from unbraid.objectives import Objective

PopulationModel = Literal["cpvae", "vae"]


def image_model(
    model: PopulationModel,
    data: "Data",
    shared: int,
    private: int,
    variance: float,
    trunk_widths: tuple[int, ...],
    decoder_widths: tuple[int, ...],
    seed: int,
) -> "Model":
    """CPVAE, or a VAE with shared + private latents in one block, with the networks of the CPVAE paper.

    The Gaussian's variance is learned; the (shared) decoder starts at the data's mean.
    """
    import numpy as np

    from unbraid.likelihoods import Gaussian
    from unbraid.models import CPVAE, SequentialVAE
    from unbraid.nets import NormTrunk, SkipDecoder
    from unbraid.randomness import seeded

    shape, mean = data.shape, float(data.batch(np.arange(min(len(data), 2000))).x.mean())
    with seeded(seed):
        trunk, likelihood = NormTrunk(shape, trunk_widths), Gaussian(variance, learned=True)
        if model == "vae":
            decoder = SkipDecoder(shared + private, shape, decoder_widths, mean)
            return SequentialVAE(trunk, decoder, likelihood, sequential=False, skip=False)
        decoder = SkipDecoder(shared, shape, decoder_widths, mean)
        own = [SkipDecoder(private, shape, decoder_widths) for _ in data.populations]
        return CPVAE(trunk, decoder, own, likelihood, data.populations)


def population_objective(
    model: PopulationModel, objective: Literal["mi", "elbo"], alpha: float, rate: float, maximum: float
) -> "Objective":
    """The mutual-information objective with alpha growing by `rate` an epoch, or the ELBO; a VAE takes the ELBO."""
    from unbraid.objectives import ELBO, Constant, CrossPopulation, Exponential

    if (model, objective) != ("cpvae", "mi"):
        return ELBO()
    return CrossPopulation(Constant(alpha) if rate == 1 else Exponential(rate, maximum, alpha))


def plain(arguments: dict, *left_out: str) -> dict:
    """A recipe's arguments (its `locals()`) as the run records them."""
    return {key: value for key, value in arguments.items() if key not in left_out}
