"""The main job in one call: both papers' models, trained, judged and shown."""

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from unbraid.recipes import Recipe, evaluate, grassy, sprites
from unbraid.recipes.existing import ensure
from unbraid.report import report
from unbraid.settings import Training

if TYPE_CHECKING:
    from unbraid.runs import Run

LOGGER = logging.getLogger("unbraid")
# updates of SR-VAE and of the two models of grassy digits; images; codes
SCALES = {"full": (2400, 9000, 10_000, 50_000), "smoke": (4, 4, 300, 500)}


def demo(out: Path = Path("build/demo"), scale: Literal["full", "smoke"] = "full", seed: int = 0) -> Path:
    """Train SR-VAE on sprites and CPVAE and a VAE on grassy digits, evaluate them, and write a report.

    Smaller and easier than the papers. SR-VAE: images of 32 instead of 64 pixels, 6 instead of 10 latents, narrower
    networks, a learning rate of 1e-3 instead of 1e-4. CPVAE: 8 + 8 instead of 100 + 25 latents, digits of brightness
    0.5 instead of 0.25, alpha growing by 5% instead of 10% an epoch, a learning rate of 2e-3 instead of 1e-3. Takes
    about ten minutes on two cores. What an earlier call finished is kept, what it began is resumed.

    Args:
        out: folder for the runs and `report.html`.
        scale: full, or smoke to see in seconds that everything runs (and shows nothing).
        seed: of everything random.

    Raises:
        ValueError: `out` holds runs with other arguments.
    """
    began = time.monotonic()
    sprite_steps, digit_steps, images, codes = SCALES[scale]
    slow = Training(sprite_steps, learning_rate=1e-3, seed=seed, validate_every=200)
    fast = Training(digit_steps, batch_size=32, learning_rate=2e-3, seed=seed, validate_every=500)
    digits = {"shared": 8, "private": 8, "count": images, "amplitude": 0.5}
    digits |= {"trunk_widths": (16, 32, 64), "decoder_widths": (32, 16), "training": fast}
    shapes = {"latents": 6, "size": 32, "widths": (16, 32, 64), "features": 128, "training": slow}
    plans: dict[str, tuple[Recipe[...], dict[str, Any]]] = {
        "sr-vae": (sprites, {"model": "sr-vae", **shapes}),
        "cpvae": (grassy, {"model": "cpvae", "rate": 1.05, **digits}),
        "vae": (grassy, {"model": "vae", **digits}),
    }
    runs = []
    for number, (name, (recipe, options)) in enumerate(plans.items(), start=1):
        LOGGER.info("%d of %d: %s", number, len(plans), name)
        runs.append(ensure(recipe, out / name, options))
        if runs[-1].evaluation() is None:
            LOGGER.info("%d of %d: judging %s", number, len(plans), name)
            evaluate(out / name, max_codes=codes, seed=seed)
    page = report([run.path for run in runs], out / "report.html")
    for line in summary(*runs):
        LOGGER.info(line)
    LOGGER.info("Done in %.1f minutes.", (time.monotonic() - began) / 60)
    return page.resolve()


def summary(sr_vae: "Run", cpvae: "Run", vae: "Run") -> list[str]:
    """What the demo shows, in figures, the VAE beside CPVAE."""
    value = _values(sr_vae)
    lines = [
        "SR-VAE on reconstructed dSprites:",
        f"  FactorVAE metric (dlib) {value['z block', 'factor_vae']:.3f}, "
        f"active latents {value['z block', 'active_units']:.0f}",
        "Grassy digits, k-means ARI (mean of both populations):",
    ]
    for name, run, spaces in (("CPVAE", cpvae, ("private", "shared")), ("VAE", vae, ("z",))):
        value = _values(run)
        for space in spaces:
            scores = {subject: score for (subject, metric), score in value.items() if metric == "clustering_ari"}
            found = [score for subject, score in scores.items() if subject.startswith(f"{space} ")]
            lines.append(f"  {name} {'whole' if space == 'z' else space} code {sum(found) / len(found):.3f}")
    return lines


def _values(run: "Run") -> dict[tuple[str, str], float]:
    evaluation = run.evaluation()
    assert evaluation is not None
    # of several protocols the first
    return {(each["subject"], each["metric"]): each["value"] for each in reversed(evaluation["results"])}
