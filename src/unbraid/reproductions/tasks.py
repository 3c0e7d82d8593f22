"""The data of the SR-VAE paper, and how they are learned at each scale. Source: its tables 1 and 2, section 5."""

from unbraid.reproductions.experiment import Size, Task
from unbraid.sweeps import Judging

FACTORS = "factor_vae,mig,sap,dci,squared_error,negative_log_likelihood,kl_per_latent,active_units"
FOLLOWED = "factor_vae,squared_error,active_units"
TINY = {"size": 16, "widths": [2, 2], "features": 8, "latents": 2}
SMALL = {"size": 32, "widths": [16, 32, 64], "features": 128, "latents": 6}
MOMENTS = {"steps": 6, "batch_size": 8, "learning_rate": 1e-3, "snapshots": 3, "validate_every": 6, "log_every": 2}
HOUR = {"steps": 3000, "learning_rate": 1e-3, "snapshots": 250, "validate_every": 1000}
WEEKS = {"steps": 300_000, "snapshots": 10_000, "validate_every": 10_000}
SHORTER = (
    "images of 32 instead of 64 pixels, 6 instead of 10 latents, narrower networks (16, 32, 64 channels, 128 "
    "features), 3,000 instead of 300,000 updates at a learning rate of 1e-3 instead of 1e-4"
)
SMOKE = "smoke test: sees in seconds that everything runs, and shows nothing"

SHAPES = Task(
    "2D Shape",
    "sprites",
    {
        "smoke": Size(TINY, MOMENTS, Judging("factor_vae,mig,squared_error", 200, FOLLOWED, (), 100), 1, SMOKE),
        "laptop": Size(SMALL, HOUR, Judging(FACTORS, 25_000, FOLLOWED, (), 3000), 3, SHORTER),
        "paper": Size({}, WEEKS, Judging(FACTORS, 25_000, FOLLOWED, (), 25_000), 30, points=30),
    },
)
TEAPOTS = Task(
    "Teapots",
    "sequential",
    {
        "smoke": Size(
            {"source": "teapots", "count": 200, **TINY, "size": 32, "widths": [2, 2, 2]},
            MOMENTS,
            Judging("dci,squared_error", 200),
            1,
            SMOKE,
        ),
        "laptop": Size(
            {"source": "teapots", "count": 20_000, **SMALL},
            {**HOUR, "snapshots": 1500},
            Judging("dci,mig,squared_error,kl_per_latent,active_units"),
            3,
            f"20,000 instead of 200,000 images; {SHORTER.replace('1e-4', '1e-5')}",
        ),
        "paper": Size(
            {"source": "teapots"}, {**WEEKS, "learning_rate": 1e-5}, Judging("dci,mig,squared_error,active_units"), 30
        ),
    },
)
CHAIRS = Task(
    "Chairs",
    "sequential",
    {
        "smoke": Size(
            {"source": "procedural-chairs", **TINY, "size": 32, "widths": [2, 2, 2]},
            MOMENTS,
            Judging("squared_error", 200),
            1,
            SMOKE,
        ),
        "laptop": Size(
            {"source": "procedural-chairs", **SMALL, "latents": 8},
            HOUR,
            Judging("factor_vae,mig,squared_error,kl_per_latent,active_units", 10_000),
            1,
            "drawn chairs instead of the 3D Chairs of Aubry et al.; " + SHORTER.replace("6 instead", "8 instead"),
        ),
        "paper": Size({"source": "rendered-chairs"}, WEEKS, Judging("squared_error,active_units"), 30),
    },
)
FACES = Task(
    "CelebA",
    "sequential",
    {
        "smoke": Size(
            {"source": "celeba", **TINY, "size": 32, "widths": [2, 2, 2]},
            MOMENTS,
            Judging("squared_error", 200),
            1,
            SMOKE,
        ),
        "laptop": Size(
            {"source": "celeba", "size": 32, "widths": [32, 32, 64], "features": 256, "latents": 16},
            {**HOUR, "steps": 2000, "snapshots": 1000},
            Judging("squared_error,negative_log_likelihood,kl_per_latent,active_units"),
            1,
            "images of 32 instead of 64 pixels (so a quarter of the coordinates that an error sums over), 16 instead "
            "of 32 latents, narrower networks, 2,000 updates at a learning rate of 1e-3 instead of 1e-4",
        ),
        "paper": Size(
            {"source": "celeba", "latents": 32}, WEEKS, Judging("squared_error,negative_log_likelihood,active_units"), 3
        ),
    },
)
