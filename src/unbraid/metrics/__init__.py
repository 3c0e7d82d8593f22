"""Named numbers from arrays and plain callables, so that anyone's representation can be scored."""

from unbraid.metrics.alignment import ALIGNED, ALIGNED_PER_IMAGE, RAW, Alignment, aligned
from unbraid.metrics.canonical import canonical_correlation
from unbraid.metrics.clustering import clustering
from unbraid.metrics.factor_vae import DLIB, INFOGAN_CR, FactorVAEProtocol, factor_vae, grid_codes
from unbraid.metrics.features import FeatureTable, explained_features, feature_table
from unbraid.metrics.latents import active_units, kl_per_latent
from unbraid.metrics.leakage import (
    FOREST,
    LOGISTIC,
    NEIGHBOURS,
    NEIGHBOURS_REGRESSION,
    RIDGE,
    Probe,
    population_leakage,
    regression_leakage,
)
from unbraid.metrics.reconstruction import (
    negative_log_likelihood,
    pixel_correlation,
    psnr,
    squared_error,
    ssim,
)
from unbraid.metrics.result import Result

__all__ = [
    "ALIGNED",
    "ALIGNED_PER_IMAGE",
    "DLIB",
    "FOREST",
    "INFOGAN_CR",
    "LOGISTIC",
    "NEIGHBOURS",
    "NEIGHBOURS_REGRESSION",
    "RAW",
    "RIDGE",
    "Alignment",
    "FactorVAEProtocol",
    "FeatureTable",
    "Probe",
    "Result",
    "active_units",
    "aligned",
    "canonical_correlation",
    "clustering",
    "explained_features",
    "factor_vae",
    "feature_table",
    "grid_codes",
    "kl_per_latent",
    "negative_log_likelihood",
    "pixel_correlation",
    "population_leakage",
    "psnr",
    "regression_leakage",
    "squared_error",
    "ssim",
]
