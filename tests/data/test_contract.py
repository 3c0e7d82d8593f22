"""What every public data set promises; a new one adds a line to CASES."""

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from inspect import isabstract
from pathlib import Path

import anndata
import numpy as np
import pandas
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import unbraid.data
from unbraid.configuration import build, describe
from unbraid.data import (
    CIFAR10,
    MNIST,
    Arrays,
    ByClass,
    CelebA,
    Cells,
    Chairs,
    Data,
    DSprites,
    Extended,
    FactorData,
    FactorGrid,
    FashionMNIST,
    Flowers17,
    Grassy,
    GrassyDigits,
    GrassyMNIST,
    ImageFolder,
    OneOf,
    Part,
    Pictures,
    Populations,
    ProceduralChairs,
    Shuffled,
    Sprites,
    Table,
    Teapots,
    TwoPopulationVectors,
)
from unbraid.data._files.cache import cached_rows
from unbraid.data._files.fetch import checksum

ABSTRACT = (Data, FactorData, FactorGrid, Grassy, Pictures)
BATCHES = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
TABLE = np.random.default_rng(0).normal(size=(60, 3))


@cache
def official_files() -> Path:
    """MNIST's four files, Fashion-MNIST's in their folder, and CIFAR-10's archive: random images, 60 of each part."""
    folder, rng = Path(tempfile.mkdtemp(dir=os.environ["UNBRAID_CACHE"])), np.random.default_rng(0)
    labels = (np.arange(60) % 10).astype(np.uint8)
    for place in (folder / "mnist", folder / "fashion-mnist"):
        place.mkdir()
        for part in ("train", "t10k"):
            for what, array in (("images-idx3", rng.integers(0, 256, (60, 28, 28), np.uint8)), ("labels-idx1", labels)):
                header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
                (place / f"{part}-{what}-ubyte").write_bytes(header + array.tobytes())
    files = {f"{name}.bin": rng.integers(0, 10, (60, 3073), np.uint8).tobytes() for name in BATCHES}
    files["batches.meta.txt"] = "\n".join(CIFAR10.classes).encode()
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return folder


def noise_images(names: Iterable[str]) -> Path:
    """A new folder with small images of these names, no two alike."""
    rng, folder = np.random.default_rng(0), Path(tempfile.mkdtemp(dir=os.environ["UNBRAID_CACHE"]))
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(folder / name)
    return folder


def noise_celeba() -> Path:
    folder = noise_images(f"img_align_celeba/{n:06d}.jpg" for n in range(1, 61))
    rows = [f"{n:06d}.jpg {n % 2 * 2 - 1} {n % 3 % 2 * 2 - 1}" for n in range(1, 61)]
    (folder / "list_attr_celeba.txt").write_text("\n".join(["60", "Male Smiling", *rows]))
    return folder


def official_dsprites() -> DSprites:
    """As if the official file had been read before: 377 MB instead of 3 GB."""
    assert DSprites.card is not None
    path = Path(tempfile.mkdtemp(dir=os.environ["UNBRAID_CACHE"])) / DSprites.card.files[0].name
    path.write_bytes(b"its rows are in the cache")

    def bits(start: int, stop: int) -> np.ndarray:
        return np.random.default_rng(start).integers(0, 256, (stop - start, 512), np.uint8)

    cached_rows("dsprites", {"sha256": checksum(path)}, 737_280, (512,), np.uint8, bits)
    return DSprites(path.parent)


@cache
def table_file() -> Path:
    rows = [
        f"p{k // 2}_{k % 2},{'ab'[k % 4 // 2]},{x:.3f},{f'{y:.3f}' if k % 7 else ''},{'uvw'[k % 3]},{'xy'[k % 2]}"
        for k, (x, y, _) in enumerate(np.concatenate([TABLE, -TABLE]))
    ]
    path = Path(tempfile.mkdtemp(dir=os.environ["UNBRAID_CACHE"])) / "table.csv"
    path.write_text("\n".join(["id,arm,x,y,s,kind", *rows]))
    return path


@cache
def cells_file() -> Path:
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(1.0, 4.0, size=8), size=(90, 8)) + (np.arange(8) == 0)
    obs = pandas.DataFrame(
        {"condition": ["b", "a"] * 45, "type": ["T", "B", "B"] * 30, "depth": counts.sum(1) + 1.0},
        index=[f"cell{k}" for k in range(90)],
    )
    var = pandas.DataFrame(index=[f"gene{k}" for k in range(8)])
    path = Path(tempfile.mkdtemp(dir=os.environ["UNBRAID_CACHE"])) / "cells.h5ad"
    anndata.AnnData(counts.astype(np.float32), obs, var, layers={"spliced": counts + 1}).write_h5ad(path)
    return path


