"""Translation against a reference that moves one image at a time."""

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unbraid.configuration import build, describe
from unbraid.data import Translate

MODES: dict[str, Literal["edge", "reflect", "constant"]] = {"edge": "edge", "reflect": "reflect", "zero": "constant"}


def moved(image: np.ndarray, down: int, right: int, border: str) -> np.ndarray:
    """The image [channel, height, width] moved, by padding and cutting out."""
    most = 8
    padded = np.pad(image, ((0, 0), (most, most), (most, most)), mode=MODES[border])
    height, width = image.shape[1:]
    return padded[:, most - down : most - down + height, most - right : most - right + width]


def test_a_product_that_rounds_down_is_still_the_whole_number():
    x = torch.arange(100.0).expand(2000, 1, 1, 100)
    moved = Translate(0.29, "edge")(x, torch.Generator().manual_seed(0))
    assert 0.29 * 100 < 29
    assert moved[:, 0, 0, 0].max() == 29


@given(
    border=st.sampled_from(list(MODES)),
    sides=st.tuples(st.integers(9, 20), st.integers(9, 20)),
    channels=st.integers(1, 3),
    fraction=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 2**31),
)
def test_every_image_is_some_whole_shift_of_itself(border, sides, channels, fraction, seed):
    x = torch.rand(4, channels, *sides, generator=torch.Generator().manual_seed(0))
    out = Translate(fraction, border)(x, torch.Generator().manual_seed(seed))
    assert out.shape == x.shape
    down, right = (int(fraction * side) for side in sides)
    for image, new in zip(x.numpy(), out.numpy(), strict=True):
        shifts = [(dy, dx) for dy in range(-down, down + 1) for dx in range(-right, right + 1)]
        assert any(np.array_equal(new, moved(image, *shift, border)) for shift in shifts)


def test_all_shifts_occur_equally_often_and_stop_at_the_tenth():
    x = torch.zeros(20_000, 1, 28, 30)
    x[:, :, 14, 15] = 1
    out = Translate(0.1, "zero")(x, torch.Generator().manual_seed(0))
    place = out.flatten(1).argmax(1)
    down, right = place // 30 - 14, place % 30 - 15
    for shift, most in ((down, 2), (right, 3)):
        counts = torch.bincount(shift + most)
        assert len(counts) == 2 * most + 1
        assert (counts - 20_000 / len(counts)).abs().max() < 5 * (20_000 / len(counts)) ** 0.5


def test_the_same_seed_moves_alike_and_the_input_stays():
    x = torch.rand(8, 3, 16, 16)
    before = x.clone()
    one, two, other = (Translate(0.2)(x, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)
    assert torch.equal(x, before)


def test_vectors_and_wrong_settings_raise(as_a_user):
    with pytest.raises(ValueError, match="expected images"):
        Translate()(torch.rand(3, 5), torch.Generator())
    with pytest.raises(ValueError, match="below 1"):
        Translate(1.0)
    with pytest.raises(ValueError, match="edge, reflect or zero"):
        Translate(0.1, "wrap")  # type: ignore[arg-type]
    assert repr(build(describe(Translate(0.2, "zero")))) == "Translate(fraction=0.2, border='zero')"
