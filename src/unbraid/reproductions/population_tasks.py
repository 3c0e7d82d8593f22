"""The data of the CPVAE paper, and how they are learned at each scale. Source: its section 4.

What it leaves open is ours: trunk of 32, 64, 128 channels, decoders of 64, 32, the initial variance of the recipe, and
batches of 60 or 100; 75 epochs at the scale of the paper, since an annealed alpha reaches 1,000 in 73.
"""

from dataclasses import replace

from unbraid.recipes.draws import Draws
from unbraid.reproductions.experiment import Scale, Size, Task
from unbraid.sweeps import Judging

TINY = {"shared": 3, "private": 2, "trunk_widths": [2, 2, 4], "decoder_widths": [2, 2]}
MOMENTS = {"steps": 6, "batch_size": 20, "learning_rate": 1e-3, "validate_every": 6, "log_every": 2}
SMOKE = "smoke test: sees in seconds that everything runs, and shows nothing"
BOUND = "squared_error,negative_elbo,active_units,kl_per_latent"
PROBES = "clustering,population_leakage,class_probe,private_information"
PARTS = f"{PROBES},psnr,ssim,pixel_correlation,evidence,{BOUND}"
FACE_PARTS = f"population_leakage,{BOUND}"
CLASSES = f"evidence_classification,bound_classification,divergence_classification,evidence,{BOUND}"
# refined, since under mutual information the encoder's private posterior is far from the true one
PARTED = Judging(PARTS, draws=Draws(pairs=False, observations=200, refine=300))
ALL = Draws(samples=32, observations=10_000)
SOME = Draws(samples=32, observations=2000)
FEW = Draws(samples=4, observations=20)
EPOCHS = 20  # of the laptop scale


