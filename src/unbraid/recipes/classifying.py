"""A classifier of populations: what discriminative training alone reaches on the data of the generative models."""

from pathlib import Path
from typing import TYPE_CHECKING

from unbraid.recipes.images import Level, image_parts
from unbraid.recipes.networks import plain
from unbraid.recipes.recipe import recipe
from unbraid.settings import Training

if TYPE_CHECKING:
    from unbraid.training import Plan


@recipe
def classify(
    out: Path,
    source: str,
    folder: Path | None = None,
    groups: dict[str, list[str]] | None = None,
    attribute: str = "Male",
    levels: tuple[Level, ...] = ("population",),
    size: int = 64,
    translate: float = 0.0,
    textures: Path | None = None,
    amplitude: float | None = None,
    widths: tuple[int, ...] = (16, 32, 64),
    blocks: int = 1,
    training: Training = Training(steps=20_000, learning_rate=1e-3),  # noqa: B008 (frozen)
) -> "Plan":
    """Train a residual network to name the population of an image, as a baseline for classification by evidence.

    Args:
        out: run folder to make.
        source: mnist, fashion-mnist, cifar10, flowers, grassy-mnist or celeba; or the path of a folder, zip or tar of
            images in one folder a population.
        folder: where a named data set's official files are; default: the folder that UNBRAID_DATA names, else they are
            downloaded.
        groups: classes of each population, as {population: [class, ...]}; default: every class is one.
        attribute: of CelebA, by which faces are split into two populations.
        levels: what each level of an image folder means, from the outside in.
        size: image side in pixels, for data without a size of their own.
        translate: largest random shift of training images, as a fraction of the side.
        textures: of grassy-mnist, a folder or archive of images to cut the grass from; default: drawn grass.
        amplitude: of grassy-mnist, brightness of the digits over the grass; default: .25, as its inventors'.
        widths: channels of each stage of residual blocks; each but the first halves the side.
        blocks: residual blocks of each stage; with three stages 1 is ResNet-8, 2 ResNet-14, 3 ResNet-20.
        training: how to train.
    """
    arguments = plain(locals(), "out", "training")
    from unbraid.configuration import describe
    from unbraid.data import Translate
    from unbraid.models import Classifier
    from unbraid.nets import ResidualNet
    from unbraid.objectives import ELBO
    from unbraid.randomness import seeded
    from unbraid.training import Plan

    moved = Translate(translate) if translate else None
    parts = image_parts(source, folder, groups, attribute, levels, size, training.seed, textures, amplitude)
    data = parts[0]
    with seeded(training.seed):
        network = ResidualNet(data.shape, len(data.populations), widths, blocks)
        built = Classifier(network, data.populations)
    named = f"The classifier is a ResNet-{network.layers}, with {', '.join(map(str, widths))} channels."
    notes = [named, *(card.note for card in data.cards if card.note)]
    record = {"recipe": "classify", "arguments": describe(arguments), "notes": notes}
    return Plan(built, ELBO(), data, out, training, *parts[1:], record=record, augmentation=moved)
