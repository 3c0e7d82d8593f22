"""What the experiments of the SR-VAE paper measure, and further metrics of codes."""

from unbraid.reproductions.experiment import Measure

SUM = "sum over pixels, mean over images"
OUTPUT = ("reconstruction", "output with the skip")
SCORE = Measure(
    "FactorVAE metric (dlib)",
    "factor_vae",
    "dlib",
    ("z block",),
    True,
    {"SR-VAE": 0.86, "beta-VAE": 0.72, "FactorVAE": 0.81},
)
SCORE_CR = Measure("FactorVAE metric (infogan-cr)", "factor_vae", "infogan-cr", ("z block",), True)
ERROR = Measure("squared error of the output", "squared_error", SUM, OUTPUT, False)
ALONE = Measure(
    "squared error of the decoder alone",
    "squared_error",
    SUM,
    ("reconstruction", "decoder alone, without the skip"),
    False,
)
MIG = Measure("MIG (dlib)", "mig", "dlib", ("z block",), True)
SAP = Measure("SAP (dlib)", "sap", "dlib", ("z block",), True)
ACTIVE_SHARED = Measure("latents of the shared code in use", "active_units", None, ("shared block",), True)
ACTIVE = Measure("latents in use", "active_units", None, ("z block",), True)
SECONDS = Measure("seconds of training", "seconds", None, (), False)
CELEBA_ERROR = Measure(
    ERROR.name, "squared_error", SUM, OUTPUT, False, {"beta-VAE": 300.0, "FactorVAE": 252.0, "SR-VAE": 158.0}
)


def dci(protocol: str) -> tuple[Measure, Measure, Measure]:
    """Disentanglement, completeness, informativeness under a protocol."""
    better = protocol == "dlib"
    return (
        Measure(f"disentanglement ({protocol})", "dci_disentanglement", protocol, ("z block",), True),
        Measure(f"completeness ({protocol})", "dci_completeness", protocol, ("z block",), True),
        Measure(
            f"informativeness ({protocol}, {'accuracy' if better else 'error'})",
            "dci_informativeness",
            protocol,
            ("z block",),
            better,
        ),
    )


DLIB, FOREST, LASSO = dci("dlib"), dci("qedr-rf"), dci("qedr-lasso")
