"""A trained model that goes on learning: with one population more, and with norms that stay as they are."""

import copy

from unbraid.configuration import build, describe
from unbraid.models.contract import Model
from unbraid.models.population import CPVAE
from unbraid.nets import Decoder, Normed


def add_population(model: CPVAE, name: str, decoder: Decoder | None = None, frozen: bool = False) -> CPVAE:
    """A new model with one population more, whose head and decoder are new, and copies of all that `model` has.

    Outputs of the old populations are those of `model`, bit for bit, and stay so in training if `frozen`. If not, all
    shared weights go on learning; under the ELBO, old private heads and decoders do not, as long as the data are of the
    new population alone (`unbraid.data.OneOf`). Call it under `seeded(seed)` for new weights that depend on the seed
    alone.
    Source: cross-population VAE, section 4.4 (continual learning).

    Args:
        model: stays as it is.
        name: of the new population, which comes last.
        decoder: its private decoder; by default one as the last population's, with new weights.
        frozen: hold all but the new head and decoder still, the likelihood's learned variance too.

    Raises:
        ValueError: the model knows a population of this name, or the decoder has other latents or another shape.
    """
    if name in model.populations:
        raise ValueError(f"expected the name of a new population, got '{name}', which is one of {model.populations}")
    # held parts may learn again: what `model` held is no part of what it computes
    same = copy.deepcopy(model).requires_grad_(True)
    larger = CPVAE(
        same.trunk,
        same.shared_decoder,
        [*same.private_decoders, decoder or _alike(model)],  # type: ignore[list-item]
        same.likelihood,
        (*model.populations, name),
        same.combine,
        model.added + 1,
        frozen,
    )
    larger.shared_head.load_state_dict(same.shared_head.state_dict())
    larger.private_head.load_state_dict(same.private_head.state_dict())
    for new, old in zip(larger.added_heads, same.added_heads, strict=False):  # there is one new one more
        new.load_state_dict(old.state_dict())
    return larger.to(next(model.parameters()).device).train(model.training)


def freeze_norms(model: Model, frozen: bool = True) -> None:
    """Have batch norms use and keep their running averages in training too, or no longer; all weights go on learning.

    Of a CPVAE those of trunk and shared decoder, since a new population's own decoder has no averages yet; of other
    models all. Batches of new data alone then neither are normalised by themselves nor move the averages by which old
    data are read.

    Raises:
        ValueError: there is none to freeze.
    """
    parts = [model.trunk, model.shared_decoder] if isinstance(model, CPVAE) else [model]
    normed = [each for part in parts for each in part.modules() if isinstance(each, Normed)]
    if frozen and not normed:
        raise ValueError(
            f"expected a model whose networks have batch norms that can be frozen (NormTrunk, SkipDecoder), got a "
            f"{type(model).__name__} without"
        )
    for each in normed:
        each.frozen_norms = frozen
    model.train(model.training)


def _alike(model: CPVAE) -> Decoder:
    """A decoder as the last population's, with new weights."""
    last = model.private_decoders[-1]
    return build(describe(last), trusted=(type(last).__module__.partition(".")[0],))
