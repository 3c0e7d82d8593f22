"""Counts out of AnnData, and every broken file as one clear error."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unbraid.configuration import build, describe
from unbraid.data._tabular import h5ad
from unbraid.data._tabular.h5ad import Counts
from unbraid.data.cells import Cells, residual_variance

anndata = pytest.importorskip("anndata", reason="needs the extra unbraid[anndata]")
h5py = pytest.importorskip("h5py")
pandas = pytest.importorskip("pandas")
sparse = pytest.importorskip("scipy.sparse")

CELLS, GENES = 60, 8
GENE_NAMES = [f"gene{k}" for k in range(GENES)]


def counts(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.poisson(rng.gamma(1.0, 2.0, size=GENES), size=(CELLS, GENES)).astype(np.float32)
    x[:, 0] += 1  # no cell without counts
    return x


def made(x=None, **layers):
    x = counts() if x is None else x
    obs = pandas.DataFrame(
        {
            "condition": ["b", "a", "c"] * (CELLS // 3),
            "type": ["T", "B"] * (CELLS // 2),
            "depth": np.arange(1.0, CELLS + 1),
            "holes": ["x", None] * (CELLS // 2),
        },
        index=[f"cell{k}" for k in range(CELLS)],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return anndata.AnnData(x, obs, pandas.DataFrame(index=GENE_NAMES), layers=layers)


def written(path: Path, adata) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata.write_h5ad(path, compression="gzip")
    return path


def everything(data: Cells) -> np.ndarray:
    return data.batch(np.arange(len(data))).x.numpy()


FORMS = {
    "dense": np.asarray,
    "CSR": sparse.csr_matrix,
    "CSC": sparse.csc_matrix,
    "CSR array": sparse.csr_array,
    "integers": lambda x: x.astype(np.int64),
}
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@every_form
@pytest.mark.parametrize("in_file", [True, False])
def test_counts_come_as_they_are_whatever_holds_them(form, in_file, tmp_path):
    adata = made(form(counts()))
    data = Cells(written(tmp_path / "c.h5ad", adata) if in_file else adata, split="all")
    assert np.array_equal(everything(data), counts())
    assert data.bounds == (0, counts().max())
    assert data.feature_names == tuple(GENE_NAMES)
    batch = data.batch(np.array([5, 3, 5]))
    assert batch.x.dtype == torch.float32
    assert batch.population is None
    assert batch.library is not None
    assert np.array_equal(batch.library.numpy(), counts()[[5, 3, 5]].sum(1))


def test_what_is_in_memory_is_left_alone():
    matrix = sparse.csr_matrix((np.array([1.0, 0.0, 2.0]), np.array([2, 1, 0]), np.array([0, 1, 3])), (2, 3))
    before = matrix.copy()
    adata = anndata.AnnData(matrix)
    data = Cells(adata, split="all")
    assert np.array_equal(everything(data), [[0, 0, 1], [2, 0, 0]])
    for name in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(adata.X, name), getattr(before, name))


def test_repeated_entries_of_a_sparse_matrix_add_up():
    matrix = sparse.csr_matrix((np.array([1.0, 4.0]), np.array([1, 1]), np.array([0, 2])), (1, 3))
    assert np.array_equal(everything(Cells(anndata.AnnData(matrix), split="all")), [[0, 5, 0]])


@pytest.mark.parametrize(("largest", "dtype"), [(200, np.uint8), (60_000, np.uint16), (70_000, np.uint32)])
def test_counts_are_held_in_the_smallest_integers(largest, dtype):
    x = counts()
    x[3, 3] = largest
    data = Cells(made(x), split="all")
    assert data.values.dtype == dtype
    assert everything(data)[3, 3] == largest
    assert data.held < 20 * data.values.size + 10_000


def test_populations_labels_and_splits():
    adata = made()
    sets = {name: Cells(adata, "condition", label="type", split=name) for name in ("train", "validation", "test")}
    rows = np.concatenate([data.rows for data in sets.values()])
    assert sorted(rows.tolist()) == list(range(CELLS))
    for data in sets.values():
        assert data.populations == ("a", "b", "c")
        assert data.classes == ("B", "T")
        assert data.population is not None
        assert data.labels is not None
        assert [data.populations[k] for k in data.population] == adata.obs["condition"].iloc[data.rows].tolist()
        assert [data.classes[k] for k in data.labels] == adata.obs["type"].iloc[data.rows].tolist()
        assert len(set(np.bincount(data.population))) == 1
    assert not np.array_equal(sets["train"].rows, Cells(adata, "condition", seed=1).rows)


def test_populations_that_are_not_named_are_left_out():
    data = Cells(made(), "condition", ["c", "a"], split="all")
    assert data.populations == ("c", "a")
    assert len(data) == 2 * CELLS // 3
    assert np.array_equal(everything(data), counts()[data.rows])


def test_cells_that_are_left_out_need_no_class_and_no_total():
    adata = made()
    out = adata.obs["condition"] == "b"
    adata.obs["type"] = adata.obs["type"].mask(out, None).mask(adata.obs["condition"] == "a", "A")
    adata.obs["depth"] = adata.obs["depth"].mask(out, np.nan)
    data = Cells(adata, "condition", ["c", "a"], label="type", library="depth", split="all")
    assert data.classes == ("A", "B", "T")
    assert np.isfinite(data.library).all()
    assert Cells(adata, "condition", ["a", "c"], label="type", split="all").classes == ("A", "B", "T")
    adata.obs["type"] = np.where(out, "only of b", "A")
    assert Cells(adata, "condition", ["c", "a"], label="type").classes == ("A",)


def test_a_file_is_described_by_path_and_checksum(tmp_path):
    path = written(tmp_path / "c.h5ad", made(log=np.log1p(counts()), raw_counts=counts()))
    data = Cells(path, "condition", layer="raw_counts", genes=["gene5", "gene0"], library="depth", most_variable=1)
    again = build(describe(data))
    assert repr(again) == repr(data)
    assert np.array_equal(everything(again), everything(data))
    assert np.array_equal(again.library, data.library)
    written(path, made(counts(1), raw_counts=counts(1)))
    with pytest.raises(ValueError, match=rf"SHA-256 {data.sha256}, got [0-9a-f]{{64}}: it has changed since"):
        build(describe(data))


def test_an_anndata_is_described_by_checksum():
    first, second, other = (describe(Cells(made(counts(seed)), "condition")) for seed in (0, 0, 1))
    assert first == second != other
    with pytest.raises(ValueError, match="pass the same data again"):
        build(first)


def test_genes_are_chosen_in_order():
    data = Cells(made(), genes=["gene5", "gene0"], split="all")
    assert data.feature_names == ("gene5", "gene0")
    assert np.array_equal(everything(data), counts()[:, [5, 0]])
    assert np.array_equal(data.library, counts()[:, [5, 0]].sum(1))


def test_given_totals_are_scaled_to_the_counts_of_the_genes_used():
    data = Cells(made(), library="depth", genes=["gene0", "gene1"])
    assert data.library.sum() == pytest.approx(everything(data).sum())
    factor = data.facts()["library_factor"]
    assert isinstance(factor, float)
    assert np.allclose(data.library, factor * (data.rows + 1.0))


def residual_variance_by_hand(x: np.ndarray) -> np.ndarray:
    mean = np.outer(x.sum(1), x.sum(0)) / x.sum()
    deviation = np.sqrt(mean + 0.01 * mean**2)
    residual = np.divide(x - mean, deviation, out=np.zeros_like(mean), where=deviation > 0)
    return np.clip(residual, -np.sqrt(len(x)), np.sqrt(len(x))).var(0)


def test_most_variable_genes_are_those_of_the_training_cells():
    x = counts()
    train = Cells(made(), "condition", split="train").rows
    best = np.sort(np.argsort(-residual_variance_by_hand(x[train].astype(np.float64)))[:3])
    for split in ("train", "validation", "test"):
        data = Cells(made(), "condition", most_variable=3, split=split)
        assert data.feature_names == tuple(GENE_NAMES[k] for k in best)
    noisy = x.copy()
    noisy[np.setdiff1d(np.arange(CELLS), train), 7] += 1000  # held-out cells have no say
    assert Cells(made(noisy), "condition", most_variable=3).feature_names == data.feature_names


def test_more_genes_than_there_are_is_all_of_them():
    assert Cells(made(), most_variable=9).feature_names == tuple(GENE_NAMES)


def test_residual_variance_of_a_gene_without_counts_is_0():
    x = counts()
    x[:, 4] = 0
    data = Cells(made(x), split="all")
    spread = residual_variance(Counts(data.values, data.columns, data.starts, x.shape))
    np.testing.assert_allclose(spread, residual_variance_by_hand(x.astype(np.float64)), rtol=1e-9)
    assert spread[4] == 0


def with_value(value: float) -> np.ndarray:
    x = counts()
    x[7, 2] = value
    return x


def doubled():
    adata = made()
    adata.var_names = ["gene0", "gene1", "gene1", *GENE_NAMES[3:]]
    return adata


def emptied():
    x = counts()
    x[[4, 9]] = 0
    return made(x)


def zero_depth():
    adata = made()
    adata.obs["depth"] -= 1
    return adata


REFUSED = {
    "negative": (lambda: Cells(made(with_value(-1))), "raw counts .*got -1 for gene 'gene2' of cell 'cell7'"),
    "fraction": (lambda: Cells(made(with_value(1.5))), "raw counts .*got 1.5 .*no other layer"),
    "NaN": (lambda: Cells(made(with_value(np.nan))), "raw counts .*got nan"),
    "infinite": (lambda: Cells(made(with_value(np.inf))), "raw counts .*got inf"),
    "too large": (lambda: Cells(made(with_value(1e12))), "raw counts .*got 1e\\+12"),
    "normalised": (lambda: Cells(made(np.log1p(counts()), spliced=counts())), "look like raw counts: \\['spliced'\\]"),
    "text": (lambda: Cells(anndata.AnnData(np.full((2, 2), "a"))), "cannot be read: expected numbers"),
    "no such layer": (lambda: Cells(made(counts=counts()), layer="count"), "layer 'count' .*did you mean 'counts'"),
    "no X": (lambda: Cells(anndata.AnnData(obs=made().obs)), "expected X in the AnnData"),
    "empty cells": (lambda: Cells(emptied()), "got none in 2 of 60, the first at index 4"),
    "no such column": (lambda: Cells(made(), "conditions"), "obs as populations, got 'conditions'.*mean 'condition'"),
    "missing value": (lambda: Cells(made(), "holes"), r"every row of obs\['holes'\], got none in 30 of 60.*'cell1'"),
    "missing label": (lambda: Cells(made(), "condition", label="holes"), "every row of obs"),
    "unknown population": (lambda: Cells(made(), "condition", ["a", "d"]), "got 'd'"),
    "one population": (lambda: Cells(made(), "condition", ["a"]), "at least two distinct populations"),
    "populations of no column": (lambda: Cells(made(), populations=["a", "b"]), "pass population=..."),
    "population twice": (lambda: Cells(made(), "condition", ["a", "a"]), "at least two distinct populations"),
    "gene twice in the file": (lambda: Cells(doubled()), r"got \['gene1'\] several times"),
    "unknown gene": (
        lambda: Cells(made(), genes=["gene0", "Gene1"]),
        r"genes .* got \['Gene1'\]; did you mean 'gene1'",
    ),
    "gene twice": (lambda: Cells(made(), genes=["gene0", "gene0"]), "each once, got 2, 1 distinct"),
    "no genes": (lambda: Cells(made(), genes=[]), "at least one gene"),
    "no variable genes": (lambda: Cells(made(), most_variable=0), "most_variable of at least 1, got 0"),
    "no training cells": (
        lambda: Cells(made(), library="depth", split="test", shares=(0, 0.5, 0.5)),
        r"training cells, .* got none with shares \(0, 0.5, 0.5\) of 60 cells",
    ),
    "checksum of no file": (lambda: Cells(made(), sha256="0" * 64), "sha256 only with a file"),
    "total of 0": (lambda: Cells(zero_depth(), library="depth"), r"totals above 0 in obs\['depth'\], got 0"),
    "totals of words": (lambda: Cells(made(), library="type"), "expected numbers in obs"),
    "unknown split": (lambda: Cells(made(), split="dev"), "split to be one of"),  # type: ignore[arg-type]
    "empty split": (lambda: Cells(made(), split="test", shares=(1, 0, 0)), "cells in the test part, got none"),
    "a data frame": (lambda: Cells(pandas.DataFrame()), "path of an .h5ad file or an AnnData, got DataFrame"),
    "no such file": (lambda: Cells("nowhere.h5ad"), "an .h5ad file, got '.*nowhere.h5ad', which does not exist"),
    "no cells": (lambda: Cells(made()[:0]), "cells and genes"),
    "no genes in the file": (lambda: Cells(made()[:, :0]), "cells and genes"),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_table_of_counts_is_refused(make, message, as_a_user):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "c.h5ad"
    path.write_text("no HDF5")
    with pytest.raises(ValueError, match=r"an .h5ad file \(HDF5\), got .* which is none"):
        Cells(path)
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"groups obs and var, got \['x'\]"):
        Cells(path)


def edited(path: Path, change) -> Path:
    written(path, made(sparse.csr_matrix(counts())))
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def huge(file) -> None:
    del file["X/data"]
    file["X"].create_dataset("data", shape=(10**13,), dtype="f4", chunks=(10**6,), compression="gzip")


def outside(file) -> None:
    file["X/indices"][3] = 10**6


def negative(file) -> None:
    file["X/indices"][3] = -(10**6)


def backwards(file) -> None:
    file["X/indptr"][2] = 10**6


def lying(file) -> None:
    file["X"].attrs["shape"] = (10**9, GENES)


def linked(file) -> None:
    del file["obs/depth"]
    file["obs/depth"] = h5py.ExternalLink("other.h5", "/x")


def borrowed(file) -> None:
    del file["X/data"]
    file["X"].create_dataset("data", shape=(10,), dtype="u1", external=[("/etc/hostname", 0, 10)])


def looped(file) -> None:
    file["obs/again"] = file["obs"]


HOSTILE = {
    "huge header": (huge, "says that it has 40,000,000,000,000 bytes"),
    "index outside": (outside, "cannot be read"),
    "negative index": (negative, "cannot be read"),
    "row that goes backwards": (backwards, "cannot be read"),
    "shape that lies": (lying, r"60 cells x 8 genes, as in obs and var, got \(1000000000, 8\)"),
    "link to another file": (linked, "'depth' is a link"),
    "values of another file": (borrowed, "takes its values from another file"),
}


@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        Cells(edited(tmp_path / "c.h5ad", change))


def test_a_group_that_holds_itself_does_no_harm(tmp_path):
    assert len(Cells(edited(tmp_path / "c.h5ad", looped), split="all")) == CELLS


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory) -> bytes:
    return written(tmp_path_factory.mktemp("cells") / "c.h5ad", made(sparse.csr_matrix(counts()))).read_bytes()


@pytest.mark.slow  # each file is read in a process of its own
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_damaged_files_are_read_or_refused(whole_file, tmp_path, at, bit, cut):
    content = bytearray(whole_file)
    place = int(at * len(content))
    content[place] ^= 1 << bit
    path = tmp_path / "c.h5ad"
    path.write_bytes(content[:place] if cut else content)
    try:
        data = Cells(path, split="all")
    except ValueError:
        return
    assert np.isfinite(everything(data)).all()


def test_a_crash_of_the_hdf5_library_is_an_error(tmp_path, monkeypatch):
    script = tmp_path / "hdf5_check.py"
    script.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr(h5ad, "__file__", str(script))
    with pytest.raises(ValueError, match=r"the HDF5 library crashes on it \(signal 11\)"):
        Cells(written(tmp_path / "c.h5ad", made()))


def test_without_anndata_the_error_says_what_to_install(tmp_path):
    code = f"""
