"""A finished run goes on with one population more: continual learning."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unbraid.recipes.images import Level, source_images
from unbraid.recipes.networks import plain
from unbraid.recipes.recipe import recipe
from unbraid.settings import Training

if TYPE_CHECKING:
    from unbraid.data import Augmentation, Data
    from unbraid.models import Model
    from unbraid.runs import Run
    from unbraid.training import Plan


@recipe
def extend(
    out: Path,
    run: Path,
    name: str,
    source: str,
    members: tuple[str, ...] | None = None,
    folder: Path | None = None,
    attribute: str = "Male",
    levels: tuple[Level, ...] = ("label",),
    frozen: bool = False,
    frozen_norms: bool = False,
    translate: float = 0.0,
    textures: Path | None = None,
    amplitude: float | None = None,
    training: Training = Training(steps=5000, learning_rate=1e-4),  # noqa: B008 (frozen)
) -> "Plan":
    """Go on with a finished run on images of one population more, and of no other, under the ELBO.

    A CPVAE gets a head and a decoder for it; a model that does not look at populations (a VAE) trains on as it is. The
    new run stands for itself; its test data are those of the run and of the new population.

    Args:
        out: run folder to make.
        run: folder of the finished run.
        name: of the new population.
        source: mnist, fashion-mnist, cifar10, flowers, grassy-mnist or celeba; or the path of a folder, zip or tar of
            images.
        members: populations or classes of the source that the new population is made of; default: the one of its name.
        folder: where a named data set's official files are; default: the folder that UNBRAID_DATA names, else they are
            downloaded.
        attribute: of CelebA, by which faces are split into two populations.
        levels: what each level of an image folder means, from the outside in.
        frozen: train the new head and decoder alone and hold all else still, so that outputs of the old populations
            stay what they are, bit for bit; else all shared weights go on learning.
        frozen_norms: of what is shared, or of a model without populations, batch norms use and keep the averages of
            the run, while the weights go on learning.
        translate: largest random shift of training images, as a fraction of the side.
        textures: of grassy-mnist, a folder or archive of images to cut the grass from; default: drawn grass.
        amplitude: of grassy-mnist, brightness of the digits over the grass; default: .25, as its inventors'.
        training: how to train.
    """
    arguments = plain(locals(), "out", "training")
    from unbraid.configuration import describe
    from unbraid.data import Translate
    from unbraid.runs import Run

    opened, where = Run(run), None if folder is None else str(folder)
    channels, height, width = _image_shape(opened)
    # split as for the run that all began with, so that nothing that is for a test is learned from
    seed = int(opened.record.get("split_seed", opened.record["training"]["seed"]))
    grass = None if textures is None else str(textures)
    settings = (where, None, attribute, levels, (height, width), channels, seed, grass, amplitude)
    parts = [source_images(source, split, *settings) for split in ("train", "validation", "test")]
    record = {"recipe": "extend", "arguments": describe(arguments), "split_seed": seed}
    moved = Translate(translate) if translate else None
    return extension(out, opened, name, parts, members, frozen, training, record, moved, frozen_norms)


def extension(
    out: Path,
    run: "Run",
    name: str,
    parts: Sequence["Data"],
    members: tuple[str, ...] | None = None,
    frozen: bool = False,
    training: Training | None = None,
    record: dict[str, object] | None = None,
    augmentation: "Augmentation | None" = None,
    frozen_norms: bool = False,
) -> "Plan":
    """What `extend` trains, on any data.

    Args:
        out, name, members, frozen, frozen_norms, training: as for `extend`.
        run: the finished run.
        parts: training, validation and test data of which the members are taken.
        record: further plain values for `run.json`.
        augmentation: a random change of every training batch.

    Raises:
        ValueError: the run is not finished, has no populations, was on data in memory, or does not fit.
    """
    from unbraid.data import Extended, OneOf
    from unbraid.models import freeze_norms
    from unbraid.objectives import ELBO
    from unbraid.recipes.evaluation import held_out
    from unbraid.training import Plan

    training = training or Training(steps=5000, learning_rate=1e-4)
    before = held_out(run)[1]
    if not before.populations:
        raise ValueError(
            f"expected a run on data with populations, which a new one can join, got {before!r} in '{run.path}'"
        )
    built = _continued(run, name, frozen, training.seed)
    freeze_norms(built, frozen_norms)
    names = (*before.populations, name)
    data, validation, test = (OneOf(part, name, names, members) for part in parts)
    notes = [f"Goes on with the run {run.record['name']}, on '{name}' alone."]
    extends = {"run": str(run.path.absolute()), "weights": run.weights_checksum()}
    about = {**(record or {}), "extends": extends, "notes": notes + [c.note for c in data.cards if c.note]}
    return Plan(built, ELBO(), data, out, training, validation, Extended(before, test), about, augmentation)


def _continued(run: "Run", name: str, frozen: bool, seed: int) -> "Model":
    """The run's model with its weights, and one population more if it looks at populations."""
    from unbraid.models import CPVAE, add_population
    from unbraid.randomness import seeded

    model = run.rebuild("model")
    model.load_state_dict(run.load_weights())
    if isinstance(model, CPVAE):
        with seeded(seed):
            return add_population(model, name, frozen=frozen)
    if model.populations or frozen:
        raise ValueError(
            f"expected a CPVAE, {'whose shared weights can be frozen' if frozen else 'to add a population to'}, or a "
            f"model without populations that trains on, got a {type(model).__name__} in '{run.path}'"
        )
    return model


def _image_shape(run: "Run") -> tuple[int, int, int]:
    shape = tuple(run.rebuild("model").shape)
    if len(shape) != 3:
        raise ValueError(f"expected a run on images, got observations of shape {shape} in '{run.path}'")
    return shape
