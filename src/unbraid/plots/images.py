"""What a model makes of observations: reconstructions, transfer between populations, samples."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from unbraid.plots.grid import Grid, balanced, limit_of
from unbraid.plots.style import styled, wrap


@styled
def reconstructions(
    rows: Mapping[str, Float[np.ndarray, " n *shape"]],
    population: Int[np.ndarray, " n"] | None = None,
    names: Sequence[str] = (),
) -> Figure:
    """Observations above their reconstructions, one row a kind, one column an observation.

    rows: what is seen in a row and its observations, `[n, channel, height, width]` in [0, 1] or `[n, feature]`;
    they share one scale.
    population: index into `names`; columns are then grouped and marked by population.
    """
    images = list(rows.values())
    shown = np.zeros(len(images[0]), dtype=np.int64) if population is None else population
    chosen = balanced(shown, limit_of(images[0].shape[1:]))
    return Grid(
        cells=np.stack([image[chosen] for image in images]).astype(np.float64),
        title="Observations and their reconstructions",
        rows=[wrap(label, 1.2) for label in rows],
        groups=[] if population is None else _groups(population[chosen], names),
    ).figure()


@styled
def transfer(
    original: Float[np.ndarray, " n *shape"],
    decoded: Float[np.ndarray, "n population *shape"],
    population: Int[np.ndarray, " n"],
    names: Sequence[str],
) -> Figure:
    """Every observation decoded with each population's private decoder; its own population is framed.

    decoded: shared part of the observation plus the private part of the population on the second axis.
    """
    chosen = balanced(population, limit_of(original.shape[1:]))
    rows = [original[chosen], *np.moveaxis(decoded[chosen], 1, 0)]
    return Grid(
        cells=np.stack(rows).astype(np.float64),
        title="Observations decoded as each population",
        rows=["original", *(wrap(f"as {name}", 1.2) for name in names)],
        groups=_groups(population[chosen], names),
        boxed=[(1 + int(own), column) for column, own in enumerate(population[chosen])],
    ).figure()


@styled
def samples(sources: Mapping[str, Float[np.ndarray, "population m *shape"]], names: Sequence[str]) -> Figure:
    """New observations drawn from the model, one row per population and source of latents.

    sources: where the latents were drawn, such as "prior" and "aggregate posterior"; same populations in each.
    """
    first = next(iter(sources.values()))
    limit = min(limit_of(first.shape[2:]), *(source.shape[1] for source in sources.values()))
    pairs = [(name, label, source[k, :limit]) for k, name in enumerate(names) for label, source in sources.items()]
    return Grid(
        cells=np.stack([drawn for _, _, drawn in pairs]).astype(np.float64),
        title="Samples per population, by the source of the latents",
        rows=[f"{wrap(name, 1.55, lines=1)}\n{wrap(label, 1.55, lines=1)}" for name, label, _ in pairs],
    ).figure()


@styled
def mistakes(
    shown: Float[np.ndarray, " n *shape"],
    own: Int[np.ndarray, " n"],
    named: Int[np.ndarray, " n"],
    probability: Float[np.ndarray, " n"],
    names: Sequence[str],
) -> Figure:
    """Observations whose population was named wrongly, one a row, in the order given.

    own, named: index into `names` of the true population, and of the one that was named.
    probability: of what was named.
    """
    return Grid(
        cells=shown[:, None].astype(np.float64),
        title="Populations that were named wrongly, the surest first",
        rows=[wrap(f"is {names[int(one)]}", 1.55) for one in own],
        right=[
            f"{wrap(f'named {names[int(one)]}', 1.55)}\np = {sure:.3f}"
            for one, sure in zip(named, probability, strict=True)
        ],
    ).figure()


def _groups(population: Int[np.ndarray, " n"], names: Sequence[str]) -> list[tuple[str, int]]:
    return [(names[int(one)], int((population == one).sum())) for one in np.unique(population)]