PETS = [f"{kind}/{k}.png" for kind in ("cat", "dog") for k in range(40)]
DIGITS = [f"{part}/{kind}/{k}.png" for part in ("train", "test") for kind in "01" for k in range(40)]
FLOWERS = [f"17flowers/jpg/image_{n:04d}.jpg" for n in range(1, 1361)]
VIEWS = [f"m{m}/renders/image_{v:03d}_p020_t{11 * v:03d}_r096.png" for m in range(10) for v in range(8)]
KINDS = Arrays(TABLE, labels=np.arange(60) % 3, classes="012")
CASES: dict[str, Callable[[], Data]] = {
    "arrays": lambda: Arrays(TABLE),
    "arrays, populations": lambda: Arrays(TABLE, ["b"] * 20 + ["a"] * 40, labels=np.arange(60)),
    "grassy digits": lambda: GrassyDigits(count=60),
    "grassy digits, test": lambda: GrassyDigits("test", count=60, amplitude=1.0, seed=1),
    "sprites 64": lambda: Sprites(),
    "sprites 32": lambda: Sprites(32),
    "sprites 16": lambda: Sprites(16),
    "by class": lambda: ByClass(KINDS, {"b": ["2", "0"], "a": ["1"]}),
    "populations": lambda: Populations({"a": KINDS, "b": Arrays(np.where(TABLE > 2, np.nan, TABLE), missing=True)}),
    "one of three": lambda: OneOf(KINDS, "c", ("a", "b", "c"), ["0", "1"]),
    "two and one more": lambda: Extended(
        ByClass(KINDS, {"b": ["2"], "a": ["1"]}), OneOf(KINDS, "c", ("b", "a", "c"), ["0"])
    ),
    "part": lambda: Part(Arrays(TABLE, ["b"] * 30 + ["a"] * 30), shares=(0.8, 0.1, 0.1)),
    "shuffled": lambda: Shuffled(Table(table_file(), "arm", leave_out=["y"], group="id", group_pattern="[^_]+")),
    "dsprites": official_dsprites,
    "image folder": lambda: ImageFolder(noise_images(PETS), 8),
    "image folder, labels": lambda: ImageFolder(noise_images(DIGITS), (8, 6), 1, ("split", "label"), "test"),
    "image folder, all of one population": lambda: ImageFolder(noise_images(PETS), 8, levels=(), split="all"),
    "celeba": lambda: CelebA("train", "Male", "Smiling", 16, noise_celeba()),
    "celeba, one population": lambda: CelebA(size=16, folder=noise_celeba()),
    "flowers": lambda: Flowers17("test", 8, noise_images(FLOWERS)),
    "rendered chairs": lambda: Chairs(size=8, folder=noise_images(f"rendered_chairs/{name}" for name in VIEWS)),
    "table": lambda: Table(table_file(), "arm", label="kind", leave_out=["y"], group="id", group_pattern="[^_]+"),
    "table, missing values": lambda: Table(table_file(), leave_out=["id"], split="all"),
    "table, data frame": lambda: Table(pandas.read_csv(table_file()), "arm", leave_out=["id"], split="all"),
    "cells": lambda: Cells(cells_file(), "condition", label="type"),
    "cells, validation": lambda: Cells(cells_file(), layer="spliced", most_variable=5, library="depth", split="all"),
    "teapots": lambda: Teapots(count=80),
    "teapots, zero-shot": lambda: Teapots("zero-shot", count=500, size=32, gap=True),
    "procedural chairs": lambda: ProceduralChairs((4, 2, 2, 2, 3, 2)),
    "procedural chairs 32": lambda: ProceduralChairs((2, 1, 2, 1, 6, 2), 32),
    "MNIST": lambda: MNIST("test", official_files()),
    "MNIST, train": lambda: MNIST("train", official_files(), seed=1, validation=0.1),
    "Fashion-MNIST": lambda: FashionMNIST("test", official_files()),
    "CIFAR-10": lambda: CIFAR10("test", official_files()),
    "CIFAR-10, validation": lambda: CIFAR10("validation", official_files(), validation=0.2),
    "Grassy-MNIST": lambda: GrassyMNIST("test", official_files()),
    "Grassy-MNIST, varied": lambda: GrassyMNIST(
        "test", official_files(), amplitude=0.5, scale=(0.5, 2), brightness=(0.5, 1), groups={"a": "012", "b": "345678"}
    ),
    "vectors": lambda: TwoPopulationVectors(counts=(40, 20)),
    "vectors, nonlinear": lambda: TwoPopulationVectors("validation", counts=(1, 59), features=3, nonlinear=True),
}


