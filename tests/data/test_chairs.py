"""Procedural chairs: every step of every factor can be seen, and no two chairs look the same."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from unbraid.data.chairs import ProceduralChairs

COARSE = (4, 2, 2, 2, 4, 2)
STEPS = (4, 5, 5, 5, 24, 4)


@pytest.fixture(scope="module")
def chairs() -> ProceduralChairs:
    return ProceduralChairs(COARSE)


def images(data: ProceduralChairs) -> np.ndarray:
    pixels = (255 * data.batch(np.arange(len(data))).x.numpy()).round().astype(np.int16)
    return pixels.reshape(*data.sizes, data.size, data.size)


def test_no_two_look_the_same(chairs: ProceduralChairs):
    assert len(np.unique(images(chairs).reshape(len(chairs), -1), axis=0)) == len(chairs)


def test_all_are_whole_and_in_the_middle(chairs: ProceduralChairs):
    border = np.ones((64, 64), bool)
    border[1:-1, 1:-1] = False
    assert (images(chairs)[..., border] == 255).all()
    assert (images(chairs)[..., 24:40, 24:40] < 255).any(axis=(-1, -2)).all()


@pytest.mark.parametrize("factor", range(1, 6))
def test_every_step_of_the_default_grid_can_be_seen(factor: int):
    sizes = [4, 1, 1, 1, 2, 2] if factor > 3 else [4, 2, 1, 2, 2, 2]
    sizes[factor] = STEPS[factor]
    seen = images(ProceduralChairs(sizes))
    change = np.abs(np.diff(seen, axis=factor))
    assert (change > 25).sum(axis=(-1, -2)).min() >= 4


def test_thinned_grid_has_its_images_from_the_same_ranges():
    thin, full = ProceduralChairs((2, 1, 2, 1, 4, 1)), ProceduralChairs((2, 3, 2, 3, 8, 3))
    factors = thin.factors(np.arange(len(thin)))
    assert torch.equal(thin.sample(factors), full.sample(factors * (1, 0, 1, 0, 2, 0) + (0, 1, 0, 1, 0, 1)))
    assert thin.values["back height"] == full.values["back height"]
    assert thin.values["azimuth"] == [0, 90, 180, 270]


def test_any_order_and_any_part_of_the_grid_is_rendered_alike(chairs: ProceduralChairs):
    index = np.random.default_rng(0).permutation(len(chairs))[:40]
    assert torch.equal(torch.from_numpy(chairs._draw(index)).float() / 255, chairs.batch(index).x)


def test_smaller_images_show_the_same():
    large, small = (ProceduralChairs((4, 1, 1, 1, 4, 1), size) for size in (64, 32))
    pooled = torch.nn.functional.avg_pool2d(large.batch(np.arange(16)).x, 2)
    assert small.shape == (1, 32, 32)
    assert (pooled - small.batch(np.arange(16)).x).abs().mean() < 0.01


def test_facts_and_memory(chairs: ProceduralChairs):
    assert chairs.facts()["styles"] == ["slatted", "swivel", "armchair", "windsor"]
    assert chairs.held == 0
    assert chairs.card is not None
    assert chairs.card.name == "procedural-chairs"


@pytest.mark.parametrize("sizes", [(5, 1, 1, 1, 1, 1), (1, 1, 1), (4, 2, 2, 2, 0, 2), ()])
def test_wrong_sizes_raise(sizes: Sequence[int]):
    with pytest.raises(ValueError, match="at most 4 styles"):
        ProceduralChairs(sizes)


@pytest.mark.usefixtures("as_a_user")
def test_wrong_pixels_raise():
    with pytest.raises(ValueError, match="size to be one of"):
        ProceduralChairs(COARSE, 48)  # type: ignore[arg-type]
