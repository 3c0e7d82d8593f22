"""What every metric promises; a new one joins with one line in METRICS."""

import inspect
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
import pytest
from jaxtyping import config

from unbraid import metrics
from unbraid.metrics import BetaVAEProtocol, DCIBoosting, ExplicitnessCurve, FactorVAEProtocol, Result

SIZES = (4, 5, 6)
CELLS = 120
FACTORS = np.stack(np.unravel_index(np.arange(CELLS), SIZES), axis=1)
FEW = FactorVAEProtocol(batch=16, train_votes=200, test_votes=100, samples=1000)


@dataclass(frozen=True)
class Case:
    """How to call a metric, and arrays to call it with; `beside` goes with `main` sample by sample."""

    call: Callable[..., Result | dict[str, Result]]
    main: np.ndarray
    beside: np.ndarray | None = None
    codes: bool = True

    def __call__(self, seed: int = 0) -> list[Result]:
        arrays = [self.main] if self.beside is None else [self.main, self.beside]
        results = self.call(*arrays, seed)
        return [results] if isinstance(results, Result) else list(results.values())


def codes() -> np.ndarray:
    """Five dimensions: two factors with noise, one mixed, and (the fourth) one nearly dead, one of noise."""
    rng = np.random.default_rng(0)
    values = FACTORS @ np.array([[1, 0, 0.5, 0, 0], [0, 1, 0.5, 0, 0], [0, 0, 0.5, 0, 0]])
    return values + rng.normal(size=(CELLS, 5)) * [0.3, 0.3, 0.3, 1e-4, 1]