@pytest.fixture(scope="module", params=list(CASES.values()), ids=list(CASES))
def data(request: pytest.FixtureRequest) -> Data:
    return request.param()


@pytest.fixture(scope="module", params=[Sprites, official_dsprites, lambda: ProceduralChairs((4, 2, 2, 2, 3, 2))])
def grid(request: pytest.FixtureRequest) -> FactorGrid:
    return request.param()


def some(data: Data) -> np.ndarray:
    return np.linspace(0, len(data) - 1, 40).astype(np.int64)


def public(kind: type) -> set[type]:
    members = (getattr(unbraid.data, name) for name in unbraid.data.__all__)
    return {member for member in members if isinstance(member, type) and issubclass(member, kind)}


def test_every_public_data_set_is_in_this_suite():
    tested = {type(make()) for make in CASES.values()}
    assert {kind for kind in public(Data) if kind not in ABSTRACT} == tested
    assert all(isabstract(kind) for kind in ABSTRACT)


def test_batch_is_finite_float32_of_the_stated_shape(data: Data):
    batch = data.batch(some(data))
    assert batch.x.shape == (40, *data.shape)
    assert batch.x.dtype == torch.float32
    assert batch.x.device.type == "cpu"
    assert data.missing or batch.x.isfinite().all()
    assert batch.x.is_contiguous()


def test_observations_differ(data: Data):
    assert len(torch.unique(data.batch(some(data)).x, dim=0)) > 30


def test_observations_lie_within_the_bounds(data: Data):
    if data.bounds is not None:
        x = data.batch(some(data)).x
        assert data.bounds[0] <= x.min()
        assert x.max() <= data.bounds[1]


def same(one: torch.Tensor, two: torch.Tensor) -> bool:
    """Equal, missing values too."""
    return torch.equal(one.isnan(), two.isnan()) and torch.equal(one.nan_to_num(), two.nan_to_num())


def test_batch_follows_the_order_of_the_index(data: Data):
    index = some(data)
    order = np.random.default_rng(0).permutation(len(index))
    batch, turned = data.batch(index), data.batch(index[order])
    assert same(batch.x[torch.from_numpy(order)], turned.x)
    assert same(batch.x[7:8], data.batch(index[7:8]).x)
    if batch.population is not None and turned.population is not None:
        assert torch.equal(batch.population[torch.from_numpy(order)], turned.population)


def test_batch_may_be_empty_or_repeat_an_observation(data: Data):
    assert data.batch(np.array([], dtype=np.int64)).x.shape == (0, *data.shape)
    twice = data.batch(np.array([3, 3])).x
    assert same(twice[0], twice[1])


def test_changing_a_batch_leaves_the_data_alone(data: Data):
    index = some(data)
    before = data.batch(index).x.clone()
    data.batch(index).x.fill_(-1)
    assert same(data.batch(index).x, before)


@pytest.mark.parametrize("beyond", [lambda n: n, lambda n: n + 1000, lambda n: -1])
def test_index_out_of_range_raises(data: Data, beyond: Callable[[int], int]):
    with pytest.raises(IndexError, match=f"from 0 to {len(data) - 1}"):
        data.batch(np.array([0, beyond(len(data))]))


def test_population_names_what_the_batch_says(data: Data):
    population = data.batch(some(data)).population
    if data.population is None:
        assert data.populations == ()
        assert population is None
    else:
        assert len(data.population) == len(data)
        assert len(set(data.populations)) == len(data.populations)
        assert {data.populations[k] for k in data.population} == set(data.populations) - set(data.absent)
        assert population is not None
        assert np.array_equal(population.numpy(), data.population[some(data)])


def test_labels_are_one_integer_each(data: Data):
    if data.labels is not None:
        assert data.labels.shape == (len(data),)
        assert data.labels.min() >= 0


