"""Names of everything that an evaluation can measure, as `--metrics` takes them."""

import difflib
from collections.abc import Callable, Sequence

GENERAL = ("squared_error", "negative_log_likelihood", "negative_elbo", "active_units", "kl_per_latent", "evidence")
FACTORS = (
    "factor_vae",
    "beta_vae",
    "mig",
    "sap",
    "modularity",
    "explicitness",
    "irs",
    "gaussian_total_correlation",
    "dci",
    "dci_es",
    "info_mec",
)
POPULATIONS = (
    "clustering",
    "population_leakage",
    "class_probe",
    "regression_leakage",
    "canonical_correlation",
    "psnr",
    "ssim",
    "pixel_correlation",
    "explained_features",
    "variance_explained",
    "evidence_classification",
    "bound_classification",
    "divergence_classification",
    "classification",
    "calibration_error",
    "private_information",
)
ALL = GENERAL + FACTORS + POPULATIONS
SLOW = frozenset({"dci"})  # tens of seconds on two cores
QUICK = "quick"  # what `standard` and `all` want beside names: what is quick though its name is among the slow


def chosen(metrics: str, known: Sequence[str] = ALL) -> Callable[[str], bool]:
    """Whether a metric of a given name is wanted.

    metrics: standard, all, or names of `known` with commas between.

    Raises:
        ValueError: a name is unknown.
    """
    if metrics == "all":
        return lambda name: True
    if metrics == "standard":
        return lambda name: name not in SLOW
    names = {name.strip().replace("-", "_") for name in metrics.strip(", ").split(",")}
    for name in sorted(names - set(known)):
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise ValueError(
            f"expected metrics 'standard', 'all' or names of {', '.join(known)}, got '{name}'"
            + (f"; did you mean {close[0]}?" if close else "")
        )
    return lambda name: name in names
