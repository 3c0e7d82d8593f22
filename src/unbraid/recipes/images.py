"""CPVAE and its rivals on images: a named data set by class or attribute, or a folder of one's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unbraid.recipes.networks import (
    CombinationName,
    PopulationModel,
    PopulationObjective,
    image_model,
    plain,
    population_objective,
    settled,
    shuffled,
)
from unbraid.recipes.recipe import recipe
from unbraid.settings import Training

if TYPE_CHECKING:
    from unbraid.data import Data, Split
    from unbraid.training import Plan

Level = Literal["split", "population", "label"]


@recipe
def images(
    out: Path,
    source: str,
    folder: Path | None = None,
    groups: dict[str, list[str]] | None = None,
    attribute: str = "Male",
    levels: tuple[Level, ...] = ("population",),
    size: int = 64,
    model: PopulationModel = "cpvae",
    objective: PopulationObjective | None = None,
    background: str | None = None,
    alpha: float = 1.0,
    rate: float = 1.1,
    maximum: float = 1000.0,
    shared: int = 10,
    private: int = 10,
    translate: float = 0.0,
    textures: Path | None = None,
    amplitude: float | None = None,
    variance: float = 0.05,
    trunk_widths: tuple[int, ...] = (32, 64, 128),
    decoder_widths: tuple[int, ...] = (64, 32),
    combine: CombinationName = "add",
    shuffle_populations: bool = False,
    training: Training = Training(steps=20_000, learning_rate=1e-3),  # noqa: B008 (frozen)
) -> "Plan":
    """Train CPVAE, or a rival of it, on images with populations.

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
        model: cpvae, vae (shared + private latents in one block) or contrastive (one population, the background, has
            no private latents).
        objective: mi (cross-population mutual information), elbo ("no MI"), or mmd (moment matching, for contrastive);
            default: mi for cpvae, else elbo, which a vae always takes.
        background: name of a contrastive model's background population; default: the first of two.
        alpha: weight of the cross term in the first epoch.
        rate: what alpha is multiplied by every epoch; 1 keeps it constant.
        maximum: largest alpha.
        shared: latents of the shared block.
        private: latents of each private block.
        translate: largest random shift of training images, as a fraction of the side.
        textures: of grassy-mnist, a folder or archive of images to cut the grass from; default: drawn grass.
        amplitude: of grassy-mnist, brightness of the digits over the grass; default: .25, as its inventors'.
        variance: initial variance of the Gaussian likelihood, then learned.
        trunk_widths: channels of the encoder's strided layers.
        decoder_widths: channels of the decoders' layers; the side must be divisible by 2 for each.
        combine: of cpvae, what is done with the outputs of both decoders: add (the paper's), multiply or screen
            (1 - (1 - a)(1 - b)).
        shuffle_populations: permute which population an image is of, within each split, by the training's seed: what is
            found then needs no populations.
        training: how to train.
    """
    arguments = settled(plain(locals(), "out", "training"))
    from unbraid.configuration import describe
    from unbraid.data import Translate
    from unbraid.training import Plan

    moved = Translate(translate) if translate else None
    parts = image_parts(source, folder, groups, attribute, levels, size, training.seed, textures, amplitude)
    notes = [card.note for card in parts[0].cards if card.note]
    parts = shuffled(parts, training.seed) if shuffle_populations else parts
    widths = (trunk_widths, decoder_widths)
    built = image_model(model, parts[0], shared, private, variance, *widths, training.seed, background, combine)
    minimised = population_objective(built, arguments["objective"], alpha, rate, maximum)
    record = {"recipe": "images", "arguments": describe(arguments), "notes": notes}
    return Plan(built, minimised, parts[0], out, training, *parts[1:], record=record, augmentation=moved)


def image_parts(
    source: str,
    folder: Path | None,
    groups: dict[str, list[str]] | None,
    attribute: str,
    levels: tuple[Level, ...],
    size: int,
    seed: int,
    textures: Path | None,
    amplitude: float | None,
) -> "list[Data]":
    """Training, validation and test data with populations; the arguments are those of `images`.

    Raises:
        ValueError: as `source_images`, or groups name classes that are not there.
    """
    from unbraid.data import ByClass

    where, grass = (None if path is None else str(path) for path in (folder, textures))
    given = (where, groups, attribute, levels, (size, size), 3, seed, grass, amplitude)
    opened = [source_images(source, split, *given) for split in ("train", "validation", "test")]
    if len(opened[0].populations) > 1 and (groups is None or source == "grassy-mnist"):  # which knows its groups itself
        return opened
    return [ByClass(part, groups) for part in opened]


def source_images(
    source: str,
    split: "Split",
    folder: str | None,
    groups: dict[str, list[str]] | None,
    attribute: str,
    levels: tuple[Level, ...],
    size: tuple[int, int],
    channels: int,
    seed: int,
    textures: str | None = None,
    amplitude: float | None = None,
) -> "Data":
    """A part of a named data set, or of images in folders, as it comes: with populations, or with classes alone.

    The arguments are those of `images`; height, width and channels are for data without a size of their own.

    Raises:
        ValueError: no such data set, nor anything at that path, channels other than 1 or 3 for images in folders, or
            textures or an amplitude for other data than grassy digits.
    """
    from unbraid.data import CIFAR10, MNIST, CelebA, FashionMNIST, Flowers17, GrassyMNIST, ImageFolder

    light = 0.25 if amplitude is None else amplitude
    if source != "grassy-mnist" and (textures is not None or amplitude is not None):
        raise ValueError(
            f"expected textures and amplitude for grassy-mnist alone, got {textures} and {amplitude} for '{source}'"
        )
    side = size[0] if size[0] == size[1] else size
    named = {
        "mnist": lambda: MNIST(split, folder, seed=seed),
        "fashion-mnist": lambda: FashionMNIST(split, folder, seed=seed),
        "cifar10": lambda: CIFAR10(split, folder, seed=seed),
        "flowers": lambda: Flowers17(split, folder=folder, size=size[0], seed=seed),
        "grassy-mnist": lambda: GrassyMNIST(split, folder, textures, light, seed, groups=groups),
        "celeba": lambda: CelebA(split, by=attribute, size=size[0], folder=folder, seed=seed),
    }
    if source not in named and not Path(source).exists():
        raise ValueError(f"expected one of {', '.join(named)}, or the path of images, got '{source}'")
    if source in named:
        return named[source]()
    if channels not in (1, 3):
        raise ValueError(f"expected 1 channel (grey) or 3 (colour) for images in folders, got {channels}")
    return ImageFolder(source, side, channels, levels, split, seed)