def test_description_rebuilds_the_same_data(data: Data):
    if "in_memory" in json.dumps(describe(data)):  # arrays, or made of them: recorded by checksum
        with pytest.raises(ValueError, match="pass the same data again"):
            build(describe(data))
        return
    again = build(describe(data))
    assert describe(again) == describe(data)
    assert repr(again) == repr(data)
    assert len(again) == len(data)
    assert same(again.batch(some(data)).x, data.batch(some(data)).x)
    assert repr(again.population) == repr(data.population)
    assert repr(again.labels) == repr(data.labels)


def test_every_public_grid_is_in_this_suite():
    assert public(FactorGrid) == {FactorGrid, DSprites, Sprites, ProceduralChairs}


@given(pick=st.data())
def test_index_and_factors_are_inverse(grid: FactorGrid, pick: st.DataObject):
    index = np.array(pick.draw(st.lists(st.integers(0, len(grid) - 1), min_size=1)))
    factors = grid.factors(index)
    assert (factors >= 0).all()
    assert (factors < np.array(grid.factor_sizes)).all()
    assert np.array_equal(grid.index(factors), index)


def test_grid_has_a_place_for_every_combination(grid: FactorGrid):
    assert len(grid) == np.prod(grid.factor_sizes)
    assert len(grid.factor_names) == len(grid.factor_sizes)
    first, last = grid.factors(np.array([0, len(grid) - 1]))
    assert not first.any()
    assert np.array_equal(last, np.array(grid.factor_sizes) - 1)
    assert grid.factors(np.array([1]))[0, -1] == 1


def test_sampled_factors_are_uniform_and_seeded(grid: FactorGrid):
    drawn = grid.sample_factors(20_000, np.random.default_rng(0))
    assert np.array_equal(drawn, grid.sample_factors(20_000, np.random.default_rng(0)))
    for column, size in zip(drawn.T, grid.factor_sizes, strict=True):
        share = np.bincount(column, minlength=size) / len(column)
        assert np.abs(share - 1 / size).max() < 5 * np.sqrt(1 / size / len(column))


def test_factors_outside_the_grid_raise(grid: FactorGrid):
    over = np.array(grid.factor_sizes)[None]
    with pytest.raises(ValueError, match="from 0 and below"):
        grid.index(over)
    with pytest.raises(ValueError, match="from 0 and below"):
        grid.index(-np.ones_like(over))
    with pytest.raises(ValueError, match="columns"):
        grid.index(np.zeros((1, over.shape[1] + 1), dtype=np.int64))
    with pytest.raises(IndexError, match="from 0 to"):
        grid.factors(np.array([len(grid)]))


GROUND_TRUTH = {
    "sprites": Sprites,
    "dsprites": official_dsprites,
    "chairs": CASES["procedural chairs"],
    "teapots": CASES["teapots"],
}


def test_all_ground_truth_is_in_this_suite():
    assert public(FactorData) - {FactorData, FactorGrid} == {type(make()) for make in GROUND_TRUTH.values()}


@pytest.mark.parametrize("make", GROUND_TRUTH.values(), ids=GROUND_TRUTH)
def test_sampled_observations_are_those_of_the_factors(make: Callable[[], FactorData]):
    data = make()
    index = np.arange(0, len(data), max(1, len(data) // 20))
    factors = data.factors(index)
    assert factors.shape == (len(index), len(data.factor_names)) == (len(index), len(data.factor_sizes))
    assert torch.equal(data.sample(factors), data.batch(index).x)
    assert torch.equal(make().sample(factors[::-1].copy()), data.batch(index[::-1].copy()).x)
    drawn = data.sample_factors(5, np.random.default_rng(1))
    assert np.array_equal(drawn, data.sample_factors(5, np.random.default_rng(1)))
    with pytest.raises(ValueError, match="columns"):
        data.sample(np.zeros((1, drawn.shape[1] + 1), dtype=drawn.dtype))
    with pytest.raises(ValueError, match="from 0"):
        data.sample(np.full((1, drawn.shape[1]), -1, dtype=drawn.dtype))


def test_held_bytes_are_those_of_arrays_in_memory(tmp_path: Path):
    inside, mapped = Arrays(np.ones((50, 3))), Arrays(np.ones((50, 3)))
    assert inside.held == 50 * 3 * 4
    np.save(tmp_path / "x.npy", mapped.x)
    mapped.x = np.load(tmp_path / "x.npy", mmap_mode="r")[:40]
    assert mapped.held == 0
    assert Populations({"a": inside, "b": mapped}).held == inside.held + 90 * 8 + 2 * 8


def test_facts_are_plain(data: Data):
    assert json.loads(json.dumps(data.facts())) == data.facts()
