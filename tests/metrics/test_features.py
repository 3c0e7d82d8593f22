"""Which features a part explains: known gains come back, chance keeps its level, tables agree with results."""

import numpy as np
import pytest

from unbraid.metrics.features import explained_features, feature_table


def gains(seed: int, effect: float = 0.0, count: int = 100, features: int = 300) -> np.ndarray:
    values = np.random.default_rng(seed).standard_t(4, size=(count, features)) * np.geomspace(0.01, 10, features)
    values[:, 5] += effect * np.geomspace(0.01, 10, features)[5]
    return values


def test_gain_is_the_mean_difference_with_its_interval():
    first, second = gains(0), gains(1)
    table = feature_table(first, second)
    np.testing.assert_allclose(table.nats, (first - second).mean(0))
    error = (first - second).std(0, ddof=1) / 10
    np.testing.assert_allclose(table.high - table.nats, 1.96 * error, rtol=1e-4)
    np.testing.assert_allclose(table.nats - table.low, 1.96 * error, rtol=1e-4)
    assert np.array_equal(np.sort(-table.nats), -table.nats[table.order()])


def test_without_an_effect_few_tables_have_a_feature_beyond_chance():
    beyond = [
        (lambda t: (t.nats > t.by_chance).any())(feature_table(gains(seed), 0 * gains(seed))) for seed in range(60)
    ]
    assert np.mean(beyond) < 0.15


def test_an_effect_on_a_feature_of_small_scale_is_beyond_chance():
    table = feature_table(gains(0, effect=1.0), np.zeros((100, 300)))
    assert np.flatnonzero(table.nats > table.by_chance).tolist() == [5]


def test_features_that_do_not_vary():
    gain = np.tile([0.0, 1.0, -1.0], (10, 1))
    table = feature_table(gain, np.zeros_like(gain))
    assert table.nats.tolist() == table.low.tolist() == [0, 1, -1]
    assert (table.nats > table.by_chance).tolist() == [False, True, False]


def test_the_result_lists_the_first_features_of_the_table():
    gain, zero = gains(2, effect=3.0), np.zeros((100, 300))
    names = [f"gene {k}" for k in range(300)]
    result, table = explained_features(gain, zero, names), feature_table(gain, zero)
    assert result.value == pytest.approx(gain.sum(1).mean())
    assert result.detail["features"] == [names[k] for k in table.order()[:20]]
    assert result.detail["nats"] == pytest.approx(table.nats[table.order()[:20]])
    assert result.detail["beyond_chance"] == 1
    assert result.interval is not None
    assert result.interval[0] < result.value < result.interval[1]


def test_shapes_and_names_must_agree(as_a_user):
    with pytest.raises(ValueError, match=r"one shape, got \(100, 300\) and \(100, 299\)"):
        feature_table(gains(0), gains(0)[:, 1:])
    with pytest.raises(ValueError, match="name for each of 300 features, got 1"):
        explained_features(gains(0), gains(0), ["one"])


def test_units_count_and_not_their_observations(as_a_user):
    gain, unit = gains(0, effect=1.0), np.arange(100) // 10
    table = feature_table(gain, 0 * gain, unit=unit)
    np.testing.assert_allclose(table.nats, gain.mean(0))
    of_units = gain.reshape(10, 10, -1).mean(1)
    error = of_units.std(0, ddof=1) / np.sqrt(10)
    np.testing.assert_allclose(table.high - table.nats, 2.262 * error, rtol=1e-3)  # Student's t of 9
    copied = feature_table(np.repeat(of_units, 10, 0), np.zeros_like(gain), unit=unit)
    np.testing.assert_allclose(copied.by_chance, table.by_chance)
    result = explained_features(gain, 0 * gain, unit=unit)
    assert result.parameters["units"] == 10
    assert result.interval is not None
    assert result.interval[0] < result.value < result.interval[1]
    with pytest.raises(ValueError, match="as many units as"):
        feature_table(gain, 0 * gain, unit=unit[1:])


@pytest.mark.parametrize("units", [2, 3, 4])
def test_of_four_units_or_fewer_nothing_is_beyond_chance(units: int):
    for seed in range(30):
        gain = np.random.default_rng(seed).normal(size=(units, 3)) + np.array([9.0, 0.0, 0.0])
        table = feature_table(gain, np.zeros_like(gain))
        assert not (table.nats > table.by_chance).any()


def test_of_seven_units_a_strong_feature_is():
    gain = np.random.default_rng(0).normal(size=(7, 3)) + np.array([9.0, 0.0, 0.0])
    table = feature_table(gain, np.zeros_like(gain))
    assert (table.nats > table.by_chance).tolist() == [True, False, False]
