"""UDR against a literal reading of its definition, and models that agree or do not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn.linear_model import Lasso

from unbraid.metrics.udr import UDR_LASSO, UDR_SPEARMAN, UDRProtocol, udr

RNG = np.random.default_rng(0)
LATENTS = RNG.normal(size=(1500, 4))
TURN = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
MODELS = {
    "a": LATENTS,
    "b": np.stack([-LATENTS[:, 2], LATENTS[:, 0] + 0.5 * LATENTS[:, 1], LATENTS[:, 3]], axis=1),
    "c": np.hstack([LATENTS @ TURN, 0.01 * RNG.normal(size=(1500, 1))]),
}
KL = {"a": np.ones(4), "b": np.array([2.0, 0.5, 0.02]), "c": np.array([1, 1, 1, 1, 0.005])}
both = pytest.mark.parametrize("protocol", [UDR_LASSO, UDR_SPEARMAN], ids=lambda p: p.name)


def literal(codes, kl, spearman):
    """The definition, entry by entry."""

    def strength(similar):
        columns = [similar[:, k] for k in range(similar.shape[1])]
        return np.mean([column.max() ** 2 / column.sum() if column.sum() else 0 for column in columns])

    scores = {}
    for own in codes:
        pairs = []
        for other in codes:
            if other == own:
                continue
            a = codes[other][:, kl[other] > 0.01]
            b = codes[own][:, kl[own] > 0.01]
            a, b = ((z - z.mean(0)) / z.std(0) for z in (a, b))
            if spearman:
                similar = np.array([[abs(np.asarray(spearmanr(x, y))[0]) for y in b.T] for x in a.T])
            else:
                similar = np.abs(np.stack([Lasso(alpha=0.1).fit(a, y).coef_ for y in b.T], axis=1))
            pairs.append((strength(similar) + strength(similar.T)) / 2)
        scores[own] = np.median(pairs)
    return scores


@both
def test_agrees_with_the_literal_definition(protocol):
    found = udr(MODELS, KL, protocol)
    for name, value in literal(MODELS, KL, protocol is UDR_SPEARMAN).items():
        assert found[name].value == pytest.approx(value, abs=1e-4)
        assert found[name].protocol == protocol.name
    assert found["c"].detail["informative"] == [0, 1, 2, 3]


@both
def test_models_that_agree_reach_the_ceiling(protocol):
    same = {str(k): LATENTS[:, np.roll(range(4), k)] * (-1) ** k * (k + 1) for k in range(3)}
    for result in udr(same, {name: np.ones(4) for name in same}, protocol).values():
        assert result.ceiling == pytest.approx(1 - protocol.alpha, abs=0.1)  # ranks: less, by chance correlations
        assert result.value == pytest.approx(result.ceiling, abs=0.05)


@both
def test_models_that_have_nothing_in_common_are_at_chance(protocol):
    unrelated = {name: np.random.default_rng(k).normal(size=(1500, 4)) for k, name in enumerate("abc")}
    for result in udr(unrelated, {name: np.ones(4) for name in "abc"}, protocol).values():
        assert result.value == pytest.approx(result.chance, abs=0.01)
        assert result.value < 0.03


def test_the_model_that_is_not_like_the_others_ranks_last():
    models = {"0": LATENTS, "1": LATENTS, "2": LATENTS, "odd": LATENTS @ TURN}
    found = udr(models, {name: np.ones(4) for name in models})
    assert min(found, key=lambda name: found[name].value) == "odd"


@given(
    order=st.permutations(range(4)),
    signs=st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4),
    scales=st.lists(st.floats(1e-3, 1e3), min_size=4, max_size=4),
    shifts=st.lists(st.floats(-10, 10), min_size=4, max_size=4),
    dead=st.floats(-1e6, 1e6),
    protocol=st.sampled_from([UDR_LASSO, UDR_SPEARMAN]),
)
@settings(max_examples=20)
def test_order_sign_scale_shift_and_dead_latents_change_nothing(order, signs, scales, shifts, dead, protocol):
    changed = np.hstack([(LATENTS * signs * scales + shifts)[:, order], np.full((1500, 1), dead)])
    found = udr({**MODELS, "a": changed}, {**KL, "a": np.ones(5)}, protocol)
    for name, expected in udr(MODELS, KL, protocol).items():
        assert found[name].value == pytest.approx(expected.value, abs=2e-3)


@both
def test_repeated_latents_lower_the_score(protocol):
    twice = {name: np.hstack([LATENTS, LATENTS]) for name in "ab"}
    found = udr(twice, dict.fromkeys("ab", np.ones(8)), protocol)["a"]
    assert found.ceiling is not None
    assert found.value < 0.7 * found.ceiling


@both
def test_a_collapsed_model_scores_zero_and_says_why(protocol):
    found = udr(MODELS, {**KL, "a": np.zeros(4)}, protocol)
    assert found["a"].value == 0
    assert "no latent is informative" in str(found["a"].detail["note"])
    assert found["b"].detail["pairs"]["a"] == 0  # type: ignore[index]


def test_wrong_input_is_refused(as_a_user):
    with pytest.raises(ValueError, match="expected at least two models"):
        udr({"a": LATENTS}, {"a": KL["a"]})
    with pytest.raises(ValueError, match="of the same models"):
        udr(MODELS, {"a": KL["a"]})
    with pytest.raises(ValueError, match="expected as many codes of 'b' as codes of 'a', got 1499 and 1500"):
        udr({**MODELS, "b": MODELS["b"][1:]}, KL)
    with pytest.raises(ValueError, match="each of 4 latents of 'a'"):
        udr(MODELS, {**KL, "a": np.ones((1500, 4))})
    with pytest.raises(ValueError, match="expected finite codes of 'a'"):
        udr({**MODELS, "a": LATENTS * np.nan}, KL)


@pytest.mark.parametrize("fields", [{"alpha": -0.1}, {"alpha": 1.0}, {"informative": -1.0}])
def test_impossible_protocols_are_refused(fields):
    with pytest.raises(ValueError, match=f"expected {next(iter(fields))}"):
        UDRProtocol(**fields)