import sys
sys.modules["anndata"] = None
from unbraid.data._tabular import h5ad
from unbraid.data._tabular.h5ad import Counts
from unbraid.data.cells import Cells
try:
    Cells({str(tmp_path)!r})
except ValueError as error:
    assert "pip install 'unbraid[anndata]'" in str(error), error
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif("UNBRAID_TEST_DATA" not in os.environ, reason="UNBRAID_TEST_DATA is unset: real cells are not read")
def test_the_blood_cells_under_interferon():
    path = Path(os.environ["UNBRAID_TEST_DATA"]) / "pbmc-ifnb.h5ad"
    data = Cells(path, "condition", split="all")
    assert data.shape == (9015,)
    assert data.population is not None
    assert np.bincount(data.population).tolist() == [1000, 1000]
    assert data.held < 8e6
    x, stimulated = everything(data), data.population == data.populations.index("stimulated")
    isg15, cd3d = (x[:, data.feature_names.index(name)] for name in ("ISG15", "CD3D"))
    assert isg15[~stimulated].mean() < 1 < 30 < isg15[stimulated].mean()
    assert cd3d[stimulated].mean() == pytest.approx(cd3d[~stimulated].mean(), rel=0.3)
    chosen = Cells(path, "condition", most_variable=2000)
    assert {"ISG15", "CD3D", "LYZ", "CD79A"} <= set(chosen.feature_names)
    assert chosen.facts()["genes"] == 2000