def _training(images: int, epochs: int, batch_size: int) -> dict[str, object]:
    steps = images * epochs // batch_size
    return {"steps": steps, "batch_size": batch_size, "learning_rate": 1e-3, "validate_every": max(1, steps // 20)}


GRASSY = {"source": "grassy-mnist", "shared": 100, "private": 25}
GRASS = "the grass is not ImageNet's: drawn, unless textures are given"
DIGITS = {str(digit): [str(digit)] for digit in range(10)}
NARROW = {"trunk_widths": [16, 32, 64], "decoder_widths": [32, 16]}


def _two(name: str, options: dict[str, object], differs: str) -> Task:
    """Digits 0-4 and 5-9 over grass."""
    return Task(
        name,
        "images",
        {
            "smoke": Size({**GRASSY, **TINY}, MOMENTS, Judging(PARTS, 200, draws=replace(FEW, refine=3)), 1, SMOKE),
            "laptop": Size(options, _training(55_000, EPOCHS, 60), PARTED, 3, differs, images=55_000),
            "paper": Size(options, _training(55_000, 75, 60), PARTED, 10, differs),
        },
    )


TWO_GRASSY = _two("Grassy-MNIST", GRASSY, GRASS)
# a step takes .4 of the time, for what goes beyond the paper
NARROW_GRASSY = _two(
    "Grassy-MNIST, narrow networks", {**GRASSY, **NARROW}, f"networks of half the channels of table 1's; {GRASS}"
)


def _ten(name: str, options: dict[str, object], images: int, differs: str = "") -> Task:
    """One population a class, to be told apart by evidence."""
    own = f"{differs}; " if differs else ""
    return Task(
        name,
        "images",
        {
            "smoke": Size({**options, **TINY}, MOMENTS, Judging(CLASSES, 200, draws=FEW), 1, SMOKE),
            "laptop": Size(
                options,
                _training(images, EPOCHS, 100),
                Judging(CLASSES, draws=SOME),
                1,
                f"{own}accuracy on 2,000 test images",
                images=images,
            ),
            "paper": Size(options, _training(images, 75, 100), Judging(CLASSES, draws=ALL), 3, differs),
        },
    )


MOVED = {"translate": 0.1}
MNIST = _ten("MNIST", {"source": "mnist", "shared": 2, "private": 5, **MOVED}, 55_000)
MNIST_GRASS = _ten(
    "MNIST-Grass",
    {"source": "grassy-mnist", "groups": DIGITS, "shared": 30, "private": 5, **MOVED},
    55_000,
    GRASS,
)
CIFAR = _ten("CIFAR-10", {"source": "cifar10", "shared": 10, "private": 20, **MOVED}, 45_000)
TOGETHER, ARRIVING = ("sunflower", "daisy"), ("iris", "daffodil", "pansy")
LATENTS = {"shared", "private", "trunk_widths", "decoder_widths"}
NETWORKS: dict[Scale, tuple[dict[str, object], str]] = {
    "smoke": ({"widths": [2, 2]}, SMOKE),
    "laptop": ({}, "ResNet-8 with 16, 32, 64 channels instead of ResNet-50, 20 epochs instead of 500"),
    "paper": ({"blocks": 3}, "ResNet-20 with 16, 32, 64 channels instead of ResNet-50, 75 epochs instead of 500"),
}


def _classified(task: Task) -> Task:
    """The same images for a network that is trained to tell them apart, and nothing else."""
    sizes: dict[Scale, Size] = {}
    for scale, (network, differs) in NETWORKS.items():
        size = task.sizes[scale]
        options = {name: value for name, value in size.options.items() if name not in LATENTS}
        judging = replace(size.judging, metrics="classification,calibration_error")
        sizes[scale] = replace(size, options={**options, **network}, judging=judging, differs=differs)
    return Task(f"{task.name}, classified", "classify", sizes)


FLOWERS = {"source": "flowers", "groups": {name: [name] for name in TOGETHER}}
SIXTY = {"shared": 30, "private": 30}  # of the VAE, which has one block of both
REMEMBERED = f"population_leakage,{BOUND}"


def _flowers(size: int, first: int, then: int, seeds: int, differs: str) -> Size:
    training = {"batch_size": 16, "log_every": 20}
    return Size(
        {**FLOWERS, "size": size, "shared": 10, "private": 10},
        {**training, "steps": first, "validate_every": first // 10, "learning_rate": 1e-3},
        Judging(REMEMBERED),
        seeds,
        differs,
        later={
            "source": "flowers",
            "training": {**training, "steps": then, "validate_every": then // 10, "learning_rate": 1e-4},
        },
    )


TRICKLE = {**MOMENTS, "batch_size": 8}
ONE_BY_ONE = Task(
    "17 Flowers, one after the other",
    "images",
    {
        "smoke": Size(
            {**FLOWERS, "size": 16, **TINY},
            TRICKLE,
            Judging(REMEMBERED, 24),
            1,
            SMOKE,
            later={"source": "flowers", "training": TRICKLE},
        ),
        "laptop": _flowers(48, 2000, 1000, 3, "48 pixels; 2,000 updates of 16 images, then 1,000 for each flower"),
        "paper": _flowers(
            64, 20_000, 10_000, 10, "size of the images and updates are ours, since the paper gives none"
        ),
    },
    ARRIVING,
)
MNIST_CLASSIFIED, GRASS_CLASSIFIED, CIFAR_CLASSIFIED = map(_classified, (MNIST, MNIST_GRASS, CIFAR))
FACES = Task(
    "CelebA by the male attribute",
    "images",
    {
        "smoke": Size(
            {"source": "celeba", "size": 32, **TINY},
            MOMENTS,
            Judging(FACE_PARTS, 100),
            1,
            SMOKE,
        ),
        "laptop": Size(
            {"source": "celeba", "size": 64, "shared": 50, "private": 20},
            _training(7000, 40, 60),
            Judging(FACE_PARTS),
            1,
            "updates for the first 10,000 photographs, of which 7,000 are learned from (on all of CelebA they are two "
            "epochs, and alpha hardly grows); sizes of the latents are ours, since the paper gives none",
            images=7000,
        ),
        "paper": Size(
            {"source": "celeba", "size": 64, "shared": 50, "private": 20},
            _training(162_770, 75, 60),
            Judging(FACE_PARTS),
            1,
            "sizes of the latents are ours, since the paper gives none",
        ),
    },
)
