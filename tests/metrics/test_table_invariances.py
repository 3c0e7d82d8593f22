"""What a change of the codes that means nothing does to every metric of codes beside factors: nothing, where stated."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unbraid.metrics.explicitness import explicitness
from unbraid.metrics.irs import irs
from unbraid.metrics.mig import MIG_LAFORGE, mig
from unbraid.metrics.modularity import modularity
from unbraid.metrics.result import Result
from unbraid.metrics.sap import SAP_DLIB_CONTINUOUS, sap
from unbraid.metrics.total_correlation import gaussian_total_correlation

TRAIN, ROWS = 160, 240


@dataclass(frozen=True)
class Case:
    """How to call it, and whether it sees the scale of each dimension, or of all of them together."""

    score: Callable[[np.ndarray, np.ndarray, int], Result]
    each_scale: bool = True
    common_scale: bool = True
    shift: bool = True
    tolerance: float = 1e-9

    def call(self, codes: np.ndarray, factors: np.ndarray, train: int = TRAIN) -> Result:
        return self.score(codes, factors, train)


CASES = {
    "mig": Case(lambda codes, factors, _: mig(codes, factors)),
    "mig laforge": Case(lambda codes, factors, _: mig(codes, factors, MIG_LAFORGE)),
    "modularity": Case(lambda codes, factors, _: modularity(codes, factors)),
    "explicitness": Case(explicitness, tolerance=2e-3),
    "irs": Case(lambda codes, factors, _: irs(codes, factors), each_scale=False),
    "sap": Case(sap, each_scale=False, common_scale=False, shift=False),
    "sap continuous": Case(lambda codes, factors, train: sap(codes, factors, train, SAP_DLIB_CONTINUOUS)),
    "total correlation": Case(lambda codes, factors, _: gaussian_total_correlation(codes)),
}
every = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
seeds = st.integers(0, 10_000)
few = settings(max_examples=4)


def example(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two noisy factors, a mixture and noise."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, (3, 4, 6), (ROWS, 3))
    codes = np.stack([factors[:, 0], factors[:, 1], factors.sum(axis=1), np.zeros(ROWS)], axis=1)
    return codes + rng.normal(size=codes.shape) * 0.4, factors


@every
@few
@given(seeds, st.permutations(range(4)), st.lists(st.sampled_from([-1.0, 1.0]), min_size=4, max_size=4))
def test_order_and_sign_do_not_matter(case, seed, order, signs):
    codes, factors = example(seed)
    changed = (codes * signs)[:, order]
    assert case.call(changed, factors).value == pytest.approx(case.call(codes, factors).value, abs=case.tolerance)


@every
@few
@given(seeds, st.lists(st.floats(0.01, 100), min_size=4, max_size=4), st.floats(-50, 50))
def test_scale_and_shift_do_not_matter_where_stated(case, seed, scales, shift):
    codes, factors = example(seed)
    scale = np.array(scales) if case.each_scale else scales[0] if case.common_scale else 1.0
    changed = codes * scale + (shift if case.shift else 0.0)
    assert case.call(changed, factors).value == pytest.approx(case.call(codes, factors).value, abs=case.tolerance)


@every
@few
@given(seeds, st.sampled_from([0.0, 0.1, -3.0, 1e6]), st.integers(0, 4))
def test_a_constant_dimension_changes_nothing(case, seed, value, place):
    codes, factors = example(seed)
    changed = np.insert(codes, place, value, axis=1)
    assert case.call(changed, factors).value == pytest.approx(case.call(codes, factors).value, abs=1e-12)


@every
@few
@given(seeds)
def test_a_constant_factor_and_other_names_of_values_change_nothing(case, seed):
    codes, factors = example(seed)
    changed = np.insert(7 * factors - 3, 1, 5, axis=1)
    assert case.call(codes, changed).value == pytest.approx(case.call(codes, factors).value, abs=1e-12)


@every
@few
@given(seeds)
def test_the_order_of_rows_does_not_matter(case, seed):
    codes, factors = example(seed)
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(TRAIN), TRAIN + rng.permutation(ROWS - TRAIN)])
    changed = case.call(codes[order], factors[order]).value
    assert changed == pytest.approx(case.call(codes, factors).value, abs=case.tolerance)


@every
@few
@given(seeds)
def test_a_perfect_code_reaches_the_ceiling(case, seed):
    _, factors = example(seed)
    result = case.call(factors.astype(float), factors)
    assert result.ceiling is not None
    assert result.value == pytest.approx(result.ceiling, abs=1e-12 if result.ceiling else 0.05)


@every
def test_noise_is_at_chance(case):
    rng = np.random.default_rng(0)
    found = [case.call(rng.normal(size=(ROWS, 4)), example(seed)[1]) for seed in range(8)]
    values, chances = [result.value for result in found], [result.chance for result in found]
    assert np.mean(values) == pytest.approx(np.mean(chances), abs=4 * np.std(values) / np.sqrt(8) + 1e-3)


@every
@pytest.mark.parametrize("kept", [0, 1])
def test_no_or_one_dimension_gives_a_number(case, kept):
    codes, factors = example(0)
    codes[:, kept:] = 0.1
    values = [case.call(codes, factors).value, case.call(codes[:, :1], factors[:, :1]).value]
    assert np.isfinite(values).all()
    assert min(values) >= 0
    assert max(values) <= 1 + 1e-12


@every
@few
@given(seeds)
def test_duplicated_and_rotated_codes_give_a_number(case, seed):
    codes, factors = example(seed)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))[0]
    for changed in (np.hstack([codes, codes]), codes @ rotation, codes[:, [0, 0]]):
        assert np.isfinite(case.call(changed, factors).value)


@every
def test_few_rows_give_a_number(case):
    codes, factors = example(0)
    assert np.isfinite(case.call(codes[:6], factors[:6], 3).value)
