"""Explicitness and size of codes whose values are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unbraid.metrics.dci_es import ExplicitnessCurve, dci_es

FACTORS = np.random.default_rng(0).integers(0, (3, 5, 6), size=(1200, 3))
EXPLICITNESS, SIZE = "dci_es_explicitness", "dci_es_size"


def explicitness(codes) -> float:
    return dci_es(codes, FACTORS, 800)[EXPLICITNESS].value


@settings(max_examples=10)
@given(st.integers(0, 1000), st.integers(3, 6))
def test_every_invertible_linear_code_is_explicit(seed, latents):
    mixing = np.linalg.qr(np.random.default_rng(seed).normal(size=(latents, latents)))[0][:3]
    result = dci_es(5 * FACTORS @ mixing - 2, FACTORS, 800)
    assert result[EXPLICITNESS].value == pytest.approx(result[EXPLICITNESS].ceiling, abs=0.01)
    assert result[SIZE].value == pytest.approx(3 / latents)


def test_noise_is_at_chance():
    result = dci_es(np.random.default_rng(1).normal(size=(1200, 4)), FACTORS, 800)[EXPLICITNESS]
    assert result.value == pytest.approx(-1, abs=0.05)
    assert result.value == pytest.approx(result.chance, abs=0.05)


def test_the_harder_to_unwind_the_less_explicit():
    wound = [np.hstack([np.cos(speed * FACTORS), np.sin(speed * FACTORS)]) for speed in (0.3, 2.0, 5.0)]
    found = [explicitness(codes) for codes in wound]
    assert found == sorted(found, reverse=True)
    assert found[0] - found[-1] > 0.2


@settings(max_examples=10)
@given(st.permutations(range(4)), st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4), st.integers(-3, 3))
def test_order_sign_scale_and_place_matter_little(order, signs, power):
    codes = np.hstack([np.tanh(FACTORS - 2.0), np.cos(FACTORS[:, :1] * FACTORS[:, 1:2])])
    changed = codes[:, order] * np.array(signs) * 10.0**power + 1
    assert explicitness(changed) == pytest.approx(explicitness(codes), abs=0.05)


def test_constant_dimensions_change_nothing():
    codes = np.tanh(FACTORS - 2.0)
    plain, dead = dci_es(codes, FACTORS, 800), dci_es(np.hstack([np.full((1200, 2), 0.1), codes]), FACTORS, 800)
    for name in (EXPLICITNESS, SIZE):
        assert dead[name].value == plain[name].value


def test_area_under_the_curve_is_the_definition():
    result = dci_es(np.cos(3 * FACTORS), FACTORS, 800, ExplicitnessCurve((0, 8, 64)))[EXPLICITNESS]
    least = np.minimum.accumulate(np.minimum(np.array(result.detail["curves"]), 1), axis=0)
    area = np.trapezoid(least, dx=0.5, axis=0)
    assert result.value == pytest.approx((1 - 2 * area).mean())


def test_an_all_constant_code():
    result = dci_es(np.full((1200, 2), 0.1), FACTORS, 800)
    assert result[EXPLICITNESS].value == pytest.approx(-1, abs=1e-2)
    assert result[SIZE].value == 0


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_nothing_is_ever_nan(seed):
    rng = np.random.default_rng(seed)
    codes = np.round(rng.normal(size=(8, 2)), 1) * rng.integers(0, 2, size=2)
    factors = rng.integers(0, 3, size=(8, 2))
    factors[:2] = [[0, 0], [1, 1]]
    for result in dci_es(codes, factors, 4, seed=seed).values():
        assert np.isfinite(result.value)
        assert result.value <= 1 or result.metric == SIZE


@pytest.mark.parametrize("fields", [{"features": (0,)}, {"features": (8, 4)}, {"features": (-1, 4)}, {"penalty": 0}])
def test_impossible_probes_are_refused(fields):
    with pytest.raises(ValueError, match="expected at least two growing numbers"):
        ExplicitnessCurve(**fields)