def pictures(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((6, 1, 12, 14))


BOOSTED, CURVE = DCIBoosting(stages=3, bins=16), ExplicitnessCurve(features=(4, 16))
PAIRS = BetaVAEProtocol(batch=8, train_points=200, test_points=100)
WEIGHTS, OF = np.random.default_rng(0).normal(size=(12, 3, 20)), np.arange(12) % 3


def used(codes: np.ndarray) -> np.ndarray:
    return np.ones(codes.shape[-1])  # nats: every latent


def beside_factors(metric: Callable[..., Result | dict[str, Result]], *settings: object) -> Case:
    return Case(lambda codes, factors, seed: metric(codes, factors, *settings, seed=seed), codes(), FACTORS)


METRICS = {
    "beta_vae": Case(lambda codes, seed: metrics.beta_vae(metrics.grid_codes(codes, SIZES), PAIRS, seed), codes()),
    "mig": beside_factors(metrics.mig),
    "sap": beside_factors(metrics.sap),
    "modularity": beside_factors(metrics.modularity),
    "explicitness": beside_factors(metrics.explicitness),
    "irs": beside_factors(metrics.irs),
    "info_mec": beside_factors(metrics.info_mec),
    "dci": beside_factors(metrics.dci, None, BOOSTED),
    "dci_es": beside_factors(metrics.dci_es, None, CURVE),
    "gaussian_total_correlation": Case(
        lambda codes, seed: metrics.gaussian_total_correlation(codes, seed=seed), codes()
    ),
    "udr": Case(
        lambda a, b, seed: metrics.udr({"a": a, "b": b}, {"a": used(a), "b": used(b)}, seed=seed),
        codes(),
        codes()[:, ::-1] + 0.1,
    ),
    "code_agreement": Case(lambda a, b, seed: metrics.code_agreement(a, b, seed=seed), codes(), codes()[:, ::-1] + 0.1),
    "evidence": Case(lambda w, p, seed: metrics.evidence(w, p), WEIGHTS, OF, codes=False),
    "evidence_classification": Case(lambda w, p, seed: metrics.evidence_classification(w, p), WEIGHTS, OF, codes=False),
    "classification": Case(lambda w, p, seed: metrics.classification(w, p), WEIGHTS[..., 0], OF, codes=False),
    "calibration_error": Case(lambda w, p, seed: metrics.calibration_error(w, p), WEIGHTS[..., 0], OF, codes=False),
    "transfer_accuracy": Case(lambda w, p, seed: metrics.transfer_accuracy(w, p), WEIGHTS[..., :3], OF, codes=False),
    "transfer_change": Case(lambda w, p, seed: metrics.transfer_change(w, p), WEIGHTS, OF, codes=False),
    "private_information": Case(
        lambda m, p, seed: metrics.private_information(m, np.zeros_like(m), p, seed=seed), WEIGHTS, OF, codes=False
    ),
    "factor_vae": Case(lambda codes, seed: metrics.factor_vae(metrics.grid_codes(codes, SIZES), FEW, seed), codes()),
    "clustering": Case(lambda codes, labels, seed: metrics.clustering(codes, labels, seed), codes(), FACTORS[:, 0]),
    "population_leakage": Case(
        lambda codes, population, seed: metrics.population_leakage(codes, population, shuffles=3, seed=seed),
        codes(),
        FACTORS[:, 0],
    ),
    "regression_leakage": Case(
        lambda codes, factors, seed: metrics.regression_leakage(codes, factors, shuffles=3, seed=seed),
        codes(),
        FACTORS.astype(float),
    ),
    "canonical_correlation": Case(metrics.canonical_correlation, codes(), FACTORS.astype(float)),
    "active_units": Case(lambda means, seed: metrics.active_units(means), codes()),
    "kl_per_latent": Case(lambda kl, seed: metrics.kl_per_latent(kl), codes() ** 2),
    "explained_features": Case(
        lambda a, b, seed: metrics.explained_features(a, b, seed=seed), codes(), codes()[::-1].copy(), codes=False
    ),
    "variance_explained": Case(
        lambda a, b, seed: metrics.variance_explained(a, b, seed=seed), codes() ** 2, codes()[::-1] ** 2, codes=False
    ),
    "rank_stability": Case(lambda values, seed: metrics.rank_stability(values, 10), codes().T, codes=False),
    "squared_error": Case(lambda a, b, seed: metrics.squared_error(a, b), pictures(0), pictures(1), codes=False),
    "output_drift": Case(lambda a, b, seed: metrics.output_drift(a, b), pictures(0), pictures(1), codes=False),
    "forgetting": Case(
        lambda a, b, seed: metrics.forgetting(a, b, "squared_error"),
        pictures(0)[:, 0, 0, 0],
        pictures(1)[:, 0, 0, 0],
        codes=False,
    ),
    "psnr": Case(lambda a, b, seed: metrics.psnr(a, b, 1.0), pictures(0), pictures(1), codes=False),
    "ssim": Case(lambda a, b, seed: metrics.ssim(a, b, 1.0), pictures(0), pictures(1), codes=False),
    "pixel_correlation": Case(
        lambda a, b, seed: metrics.pixel_correlation(a, b), pictures(0), pictures(1), codes=False
    ),
    "negative_log_likelihood": Case(
        lambda log, seed: metrics.negative_log_likelihood(log, "bernoulli"), -pictures(0)[:, 0, 0, 0], codes=False
    ),
}
every = pytest.mark.parametrize("case", METRICS.values(), ids=METRICS)
of_codes = pytest.mark.parametrize(
    "case", [c for c in METRICS.values() if c.codes], ids=[n for n, c in METRICS.items() if c.codes]
)
with_companion = pytest.mark.parametrize(
    "case",
    [c for c in METRICS.values() if c.beside is not None],
    ids=[n for n, c in METRICS.items() if c.beside is not None],
)


@pytest.fixture
def as_a_user(request):
    """Users run without checked shapes, so that errors must come from the metric itself."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", before)


def test_no_public_metric_escapes_this_suite():
    public = {name: getattr(metrics, name) for name in metrics.__all__}
    results = (Result, dict[str, Result])
    found = {
        name
        for name, member in public.items()
        if inspect.isfunction(member) and inspect.signature(member).return_annotation in results
    }
    assert found == set(METRICS)


def test_public_surface_is_what_the_package_holds():
    present = {n for n, v in vars(metrics).items() if not n.startswith("_") and not isinstance(v, ModuleType)}
    assert present == set(metrics.__all__)


@every
def test_results_are_named_finite_and_complete(case):
    for result in case():
        assert result.metric
        assert result.protocol
        assert math.isfinite(result.value)
        assert str(result).startswith(f"{result.metric} [{result.protocol}")
        assert "\n" not in str(result)
        if result.interval is not None:
            assert result.interval[0] <= result.value <= result.interval[1]
        if result.ceiling is not None and result.chance is not None:
            assert result.ceiling != result.chance


@every
def test_results_survive_json(case):
    for result in case():
        assert Result.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False))) == result


@every
def test_same_seed_same_result(case):
    np.random.seed(1)  # noqa: NPY002  a metric must neither read nor advance the global state
    first, state = case(seed=3), str(np.random.get_state())  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert case(seed=3) == first
    np.random.seed(1)  # noqa: NPY002
    assert str(np.random.get_state()) == state  # noqa: NPY002


@every
def test_arrays_are_left_unchanged(case):
    main, beside = case.main.copy(), None if case.beside is None else case.beside.copy()
    replace(case, main=main, beside=beside)()
    np.testing.assert_array_equal(main, case.main)
    if beside is not None:
        np.testing.assert_array_equal(beside, case.beside)


@every
def test_single_precision_is_accepted(case):
    for single, double in zip(replace(case, main=case.main.astype(np.float32))(), case(), strict=True):
        assert single.value == pytest.approx(double.value, abs=0.05, rel=1e-3)


@every
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(case, bad, as_a_user):
    main = case.main.copy()
    main.flat[3] = bad
    with pytest.raises(ValueError, match=r"expected finite .* NaN or infinite"):
        replace(case, main=main)()


@every
@pytest.mark.parametrize("change", [lambda a: a[:0], lambda a: a[:1]], ids=["empty", "one"])
def test_too_few_samples_are_refused(case, change, as_a_user):
    beside = None if case.beside is None else change(case.beside)
    with pytest.raises(ValueError, match="expected"):
        replace(case, main=change(case.main), beside=beside)()


@every
def test_wrong_dimensions_are_refused(case, as_a_user):
    wrong = case.main[:, None] if case.main.ndim == 1 else case.main.reshape(len(case.main), -1)[:, 0]
    beside = case.beside if case.codes or case.beside is None else wrong
    with pytest.raises(ValueError, match=r"expected .* got shape \("):
        replace(case, main=wrong, beside=beside)()


@of_codes
def test_codes_without_dimensions_are_refused(case, as_a_user):
    with pytest.raises(ValueError, match="and 1 column"):
        replace(case, main=case.main[:, :0])()


@every
def test_text_is_refused(case, as_a_user):
    with pytest.raises(ValueError, match=r"expected .* as real numbers, got <U"):
        replace(case, main=case.main.astype(str))()


@with_companion
def test_mismatched_lengths_are_refused(case, as_a_user):
    with pytest.raises(ValueError, match="expected"):
        replace(case, beside=case.beside[:-1])()


def test_mismatched_grid_is_refused(as_a_user):
    with pytest.raises(ValueError, match="expected as many codes as cells of the grid, got 119 and 120"):
        metrics.grid_codes(codes()[:-1], SIZES)


@of_codes
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_dimension_changes_nothing(case, value):
    dead = np.full((CELLS, 1), value if case is not METRICS["kl_per_latent"] else 0.0)
    for with_dead, without in zip(replace(case, main=np.hstack([dead, case.main]))(), case(), strict=True):
        if without.metric == "dci_completeness":  # counts it as a dimension, as the paper and the reference do
            continue
        assert with_dead.value == pytest.approx(without.value, abs=0.02)


@of_codes
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_an_all_constant_code_knows_nothing(case, value):
    for result in replace(case, main=np.full((CELLS, 3), value))():
        assert math.isfinite(result.value)
        if result.chance is not None:
            assert result.value <= result.chance + 0.05
