import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon

from unbraid.data import Sprites
from unbraid.data._drawn.outlines import PLACES, REACH, SCALES, TURNS, crossings, ellipse, heart, square

SHAPES = (square(), ellipse(), heart())


def images(index: np.ndarray, size: int = 64) -> np.ndarray:
    assert size in (64, 32, 16)
    return Sprites(size).batch(index).x[:, 0].numpy()


@pytest.mark.skipif("UNBRAID_TEST_DATA" not in os.environ, reason="UNBRAID_TEST_DATA names no folder with real data")
def test_images_agree_with_original_frames():
    frames = np.load(Path(os.environ["UNBRAID_TEST_DATA"]) / "dsprites-frames" / "frames.npz", allow_pickle=False)
    index = Sprites().index(frames["latents_classes"][:, 1:])  # the first class is the colour, always white
    wrong = (images(index) != frames["imgs"]).sum((1, 2))
    assert len(wrong) == 320
    assert (wrong == 0).sum() >= 310
    assert wrong.max() <= 3
    assert wrong.sum() <= 20


@given(st.integers(0, 737_279))
def test_pixels_are_on_where_their_centre_is_inside_the_outline(index: int):
    shape, scale, turn, x, y = Sprites().factors(np.array([index]))[0]
    angle = TURNS[turn]
    across, down = SCALES[scale] * SHAPES[shape].T
    corners = np.stack(
        [
            np.cos(angle) * across - np.sin(angle) * down + PLACES[x],
            np.sin(angle) * across + np.cos(angle) * down + PLACES[y],
        ],
        axis=1,
    )
    row, column = np.mgrid[:64, :64] + 0.5
    inside = Polygon(corners).contains_points(np.stack([column.ravel(), row.ravel()], axis=1))
    assert np.array_equal(images(np.array([index]))[0], inside.reshape(64, 64))


def test_outlines_stay_within_reach():
    assert max(np.linalg.norm(corners, axis=1).max() for corners in SHAPES) < REACH - 0.25


def test_crossings_come_in_rising_pairs():
    table = crossings()
    assert (table[..., 0] <= table[..., 1]).all()
    assert ((table[..., 2:] == 0).all(-1) | ((table[..., 1] <= table[..., 2]) & (table[..., 2] <= table[..., 3]))).all()
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0


def test_images_at_64_are_black_and_white():
    assert set(np.unique(images(np.arange(0, 737_280, 997)))) == {0.0, 1.0}


@pytest.mark.parametrize("size", [32, 16])
def test_smaller_images_are_block_averages(size: int):
    index = np.arange(0, 737_280, 9973)
    block = 64 // size
    means = images(index).reshape(-1, size, block, size, block).mean((2, 4))
    np.testing.assert_array_equal(images(index, size), means)


@pytest.mark.parametrize(("factor", "axis"), [(3, 2), (4, 1)])
def test_last_place_is_the_first_moved_by_32_pixels(factor: int, axis: int):
    factors = Sprites().sample_factors(200, np.random.default_rng(0))
    factors[:, factor] = 0
    start = images(Sprites().index(factors))
    factors[:, factor] = 31
    assert np.array_equal(np.roll(start, 32, axis=axis), images(Sprites().index(factors)))


def test_last_orientation_repeats_the_first():
    factors = Sprites().sample_factors(200, np.random.default_rng(0))
    factors[:, 2] = 0
    first = images(Sprites().index(factors))
    factors[:, 2] = 39
    assert np.abs(first - images(Sprites().index(factors))).sum((1, 2)).max() <= 2  # rounding on the edge


def test_larger_scales_cover_more():
    factors = np.repeat(Sprites().sample_factors(50, np.random.default_rng(0)), 6, axis=0)
    factors[:, 1] = np.tile(np.arange(6), 50)
    area = images(Sprites().index(factors)).sum((1, 2)).reshape(50, 6)
    assert (np.diff(area) > 0).all()


def test_other_sizes_raise():
    # TypeError: where annotations are checked, a wrong literal stops there already
    with pytest.raises((ValueError, TypeError), match="28"):
        Sprites(28)  # pyright: ignore[reportArgumentType]
