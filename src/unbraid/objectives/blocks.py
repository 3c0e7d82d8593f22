"""What objectives about the code of the whole data ask of a model: one latent block."""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor

from unbraid.models.contract import Model
from unbraid.types import Forward, Normal


def check_latents(forward: Forward) -> None:
    """Refuse a pass without any latent block, as a classifier's is.

    Raises:
        ValueError: there is none.
    """
    if not forward.posteriors:
        raise ValueError("expected a model with latents, got one without, such as a classifier; use ELBO")


def one_block(forward: Forward) -> tuple[str, Normal, Float[Tensor, "batch latent"]]:
    """Name, posterior and samples of the only latent block.

    Raises:
        ValueError: there are several, or none.
    """
    check_latents(forward)
    if len(forward.posteriors) != 1:
        raise _several(forward.posteriors)
    ((name, normal),) = forward.posteriors.items()
    return name, normal, forward.samples[name]


def check_one_block(model: Model) -> None:
    """Refuse a model with populations, whose private codes have one space each.

    Raises:
        ValueError: it has populations.
    """
    if model.populations:
        raise _several(("shared", "private"))


def at_least_two(batch: Float[Tensor, "batch latent"], why: str) -> None:
    """Refuse a batch of one, in which nothing can be compared.

    Raises:
        ValueError: there are fewer than two rows.
    """
    if len(batch) < 2:
        raise ValueError(f"expected a batch of at least 2 observations, {why}, got {len(batch)}; raise batch_size")


def _several(names: Iterable[str]) -> ValueError:
    return ValueError(
        f"expected a model with one latent block, got the blocks {', '.join(names)}: codes of different private "
        "heads have no distribution in common that this objective could shape; use ELBO, BetaELBO, Capacity, "
        "ImportanceWeighted or CrossPopulation, or a VAE on the pooled data"
    )
