"""Run folders as training and evaluation write them, filled with pictures of real digits and made-up codes."""

from functools import cache

import numpy as np
import pytest
from sklearn.datasets import load_digits

from unbraid.report import report
from unbraid.runs import Run

HOSTILE = "<script>alert('x')</script> \"&amp; $\\alpha$ --> </svg>"


def record(name, kind, **arguments):
    def part(qualified, **values):
        return {"class": qualified, "arguments": values}

    return {
        "name": name,
        "seed": 0,
        "arguments": {"steps": 2000, "seed": 0, **arguments},
        "command": f"unbraid train --name {name}",
        "model": part(f"unbraid.models.{kind}", latent=8, encoder=part("unbraid.nets.mlp.MLP", width=64)),
        "objective": part("unbraid.objectives.elbo.ELBO", beta=1.0),
        "data": part("unbraid.data.arrays.Digits"),
        "notes": ["The skip makes x' a function of x: this is no bound on log p(x)."],
        "steps": 2000,
    }


def log(run, extra):
    generator = np.random.default_rng(0)
    for step in range(50, 2001, 50):
        loss = 200 * np.exp(-step / 300) + 60
        noisy = {name: value * generator.uniform(0.95, 1.05) for name, value in extra.items()}
        line = {"step": step, "epoch": step // 100, "seconds": step / 50, "loss": loss, "reconstruction": loss - 12}
        run.log({"split": "train", **line, "loss": loss + generator.normal(), **noisy})
        if step % 500 == 0:
            run.log({"split": "valid", **line, "elbo": -loss - 2})
    run.set_status("finished", 2000, 75.3)


def result(metric, value, **more):
    return {
        "metric": metric,
        "value": value,
        "protocol": "dlib",
        "parameters": {"votes": 10_000, "L": 64},
        "chance": 0.2,
        "ceiling": 1.0,
        "interval": [value - 0.03, value + 0.02],
        "seed": 0,
        "detail": {"pruned": 2, "per_factor": [0.1, 0.2]},
        **more,
    }


def pictures():
    images, labels = map(np.asarray, load_digits(return_X_y=True))
    return np.kron(images.reshape(-1, 8, 8) / 16, np.ones((1, 4, 4)))[:, None].astype(np.float32), labels


def sequential_arrays():
    generator, (images, _) = np.random.default_rng(0), pictures()
    factors = generator.integers(0, 5, (400, 4))
    codes = np.concatenate([factors + generator.normal(0, 0.4, (400, 4)), generator.normal(0, 0.02, (400, 4))], axis=1)
    mixed = 0.7 * images[:8] + 0.3 * images[8:16]
    return {
        "original": images[:8],
        "reconstruction": mixed,
        "decoder_only": 0.6 * mixed,
        "traversal": np.stack([np.linspace(0, 1, 7)[:, None, None, None] * image for image in images[:8]]),
        "traversal_values": np.linspace(-3, 3, 7),
        "traversal_original": images[20],
        "step_latents": np.array([1, 4]),
        "step_value": np.array(3.0),
        "step_outputs": generator.normal(0, 1, (2, 8, 1, 1, 1)) * 4 * (images[:16].reshape(2, 8, 1, 32, 32) - 0.4),
        "step_residuals": 3 * (images[16:32].reshape(2, 8, 1, 32, 32) - 0.5),
        "kl_per_latent": np.array([2.5, 3.1, 0.0, 0.6, 0.01, 1.2, 0.0, 0.0]),
        "codes": codes.astype(np.float32),
        "factors": factors,
        "factor_names": np.array(["shape", "scale", "position x", "position y"]),
    }


def population_arrays(blocks):
    generator, (images, labels) = np.random.default_rng(0), pictures()
    images, labels = images[:300], labels[:300]
    population, grass = (labels > 4).astype(np.int64), generator.random((300, 1, 32, 32)).astype(np.float32)
    centres = generator.normal(0, 2, (10, 5))
    private = np.stack([centres[labels] + generator.normal(0, 1, (300, 5)) for _ in range(2)], axis=1)
    arrays = {
        "population_names": np.array(["digits 0-4", "digits 5-9"]),
        "population": population[:20],
        "labels": labels[:20],
        "original": (0.4 * images + 0.6 * grass)[:20],
        "full": (0.35 * images + 0.3)[:20],
        "codes_shared": generator.normal(0, 1, (300, 12)),
        "codes_population": population,
        "codes_labels": labels,
        "kl_shared": np.linspace(1.4, 0.01, 12),
    }
    if not blocks:
        return arrays
    return arrays | {
        "private_only": (images - 0.2)[:20],
        "shared_only": (0.6 * grass)[:20],
        "clean": images[:20],
        "background": grass[:20],
        "transfer": np.stack([images[:20], images[40:60]], axis=1),
        "samples_prior": generator.random((2, 8, 1, 32, 32)),
        "samples_aggregate": images[:16].reshape(2, 8, 1, 32, 32),
        "codes_private": private,
        "tsne_private": private[:, 0, :2] * 10,
        "tsne_population": population,
        "tsne_labels": labels,
        "kl_private": np.array([[2.0, 1.5, 0.3, 0.0, 0.0], [1.0, 0.9, 0.2, 0.1, 0.0]]),
    }


def evaluate(run, kind, results, arrays):
    run.save_evaluation({"results": results, "seconds": 12.5, "kind": kind}, arrays)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """One folder a kind of run, by name; not to be written to."""
    root = tmp_path_factory.mktemp("runs")

    sequential = Run.create(root / "sequential", record("SR-VAE on digits", "sequential.SequentialVAE"))
    log(sequential, {"kl/z": 12.0})
    scores = [result("FactorVAE metric", 0.86), result("MIG", 0.4, chance=0.0, ceiling=0.9, interval=None)]
    evaluate(sequential, "sequential", [*scores, result("IRS", float("nan"), interval=None)], sequential_arrays())

    cpvae = Run.create(root / "cpvae", record("CPVAE, alpha 1", "population.CrossPopulationVAE", alpha=1.0))
    log(cpvae, {"kl/shared": 3.0, "kl/private": 9.0, "kl/other": 0.5, "alpha": 1.0})
    where = ["private code, digits 0-4", "shared code, digits 0-4"]
    scores = [
        result("ARI", value, subject=subject, chance=0.0) for subject, value in zip(where, (0.23, 0.05), strict=True)
    ]
    evaluate(cpvae, "population", scores, population_arrays(blocks=True))

    baseline = Run.create(root / "baseline", record("VAE baseline", "vae.VAE", latent=60))
    log(baseline, {"kl/shared": 15.0})
    evaluate(
        baseline,
        "population",
        [result("ARI", 0.19, subject=where[1], chance=0.0)],
        population_arrays(blocks=False),
    )

    hostile = Run.create(root / "hostile", record(HOSTILE, HOSTILE))
    log(hostile, {f"kl/{HOSTILE}": 1.0})
    hostile.set_status("failed", 10, 1.0, HOSTILE)
    arrays = population_arrays(blocks=True) | {"population_names": np.array([HOSTILE, "数字 $x$"])}
    everywhere = result(HOSTILE, 0.5, protocol=HOSTILE, subject=HOSTILE, detail=HOSTILE, parameters={HOSTILE: HOSTILE})
    evaluate(hostile, "population", [everywhere], arrays)

    curves = Run.create(root / "curves", record("training", "vae.VAE"))
    log(curves, {"kl/z": 5.0})
    curves.set_status("running", 2000, 75.3)

    Run.create(root / "untrained", record("untrained", "vae.VAE"))
    return {folder.name: folder for folder in root.iterdir()}


@pytest.fixture(scope="session")
def page(folders, tmp_path_factory):
    """The path of the page of some runs, by their names; made once."""
    root = tmp_path_factory.mktemp("pages")

    @cache
    def made(*names):
        return report([folders[name] for name in names], root / "-".join(names) / "report.html")

    return made
