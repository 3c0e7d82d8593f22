"""Teapots: factors that are what they say, the gap of the authors' code, the same images however they are had."""

import logging

import numpy as np
import pytest
import torch

from unbraid.data import teapots
from unbraid.data._drawn.render import _axes, _dot
from unbraid.data.teapots import LARGEST, Teapots

COUNT = 300
EVERY = np.arange(COUNT * 8 // 10)


def one(**factors: float) -> torch.Tensor:
    """The image of a teapot, grey and from the side unless said otherwise."""
    values = {"azimuth": 1.0, "elevation": 0.5, "red": 0.5, "green": 0.5, "blue": 0.5, **factors}
    return Teapots(count=20).sample(np.array([[values[name] for name in Teapots.factor_names]]))[0]


def test_parts_are_consecutive_and_make_a_whole():
    parts = [Teapots(split, COUNT) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [240, 30, 30]
    together = np.concatenate([part.factors(np.arange(len(part))) for part in parts])
    assert np.array_equal(together, parts[0].sample_factors(COUNT, np.random.default_rng(0)))


def test_factors_fill_their_ranges_uniformly():
    factors = Teapots(count=20).sample_factors(20_000, np.random.default_rng(0)) / LARGEST
    assert factors.min() >= 0
    assert factors.max() <= 1
    assert np.abs(factors.mean(0) - 0.5).max() < 0.01
    assert np.abs(factors.std(0) - 12**-0.5).max() < 0.01
    assert np.abs(np.corrcoef(factors.T) - np.eye(5)).max() < 0.03


def test_rendered_anew_is_as_kept():
    data = Teapots(count=COUNT)
    index = np.random.default_rng(0).permutation(EVERY)[:50]
    assert torch.equal(data.sample(data.factors(index)), data.batch(index).x)


def test_fewer_are_the_first_of_more_and_another_seed_gives_others():
    few, more, other = Teapots(count=40), Teapots(count=COUNT), Teapots(count=40, seed=1)
    assert torch.equal(few.batch(np.arange(32)).x, more.batch(np.arange(32)).x)
    assert not np.isin(few.factors(np.arange(32)), other.factors(np.arange(32))).any()


def test_images_are_rendered_once(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "unbraid"):
        Teapots(count=37, seed=5)
        assert any("teapots" in line for line in caplog.messages)
        caplog.clear()
        Teapots("validation", count=37, seed=5, gap=True)
        assert not caplog.messages


def test_gap_is_left_out_of_every_part_and_is_the_zero_shot_part():
    def rows(split: teapots.TeapotSplit, gap: bool) -> set[tuple[float, ...]]:
        data = Teapots(split, COUNT, gap=gap)
        return {tuple(row) for row in data.factors(np.arange(len(data))).tolist()}

    left_out = rows("zero-shot", True)
    assert all(e > np.pi / 4 and r > g + 0.15 and r > b + 0.15 for _, e, r, g, b in left_out)
    for split in ("train", "validation", "test"):
        assert rows(split, True) == rows(split, False) - left_out
    assert 0.05 < len(left_out) / COUNT < 0.15
    data = Teapots("zero-shot", COUNT, gap=True)
    index = np.arange(len(data))
    assert torch.equal(data.sample(data.factors(index)), data.batch(index).x)


def test_gap_is_a_tenth_of_all():
    drawn = Teapots(count=20).sample_factors(200_000, np.random.default_rng(0))
    assert abs(teapots._in_gap(drawn).mean() - 0.85**3 / 6) < 0.002


def test_each_colour_brightens_its_channel_alone():
    for channel, name in enumerate(("red", "green", "blue")):
        dark, bright = (one(**{name: value}) for value in (0.2, 0.8))
        change = (bright - dark).amax(dim=(1, 2))
        assert change[channel] > 0.3
        assert change.sum() == change[channel]


def test_even_a_black_teapot_can_be_seen():
    black = one(red=0.0, green=0.0, blue=0.0)
    assert black.max() > 0.1
    assert not torch.equal(black, one(red=0.0, green=0.0, blue=0.0, azimuth=1.5))


def test_a_whole_turn_ends_where_it_began():
    assert (one(azimuth=0.0) - one(azimuth=2 * np.pi)).abs().max() <= 1 / 255
    assert (one(azimuth=0.0) - one(azimuth=np.pi)).abs().max() > 0.2


def test_the_whole_teapot_is_in_the_frame_from_every_side():
    mesh, camera = teapots._teapot(), teapots.CAMERA
    azimuth, elevation = np.meshgrid(np.linspace(0, 2 * np.pi, 60), np.linspace(0, np.pi / 2, 16))
    right, up, out = _axes(azimuth.reshape(-1, 1), elevation.reshape(-1, 1))
    place = (mesh.vertices - np.array(camera.centre)).T
    scale = camera.distance / (camera.distance - _dot(out, place)) / camera.reach
    for axis in (right, up):
        assert 0.9 < np.abs(scale * _dot(axis, place)).max() < 0.97


def test_smaller_images_show_the_same():
    large, small = Teapots(count=20), Teapots(count=20, size=32)
    assert small.shape == (3, 32, 32)
    pooled = torch.nn.functional.avg_pool2d(large.batch(np.arange(16)).x, 2)
    assert (pooled - small.batch(np.arange(16)).x).abs().mean() < 0.01


@pytest.mark.parametrize("name", Teapots.factor_names)
@pytest.mark.parametrize("value", [-0.1, 7.0, float("nan")])
def test_factors_out_of_range_raise(name: str, value: float):
    with pytest.raises(ValueError, match="from 0 to"):
        one(**{name: value})


@pytest.mark.usefixtures("as_a_user")
def test_wrong_arguments_raise():
    with pytest.raises(ValueError, match="one of train, validation, test, zero-shot, got 'all'"):
        Teapots("all", 20)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gap=True"):
        Teapots("zero-shot", 20)
    with pytest.raises(ValueError, match="size"):
        Teapots(count=20, size=48)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="columns"):
        Teapots(count=20).sample(np.zeros((1, 4)))
    for count in (-5, 0, 1):
        with pytest.raises(ValueError, match=f"validation split, got {count}"):
            Teapots("validation", count)


def test_facts_and_memory():
    data = Teapots(count=COUNT)
    assert data.facts()["images"] == 240
    assert data.held == 240 * 6 * 8
    assert data.card is not None
    assert data.card.name == "teapots"
