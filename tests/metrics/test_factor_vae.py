"""The FactorVAE metric against a literal reading of its definition, one vote at a time."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unbraid.metrics import (
    FACTOR_VAE_DLIB,
    FACTOR_VAE_INFOGAN_CR,
    FactorVAEProtocol,
    factor_vae,
    grid_codes,
    lazy_codes,
    row_codes,
)
from unbraid.metrics.factor_vae import _variances

SPRITES = (3, 6, 40, 32, 32)
SPREADS = np.sqrt((np.array(SPRITES) ** 2 - 1) / 12)


def mixed(seed: int, amount: float = 0.7):
    matrix = np.eye(5) + amount * np.random.default_rng(seed).uniform(-1, 1, (5, 5))
    return lambda factors: factors / SPREADS @ matrix


def one_vote_at_a_time(codes_of, sizes, protocol, seed):
    rng = np.random.default_rng(seed)

    def draw(count):
        return np.array([[rng.integers(size) for size in sizes] for _ in range(count)])

    everything = codes_of(draw(protocol.samples))
    variances = everything.var(axis=0, ddof=1)
    kept = [d for d in range(len(variances)) if np.sqrt(variances[d]) >= protocol.prune]

    def vote():
        factor = int(rng.integers(len(sizes)))
        factors = draw(protocol.batch)
        factors[:, factor] = factors[0, factor]
        codes = codes_of(factors)
        ratios = [codes[:, d].var(ddof=1) / variances[d] for d in kept]
        return ratios.index(min(ratios)), factor

    table = np.zeros((len(kept), len(sizes)))
    for _ in range(protocol.train_votes):
        table[vote()] += 1
    rule = table.argmax(axis=1)
    held_out = [vote() for _ in range(protocol.test_votes)]
    return sum(rule[latent] == factor for latent, factor in held_out) / len(held_out)


@pytest.mark.parametrize("seed", [1, 2])
def test_agrees_with_the_literal_definition(seed):
    protocol = FactorVAEProtocol(batch=8, train_votes=600, test_votes=600, samples=1500)
    codes_of = mixed(seed)
    ours = factor_vae(lazy_codes(codes_of, SPRITES), protocol)
    literal = one_vote_at_a_time(codes_of, SPRITES, protocol, seed)
    assert ours.interval is not None
    deviation = (ours.interval[1] - ours.interval[0]) / (2 * 1.96)
    assert abs(ours.value - literal) < 4 * np.sqrt(2) * deviation


@pytest.mark.parametrize("held_out", [400, 0])
def test_agrees_exactly_on_the_same_draws(held_out):
    protocol = FactorVAEProtocol(batch=16, train_votes=700, test_votes=held_out, samples=1000)
    codes_of, draws = mixed(2), []

    def recorded(factors):
        draws.append(factors.copy())
        return codes_of(factors)

    result = factor_vae(lazy_codes(recorded, SPRITES), protocol)
    variances = codes_of(draws[0]).var(axis=0, ddof=1)
    table, hits = np.zeros((5, 5)), 0
    votes = np.concatenate(draws[1:]).reshape(-1, 16, 5)
    fixed = [int(np.flatnonzero((vote == vote[0]).all(axis=0))[0]) for vote in votes]
    latents = [int((codes_of(vote).var(axis=0, ddof=1) / variances).argmin()) for vote in votes]
    for latent, factor in zip(latents[:700], fixed[:700], strict=True):
        table[latent, factor] += 1
    counted = slice(700, None) if held_out else slice(None)
    for latent, factor in zip(latents[counted], fixed[counted], strict=True):
        hits += table[latent].argmax() == factor
    assert result.detail["votes"] == table.tolist()
    assert result.value == hits / len(fixed[counted])


def test_draws_are_uniform():
    draws = []

    def recorded(factors):
        draws.append(factors.copy())
        return factors.astype(float)

    factor_vae(lazy_codes(recorded, (3, 4, 5)), FactorVAEProtocol(batch=32, train_votes=1500, test_votes=1500))
    votes = np.concatenate(draws[1:]).reshape(-1, 32, 3)
    constant = (votes == votes[:, :1]).all(axis=1)
    assert (constant.sum(axis=1) == 1).all()
    np.testing.assert_allclose(constant.mean(axis=0), 1 / 3, atol=0.04)
    for factor, size in enumerate((3, 4, 5)):
        for values in (votes[~constant[:, factor], :, factor], votes[constant[:, factor], 0, factor]):
            np.testing.assert_allclose(np.bincount(values.ravel()) / values.size, 1 / size, atol=0.06)


@pytest.mark.parametrize("protocol", [FACTOR_VAE_DLIB, FACTOR_VAE_INFOGAN_CR], ids=lambda p: p.name)
def test_perfect_and_permuted_codes_reach_the_ceiling(protocol):
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 1, 3]):
        result = factor_vae(lazy_codes(lambda factors, order=order: factors[:, order], SPRITES), protocol)
        assert result.value == result.ceiling == 1
        assert result.detail["factor_of_active"] == order
        assert result.protocol == protocol.name


def test_protocols_have_the_published_sizes():
    assert (
        FACTOR_VAE_DLIB.batch,
        FACTOR_VAE_DLIB.train_votes,
        FACTOR_VAE_DLIB.test_votes,
        FACTOR_VAE_DLIB.samples,
        FACTOR_VAE_DLIB.prune,
    ) == (
        64,
        10_000,
        5_000,
        10_000,
        0.05,
    )
    assert (FACTOR_VAE_INFOGAN_CR.batch, FACTOR_VAE_INFOGAN_CR.train_votes, FACTOR_VAE_INFOGAN_CR.test_votes) == (
        100,
        500,
        0,
    )
    assert FactorVAEProtocol(batch=32).name == "custom"


@pytest.mark.parametrize("prune", [0.05, 0.0])
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_constant_dimensions_never_vote(prune, constant):
    def codes_of(factors):
        return np.hstack([np.full((len(factors), 5), constant), factors.astype(float)])

    result = factor_vae(lazy_codes(codes_of, SPRITES), FactorVAEProtocol(16, 200, 100, 500, prune))
    assert result.value == 1
    assert result.detail["active"] == [5, 6, 7, 8, 9]


def test_pruning_is_by_standard_deviation():
    scales = np.array([0.049, 0.051, 1, 1, 1]) / SPREADS
    result = factor_vae(lazy_codes(lambda factors: factors * scales, SPRITES), FactorVAEProtocol(16, 200, 100))
    assert result.detail["active"] == [1, 2, 3, 4]


def test_a_fully_pruned_code_scores_zero_and_says_why():
    result = factor_vae(lazy_codes(lambda factors: 0.001 * factors / SPREADS, SPRITES))
    assert (result.value, result.chance) == (0, 0.2)
    assert "standard deviation of at least 0.05" in str(result.detail["note"])


def test_larger_batches_score_the_same_code_higher():
    values = [
        factor_vae(lazy_codes(mixed(1), SPRITES), FactorVAEProtocol(L, 3000, 3000)).value for L in (8, 32, 64, 100, 200)
    ]
    assert values == sorted(values)
    assert values[-1] - values[0] > 0.1


def test_codes_of_noise_are_at_chance():
    sizes = (4, 6, 8, 10)
    noise = np.random.default_rng(0).normal(size=(int(np.prod(sizes)), 6))
    result = factor_vae(grid_codes(noise, sizes))
    assert result.chance == pytest.approx(0.25, abs=0.02)
    assert result.value == pytest.approx(result.chance, abs=0.04)


def test_training_accuracy_has_a_higher_chance_level():
    noise = grid_codes(np.random.default_rng(0).normal(size=(1920, 10)), (4, 6, 8, 10))
    result = factor_vae(noise, FACTOR_VAE_INFOGAN_CR)
    assert result.chance is not None
    assert result.chance > 0.27
    assert result.value == result.detail["train_accuracy"]


def test_a_factor_with_one_value_is_never_fixed():
    result = factor_vae(lazy_codes(lambda factors: factors, (4, 1, 5)), FactorVAEProtocol(16, 300, 200))
    assert result.value == result.ceiling == 1
    assert np.array(result.detail["votes"])[:, 1].sum() == 0


def test_grid_rows_and_function_agree():
    sizes = (3, 6, 8, 8)
    grid = np.stack(np.unravel_index(np.arange(1152), sizes), axis=1)
    spreads = np.sqrt((np.array(sizes) ** 2 - 1) / 12)
    matrix = np.eye(4) + 0.7 * np.random.default_rng(0).uniform(-1, 1, (4, 4))
    order = np.random.default_rng(1).permutation(1152)
    results = [
        factor_vae(source)
        for source in (
            grid_codes(grid / spreads @ matrix, sizes),
            row_codes((grid / spreads @ matrix)[order], grid[order]),
            lazy_codes(lambda factors: factors / spreads @ matrix, sizes),
        )
    ]
    assert results[0].value < 0.97
    assert results[0].interval is not None
    deviation = (results[0].interval[1] - results[0].interval[0]) / (2 * 1.96)
    for result in results[1:]:
        assert abs(result.value - results[0].value) < 4 * np.sqrt(2) * deviation


CODES = np.random.default_rng(2).normal(size=(120, 4)) + np.stack(np.unravel_index(np.arange(120), (4, 5, 6)), 1) @ (
    np.random.default_rng(3).normal(size=(3, 4))
)
FEW = FactorVAEProtocol(batch=16, train_votes=200, test_votes=100, samples=1000)


@given(
    order=st.permutations(range(4)),
    signs=st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4),
    scales=st.lists(st.floats(0.5, 1e6), min_size=4, max_size=4),
    shifts=st.lists(st.floats(-100, 100), min_size=4, max_size=4),
    dead=st.floats(-1e6, 1e6),
)
@settings(max_examples=25)
def test_order_sign_scale_shift_and_dead_dimensions_change_nothing(order, signs, scales, shifts, dead):
    expected = factor_vae(grid_codes(CODES, (4, 5, 6)), FEW)
    changed = (CODES * signs * scales + shifts)[:, order]
    result = factor_vae(grid_codes(np.hstack([changed, np.full((120, 1), dead)]), (4, 5, 6)), FEW)
    assert (result.value, result.chance, result.ceiling) == (expected.value, expected.chance, expected.ceiling)


def test_repeating_every_dimension_changes_nothing():
    twice = factor_vae(grid_codes(np.hstack([CODES, CODES]), (4, 5, 6)), FEW)
    assert twice.value == factor_vae(grid_codes(CODES, (4, 5, 6)), FEW).value


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_variances_do_not_cancel(offset):
    drawn = np.random.default_rng(0).normal(size=(7, 16, 3)) * [1, 1e-3, 0] + offset
    np.testing.assert_allclose(_variances(drawn), drawn.var(axis=1, ddof=1), rtol=1e-6, atol=1e-18)
    assert (_variances(drawn)[:, 2] == 0).all()


def test_votes_are_drawn_in_bulk():
    calls = []
    codes_of = mixed(0)

    def counted(factors):
        calls.append(len(factors))
        return codes_of(factors)

    start = time.perf_counter()
    factor_vae(lazy_codes(counted, SPRITES))
    assert time.perf_counter() - start < 30  # 0.2 s on one core; room for a busy machine
    assert sum(calls) == 10_000 + 15_000 * 64
    assert max(calls) <= 500 * 64


@pytest.mark.parametrize(
    "fields", [{"batch": 1}, {"train_votes": 0}, {"test_votes": -1}, {"samples": 1}, {"prune": -0.1}]
)
def test_impossible_protocols_are_refused(fields):
    with pytest.raises(ValueError, match=f"expected {next(iter(fields))} of at least"):
        FactorVAEProtocol(**fields)
