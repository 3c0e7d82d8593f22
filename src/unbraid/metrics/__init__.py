"""Named numbers from arrays and plain callables, so that anyone's representation can be scored."""

from unbraid.metrics.aggregation import Summary, paired_difference, summarise
from unbraid.metrics.agreement import code_agreement
from unbraid.metrics.alignment import ALIGNED, ALIGNED_PER_IMAGE, RAW, Alignment, aligned
from unbraid.metrics.beta_vae import BETA_VAE_DLIB, BETA_VAE_STANDARDISED, BetaVAEProtocol, beta_vae
from unbraid.metrics.canonical import canonical_correlation
from unbraid.metrics.classification import calibration_error, classification
from unbraid.metrics.clustering import clustering
from unbraid.metrics.dci import (
    DCI_DLIB,
    DCI_QEDR_LASSO,
    DCI_QEDR_RF,
    DCIBoosting,
    DCIForest,
    DCILasso,
    DCIProtocol,
    FactorFit,
    dci,
)
from unbraid.metrics.dci_es import FOURIER, ExplicitnessCurve, dci_es
from unbraid.metrics.evidence import evidence, evidence_classification
from unbraid.metrics.explicitness import EXPLICITNESS_DLIB, ExplicitnessProtocol, explicitness
from unbraid.metrics.factor_vae import FACTOR_VAE_DLIB, FACTOR_VAE_INFOGAN_CR, FactorVAEProtocol, factor_vae
from unbraid.metrics.features import FeatureTable, explained_features, feature_table
from unbraid.metrics.forgetting import forgetting, output_drift
from unbraid.metrics.importance import LogEvidence, PairedWeights, log_evidence
from unbraid.metrics.info_mec import INFO_MEC, INFO_MEC_DISCRETE, InfoMECProtocol, info_mec
from unbraid.metrics.irs import IRS_DLIB, IRSProtocol, irs
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
from unbraid.metrics.mig import MIG_DLIB, MIG_LAFORGE, MIGProtocol, mig
from unbraid.metrics.modularity import MODULARITY_DLIB, ModularityProtocol, modularity
from unbraid.metrics.null import permutation_null
from unbraid.metrics.private_information import private_information
from unbraid.metrics.reconstruction import negative_log_likelihood, pixel_correlation, psnr, squared_error, ssim
from unbraid.metrics.result import Result
from unbraid.metrics.sap import SAP_DLIB, SAP_DLIB_CONTINUOUS, SAPProtocol, sap
from unbraid.metrics.source import Source, continuous_codes, grid_codes, lazy_codes, row_codes
from unbraid.metrics.stability import rank_stability
from unbraid.metrics.total_correlation import gaussian_total_correlation
from unbraid.metrics.transfer import transfer_accuracy, transfer_change
from unbraid.metrics.udr import UDR_LASSO, UDR_SPEARMAN, UDRProtocol, udr
from unbraid.metrics.variance import (
    VarianceTable,
    deviances,
    moved,
    rescaled,
    squared_deviations,
    variance_explained,
    variance_table,
)

__all__ = [
    "ALIGNED",
    "ALIGNED_PER_IMAGE",
    "BETA_VAE_DLIB",
    "BETA_VAE_STANDARDISED",
    "DCI_DLIB",
    "DCI_QEDR_LASSO",
    "DCI_QEDR_RF",
    "EXPLICITNESS_DLIB",
    "FACTOR_VAE_DLIB",
    "FACTOR_VAE_INFOGAN_CR",
    "FOREST",
    "FOURIER",
    "INFO_MEC",
    "INFO_MEC_DISCRETE",
    "IRS_DLIB",
    "LOGISTIC",
    "MIG_DLIB",
    "MIG_LAFORGE",
    "MODULARITY_DLIB",
    "NEIGHBOURS",
    "NEIGHBOURS_REGRESSION",
    "RAW",
    "RIDGE",
    "SAP_DLIB",
    "SAP_DLIB_CONTINUOUS",
    "UDR_LASSO",
    "UDR_SPEARMAN",
    "Alignment",
    "BetaVAEProtocol",
    "DCIBoosting",
    "DCIForest",
    "DCILasso",
    "DCIProtocol",
    "ExplicitnessCurve",
    "ExplicitnessProtocol",
    "FactorFit",
    "FactorVAEProtocol",
    "FeatureTable",
    "IRSProtocol",
    "InfoMECProtocol",
    "LogEvidence",
    "MIGProtocol",
    "ModularityProtocol",
    "PairedWeights",
    "Probe",
    "Result",
    "SAPProtocol",
    "Source",
    "Summary",
    "UDRProtocol",
    "VarianceTable",
    "active_units",
    "aligned",
    "beta_vae",
    "calibration_error",
    "canonical_correlation",
    "classification",
    "clustering",
    "code_agreement",
    "continuous_codes",
    "dci",
    "dci_es",
    "deviances",
    "evidence",
    "evidence_classification",
    "explained_features",
    "explicitness",
    "factor_vae",
    "feature_table",
    "forgetting",
    "gaussian_total_correlation",
    "grid_codes",
    "info_mec",
    "irs",
    "kl_per_latent",
    "lazy_codes",
    "log_evidence",
    "mig",
    "modularity",
    "moved",
    "negative_log_likelihood",
    "output_drift",
    "paired_difference",
    "permutation_null",
    "pixel_correlation",
    "population_leakage",
    "private_information",
    "psnr",
    "rank_stability",
    "regression_leakage",
    "rescaled",
    "row_codes",
    "sap",
    "squared_deviations",
    "squared_error",
    "ssim",
    "summarise",
    "transfer_accuracy",
    "transfer_change",
    "udr",
    "variance_explained",
    "variance_table",
]
