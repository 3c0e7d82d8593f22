"""The metrics of codes beside the factors of their observations, ready to be called."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from unbraid.metrics import (
    DCI_DLIB,
    DCI_QEDR_LASSO,
    DCI_QEDR_RF,
    FACTOR_VAE_DLIB,
    FACTOR_VAE_INFOGAN_CR,
    MIG_DLIB,
    MIG_LAFORGE,
    SAP_DLIB,
    SAP_DLIB_CONTINUOUS,
    DCIForest,
    Result,
    Source,
    beta_vae,
    dci,
    dci_es,
    explicitness,
    factor_vae,
    gaussian_total_correlation,
    info_mec,
    irs,
    mig,
    modularity,
    row_codes,
    sap,
)

Metric = partial[Result] | partial[dict[str, Result]]
Codes = Float[np.ndarray, "n latent"]
Factors = Int[np.ndarray, "n factor"]


def row_suite(codes: Codes, factors: Factors, test_from: int | None, seed: int) -> list[Metric]:
    """Every metric for rows as they are; votes are drawn among rows that share a value of a factor."""
    source = partial(row_codes, codes[:test_from], factors[:test_from])
    return vote_suite(source, seed) + table_suite(codes, factors, test_from, seed)


def vote_suite(source: Callable[[], Source], seed: int) -> list[Metric]:
    """Metrics that vote; `source` is called by each, since what it refuses is the metric's refusal."""
    return [
        *(
            partial(_voting(factor_vae), source, protocol, seed=seed)
            for protocol in (FACTOR_VAE_DLIB, FACTOR_VAE_INFOGAN_CR)
        ),
        partial(_voting(beta_vae), source, seed=seed),
    ]


def table_suite(codes: Codes, factors: Factors, test_from: int | None, seed: int) -> list[Metric]:
    """Metrics of a table of codes and factors, the quick ones first.

    Those that fit nothing see the rows before `test_from`, as disentanglement_lib's do, or all if it is None.
    """
    fitted = (codes[:test_from], factors[:test_from])
    return [
        *(partial(mig, *fitted, protocol, seed=seed) for protocol in (MIG_DLIB, MIG_LAFORGE)),
        *(partial(sap, codes, factors, test_from, protocol, seed=seed) for protocol in (SAP_DLIB, SAP_DLIB_CONTINUOUS)),
        partial(modularity, *fitted, seed=seed),
        partial(explicitness, codes, factors, test_from, seed=seed),
        partial(irs, *fitted, seed=seed),
        partial(gaussian_total_correlation, fitted[0], seed=seed),
        partial(info_mec, *fitted, seed=seed),
        *(partial(dci, codes, factors, test_from, one, seed=seed) for one in (DCI_QEDR_LASSO, DCI_QEDR_RF, DCI_DLIB)),
        partial(dci_es, codes, factors, test_from, seed=seed),
    ]


def real_suite(
    codes: Codes, factors: Float[np.ndarray, "n factor"], test_from: int, forest: DCIForest, seed: int
) -> list[Metric]:
    """Metrics of a table of codes and factors that are real numbers."""
    regressions = (DCI_QEDR_LASSO, forest)
    return [
        partial(gaussian_total_correlation, codes[:test_from], seed=seed),
        *(partial(dci, codes, factors, test_from, one, seed=seed) for one in regressions),
    ]


def _voting(metric: Callable[..., Result]) -> Callable[..., Result]:
    """The same metric, taking how to make its source."""

    @wraps(metric)
    def voting(source: Callable[[], Source], *settings: Any, **named: Any) -> Result:
        return metric(source(), *settings, **named)

    return voting
