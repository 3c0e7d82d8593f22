"""SR-VAE, its ablations and its rivals on images of any kind, and what builds them on images."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from unbraid.recipes.networks import plain
from unbraid.recipes.objectives import Rival, rival_objective, short_of_capacity
from unbraid.recipes.recipe import recipe
from unbraid.settings import Training

if TYPE_CHECKING:
    from unbraid.data import Data
    from unbraid.models import SequentialVAE
    from unbraid.training import Plan

Reading = Literal["bernoulli", "gaussian", "pixels"]
Pass = Literal["vae", "res-vae", "seq-vae", "sr-vae"]
Side = Literal[64, 32, 16]
SWITCHES = {"vae": (False, False), "res-vae": (False, True), "seq-vae": (True, False), "sr-vae": (True, True)}
TEAPOTS = 200_000  # as in the paper


@recipe
def sequential(
    out: Path,
    source: str,
    folder: Path | None = None,
    model: Pass = "sr-vae",
    objective: Rival = "elbo",
    strength: float | None = None,
    growth: int | None = None,
    latents: int = 10,
    size: Side = 64,
    count: int | None = None,
    widths: tuple[int, ...] | None = None,
    features: int = 256,
    centred: bool = True,
    likelihood: Reading = "bernoulli",
    variance: float = 0.5,
    resampled: bool = True,
    shuffled: bool = False,
    training: Training = Training(),  # noqa: B008 (frozen)
) -> "Plan":
    """Train SR-VAE, an ablation or a rival on images as one population; `sprites` is the same on 2D Shape.

    Data and their parts for training, validation and testing are the same under every seed.

    Args:
        out: run folder to make.
        source: teapots, procedural-chairs, rendered-chairs, celeba or cifar10 (32 pixels); or the path of a folder, zip
            or tar of images. For teapots the paper's learning rate is 1e-5, for CelebA it has 32 latents.
        folder: where a named data set's official files are; default: the folder that UNBRAID_DATA names, else they are
            downloaded (CelebA must be got by hand).
        model: the pass: plain, with skip (res-vae), sequential (seq-vae), or both (sr-vae).
        objective: what is minimised, under any pass, as for `sprites`.
        strength: the objective's weight, with the defaults of `sprites`.
        growth: steps in which the capacity (capacity) grows to 25 nats; default: 100,000.
        latents: number of latents, and of passes if sequential.
        size: image side in pixels; teapots and procedural chairs are drawn at 64 or 32.
        count: number of teapots, of which a tenth is for validation and a tenth for testing; default: 200,000.
        widths: channels of the stride-2 layers; default 32, 32, 64, 64 at 64 pixels, the first left out for a halving.
        features: width of the last encoder layer.
        centred: start the decoder's bias where the untrained pass gives the data's mean brightness.
        likelihood: bernoulli (logits, also for grey and colour values between 0 and 1, as in the paper), gaussian (the
            sigmoid of the output is the mean), or pixels (a Gaussian whose mean is the output itself).
        variance: of the Gaussian; with .5 minus log p is the squared error and a constant.
        resampled: draw earlier latents anew at every step (the paper); else each keeps its first noise.
        shuffled: learn the latents in another random order at every update.
        training: how to train.
    """
    arguments = plain(locals(), "out", "training")
    from unbraid.configuration import describe
    from unbraid.training import Plan

    parts = _images(source, None if folder is None else str(folder), size, count)
    built = sequential_model(
        parts[0],
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
    minimised = rival_objective(objective, strength, len(parts[0]), growth)
    alike = ["The images are all there is, so validation images are training images."] if len(parts) == 1 else []
    cards = [card.note for card in parts[0].cards if card.note]
    notes = [*cards, *alike, *short_of_capacity(minimised, training.steps)]
    record = {"recipe": "sequential", "arguments": describe(arguments), "notes": notes}
    validation, test = (parts[0], None) if len(parts) == 1 else parts[1:]
    return Plan(built, minimised, parts[0], out, training, validation, test, record)


def sequential_model(
    data: "Data",
    model: Pass,
    latents: int,
    widths: tuple[int, ...] | None,
    features: int,
    *,
    centred: bool,
    likelihood: Reading,
    variance: float,
    resampled: bool,
    shuffled: bool,
    seed: int,
) -> "SequentialVAE":
    """The paper's networks for square images; the other arguments are those of `sequential`.

    Raises:
        ValueError: there is not one width for every halving down to 4 pixels.
    """
    from unbraid.likelihoods import Bernoulli, Gaussian
    from unbraid.models import SequentialVAE
    from unbraid.nets import ConvDecoder, ConvTrunk
    from unbraid.randomness import seeded

    channels, size = data.shape[:2]
    layers = {64: 4, 32: 3, 16: 2}[size]
    used = (32, 32, 64, 64)[-layers:] if widths is None else widths
    if len(used) != layers:
        raise ValueError(f"expected {layers} widths for images of {size} pixels, got {used}")
    offset = 0.0
    if centred:
        mean = _brightness(data)
        start = mean if likelihood == "pixels" else math.log(mean / (1 - mean))
        offset = SequentialVAE.constant_for(start, latents, *SWITCHES[model])
    read = Bernoulli() if likelihood == "bernoulli" else Gaussian(variance, squash=likelihood == "gaussian")
    with seeded(seed):
        networks = ConvTrunk(channels, used, features), ConvDecoder(latents, channels, used, features, offset)
        return SequentialVAE(*networks, read, *SWITCHES[model], resampled, shuffled)


def _brightness(data: "Data") -> float:
    """Mean over pixels and 2,000 random images, off 0 and 1, where there is no logit."""
    import numpy as np

    index = np.random.default_rng(0).integers(0, len(data), 2000)
    return min(max(float(data.batch(index).x.mean()), 1e-3), 1 - 1e-3)


def _images(source: str, folder: str | None, size: Side, count: int | None) -> "list[Data]":
    """The parts for training, validation and testing; only one of a grid, which is all there is."""
    from unbraid.data import CIFAR10, SPLITS, CelebA, Chairs, ImageFolder, ProceduralChairs, Teapots

    named = {
        "teapots": lambda split: Teapots(split, TEAPOTS if count is None else count, _drawn(size)),
        "procedural-chairs": lambda split: ProceduralChairs(size=_drawn(size)),
        "rendered-chairs": lambda split: Chairs(split, size, folder=folder),
        "celeba": lambda split: CelebA(split, size=size, folder=folder),
        "cifar10": lambda split: CIFAR10(split, folder),
    }
    if source not in named and not Path(source).exists():
        raise ValueError(f"expected one of {', '.join(named)}, or the path of images, got '{source}'")
    if count is not None and source != "teapots":
        raise ValueError(f"expected no count for {source}, which has as many images as there are, got {count}")
    opened = named.get(source, lambda split: ImageFolder(source, size, levels=(), split=split))
    splits = ("train",) if source == "procedural-chairs" else SPLITS
    parts = [opened(split) for split in splits]
    if parts[0].shape[1] != size:
        raise ValueError(f"expected size {parts[0].shape[1]} for {source}, whose images have it, got {size}")
    return parts


def _drawn(size: Side) -> Literal[64, 32]:
    if size == 16:
        raise ValueError("expected size 64 or 32 for images that are drawn, got 16")
    return size
