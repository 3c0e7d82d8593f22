"""Data kept on the device: the same batches, bit for bit, in as few bits as hold them."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unbraid.data import Arrays, Data, Sprites, Translate
from unbraid.randomness import Purpose
from unbraid.settings import Training
from unbraid.training import resident as part
from unbraid.training.batches import Batches, Supply, Uploaded
from unbraid.training.resident import Packed, Resident, resident, room
from unbraid.types import Batch

CPU = torch.device("cpu")
SHADES = torch.arange(256, dtype=torch.float32) / 255
ODD = torch.tensor([0.0, -0.0, math.nan, math.inf, 1e-40, -1.5])


class Cells(Data):
    """Counts of which most are 0, with their totals, in two populations."""

    shape, populations = (13,), ("a", "b")

    def __init__(self, count: int = 37):
        rng = np.random.default_rng(0)
        self.x = rng.poisson(0.4, (count, 13)).astype(np.float32)
        self.population = self.members = rng.integers(0, 2, count)

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, index) -> Batch:
        x = torch.from_numpy(self.x[self.checked(index)])
        return Batch(x, torch.from_numpy(self.members[index]), x.sum(1))


class Few(Data):
    """The first of many sprites."""

    def __init__(self, count: int, size: int = 64):
        assert size in (16, 64)
        self.count, self.whole = count, Sprites(size)
        self.shape = self.whole.shape

    def __len__(self) -> int:
        return self.count

    def batch(self, index) -> Batch:
        return self.whole.batch(np.asarray(index) * (len(self.whole) // self.count))


def grey(count: int, levels: int) -> Arrays:
    rng = np.random.default_rng(0)
    return Arrays(rng.integers(0, levels, (count, 1, 4, 5)) / np.float32(255))


DATA: dict[str, tuple[Callable[[], Data], int]] = {
    "black and white": (lambda: Few(50), 1),
    "averages of black and white": (lambda: Few(50, 16), 8),
    "256 shades": (lambda: grey(200, 256), 8),
    "257 shades": (lambda: grey(2000, 257), 32),
    "counts": (Cells, 8),
    "real values, two populations": (
        lambda: Arrays(np.random.default_rng(0).normal(size=(60, 7)), ["a", "b", "b"] * 20),
        32,
    ),
    "missing values": (lambda: Arrays(np.where(np.arange(60).reshape(12, 5) % 7, 0.5, np.nan), missing=True), 1),
}
every_data = pytest.mark.parametrize(("make", "bits"), DATA.values(), ids=DATA)


def same(one: torch.Tensor | None, two: torch.Tensor | None) -> bool:
    """Bit for bit, with the same shape and kind."""
    if one is None or two is None:
        return one is two
    return one.shape == two.shape and one.dtype == two.dtype and one.numpy().tobytes() == two.numpy().tobytes()


def assert_same(one: Batch, two: Batch) -> None:
    assert all(same(getattr(one, name), getattr(two, name)) for name in ("x", "population", "library"))
    assert one.groups == two.groups


def kept(data: Data) -> Resident:
    found = Resident.load(data, CPU, 1e9)
    assert found is not None
    return found


@every_data
@pytest.mark.parametrize("values", [60, 2**22])  # that are read at a time: in many parts, and at once
def test_batches_are_those_of_the_data(make, bits, values: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(part, "VALUES", values)
    data = make()
    found = kept(data)
    assert found.packed.bits == bits
    for seed in range(3):
        index = np.random.default_rng(seed).integers(0, len(data), 9)
        assert_same(found.batch(torch.from_numpy(index)), data.batch(index))


def test_black_and_white_takes_a_bit_a_pixel():
    assert kept(Few(50)).packed.stored.nbytes == 50 * 64 * 64 // 8
    assert room(737_280, 64 * 64, 1) == 377_487_360


@given(
    st.lists(st.sampled_from([ODD[:2], ODD, SHADES, torch.linspace(-1, 1, 300)]), min_size=1, max_size=4),
    st.integers(1, 19),
    st.integers(0, 2**32),
)
def test_values_are_kept_however_they_come(kinds: list[torch.Tensor], size: int, seed: int):
    """Chunk after chunk, each with more distinct values than the one before, or fewer."""
    generator = torch.Generator().manual_seed(seed)
    chunks = [kind[torch.randint(len(kind), (50, size), generator=generator)] for kind in kinds]
    packed = Packed(50 * len(chunks), size, CPU)
    assert all(packed.append(chunk, 1e9) for chunk in chunks)
    found = packed.rows(torch.arange(50 * len(chunks)))
    assert same(found, torch.cat(chunks))
    distinct = len(torch.cat(chunks).view(torch.int32).unique())
    assert packed.bits == (1 if distinct <= 2 else 8 if distinct <= 256 else 32)


@pytest.mark.parametrize(
    ("make", "needs"), [(lambda: Few(50), 50 * 512), (lambda: grey(200, 256), 200 * (3 + 20)), (Cells, 37 * (2 + 13))]
)
def test_what_does_not_fit_stays_where_it_is(make, needs: int):
    assert Resident.load(make(), CPU, needs) is not None  # both forms, while one is made into the other
    assert Resident.load(make(), CPU, needs - 1) is None


def test_data_stay_on_the_host_of_a_cpu():
    assert resident(Cells(), Training(batch_size=8, device="cpu"), CPU) is None


# supplies


@every_data
@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize(("copies", "purpose"), [(1, Purpose.ORDER), (3, Purpose.ADVERSARY_ORDER)])
def test_a_supply_gives_the_same_batches(make, bits, balanced: bool, copies: int, purpose: Purpose):
    data, training = make(), Training(batch_size=7, balanced=balanced)
    augmentation = Translate(0.3) if len(data.shape) == 3 else None
    arguments = data, training, augmentation, copies, CPU, purpose
    plain, supply = Supply(*arguments), Supply(*arguments, resident=kept(data))
    for step in (0, 1, 2, 255, 256, 257, 3, 10_000):
        assert_same(supply(step), plain(step))


def test_indices_are_uploaded_for_many_steps_at_once():
    calls = []

    class Noted(Batches):
        def __call__(self, step: int):
            calls.append(step)
            return super().__call__(step)

    batches = Noted(Cells(), 7, seed=0)
    uploaded = Uploaded(batches, CPU, steps=8)
    found = [uploaded(step) for step in range(20)]
    assert calls == list(range(24))
    assert all(torch.equal(index, torch.from_numpy(batches(step))) for step, index in enumerate(found))


@pytest.mark.parametrize("copies", [1, 2])
def test_balanced_batches_say_how_many_of_each_population_stand_together(copies: int):
    supply = Supply(Cells(), Training(batch_size=7), None, copies, CPU)
    batch = supply(0)
    assert batch.groups == (4 * copies, 3 * copies)
    assert batch.population is not None
    assert torch.equal(batch.population, torch.arange(2).repeat_interleave(torch.tensor(batch.groups)))
    assert Supply(Cells(), Training(batch_size=7, balanced=False), None, copies, CPU)(0).groups is None
    assert Supply(grey(20, 3), Training(batch_size=7), None, copies, CPU)(0).groups is None
