"""How much of every feature's variance the shared part, the private part and both explain."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from unbraid.likelihoods import IgnoreMissing, NegativeBinomial
from unbraid.metrics import deviances, moved, rescaled, squared_deviations, variance_explained, variance_table
from unbraid.models import CPVAE, ContrastiveVAE
from unbraid.recipes.judging import Arrays, Subject
from unbraid.types import Batch

PARTS = {"shared": "shared part", "private": "private part", "both": "both parts"}
TOGETHER = "all populations together"
Split = CPVAE | ContrastiveVAE
Losses = dict[str, Float[np.ndarray, "n feature"]]


def judge_variance(subject: Subject, model: Split, index: Int[np.ndarray, " n"]) -> Arrays:
    """Share of variance (of deviance, for counts) explained within each population, and of all of them together.

    A part that is left out is held at its mean over the observations at hand, and every reconstruction is brought to
    each feature's observed level, since a constant can stand in either part: only what varies is explained. Over all
    populations, a private part also varies from one to the next.
    """
    data, batches = subject.data, subject.batches(index)
    assert data.population is not None
    of, tables = data.population[index], {}
    pieces = [torch.cat(each) for each in zip(*(_pieces(model, batch) for batch in batches), strict=True)]
    x = torch.cat([batch.x for batch in batches])
    libraries = [batch.library for batch in batches if batch.library is not None]
    library = torch.cat(libraries) if libraries else None
    everyone = np.ones(len(index), dtype=bool)
    for where, here in [*((name, of == k) for k, name in enumerate(data.populations)), (TOGETHER, everyone)]:
        rows = torch.from_numpy(np.flatnonzero(here))
        some = None if library is None else library[rows]
        left, what = _losses(model, x[rows], pieces[0][rows], pieces[1][rows], some)
        unit = None if data.unit is None else data.unit[index][here]
        for part, name in PARTS.items():
            arguments = left[part], left["constant"]
            names = list(data.feature_names)
            subject.judge(f"{name}, {where}", partial(variance_explained, *arguments, names, what, subject.seed, unit))
            for end, values in vars(variance_table(*arguments, subject.seed, unit)).items():
                tables.setdefault(f"explained_{part}_{end}", []).append(values)
    return {name: np.stack(each) for name, each in tables.items()}


def _pieces(model: Split, batch: Batch) -> tuple[Float[Tensor, "batch piece"], Float[Tensor, "batch own"]]:
    """What the two parts give to the output, from posterior means: decoded, or codes where one decoder takes both."""
    assert batch.population is not None
    shared, heads = model.posteriors(batch.x)
    own = model.own(heads, batch.population).mean
    if isinstance(model, ContrastiveVAE):
        return shared.mean, own
    return model.shared_decoder(shared.mean), model.decode_private(own, batch.population)


def _losses(
    model: Split,
    x: Float[Tensor, "n feature"],
    first: Float[Tensor, "n piece"],
    second: Float[Tensor, "n own"],
    library: Float[Tensor, " n"] | None,
) -> tuple[Losses, str]:
    """What each reconstruction, and a constant, leave of every value; and what that is."""
    likelihood, fixed = model.likelihood, [piece.mean(0).expand_as(piece) for piece in (first, second)]
    pairs = {"both": (first, second), "shared": (first, fixed[1]), "private": (fixed[0], second)}
    expected = {part: likelihood.mean(_joined(model, *pair), library).numpy() for part, pair in pairs.items()}
    inner = likelihood.inner if isinstance(likelihood, IgnoreMissing) else likelihood
    observed = x.numpy()
    if isinstance(inner, NegativeBinomial):
        total = x.sum(1) if library is None else library
        expected["constant"] = np.repeat(total.numpy()[:, None], x.shape[1], 1)
        dispersion = inner.current_dispersion().numpy()
        left = {part: deviances(observed, rescaled(each, observed), dispersion) for part, each in expected.items()}
        return left, "deviance of counts"
    expected["constant"] = np.zeros_like(observed)
    return {part: squared_deviations(observed, moved(each, observed)) for part, each in expected.items()}, "variance"


def _joined(
    model: Split, first: Float[Tensor, "n piece"], second: Float[Tensor, "n own"]
) -> Float[Tensor, "n feature"]:
    if isinstance(model, ContrastiveVAE):
        return model.decoder(torch.cat([first, second], dim=1))
    return model.combine(first, second)
