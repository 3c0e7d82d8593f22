"""Counts of cells out of an .h5ad file or an AnnData in memory; nothing else of them is read."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Int, Integer, Num, Shaped

from unbraid.data._tabular.columns import meant, shortened

if TYPE_CHECKING:
    import anndata

VALUES = 10_000_000  # of a dense matrix that are looked at together
LOOKED_AT = 100_000  # values by which a layer is called raw counts
SECONDS, BYTES_A_SECOND = 60, 5e6  # that reading a file may take: a damaged one may not end


@dataclass(frozen=True)
class Counts:
    """A matrix of counts by rows, each with its columns in ascending order and no zero kept.

    values: the counts, in the smallest unsigned integers that hold them; columns: of each value; starts: of each row
    in both, and their end.
    """

    values: Integer[np.ndarray, " value"]
    columns: Integer[np.ndarray, " value"]
    starts: Int[np.ndarray, " edge"]
    shape: tuple[int, int]

    def totals(self) -> Int[np.ndarray, " row"]:
        """Sum of every row."""
        sums = np.concatenate([[0], np.cumsum(self.values, dtype=np.int64)])
        return sums[self.starts[1:]] - sums[self.starts[:-1]]

    def take(self, rows: Int[np.ndarray, " row"], columns: Int[np.ndarray, " column"] | None = None) -> "Counts":
        """Some rows, and some columns in the given order."""
        matrix = scipy.sparse.csr_matrix((self.values, self.columns, self.starts), self.shape)[rows]
        matrix = matrix if columns is None else matrix[:, columns]
        matrix.sort_indices()
        return _compact(matrix)


@dataclass(frozen=True)
class Source:
    """What is read of an AnnData.

    name: what messages call it.
    obs: what is known of every cell, a data frame; genes: names of the columns.
    matrices: every matrix of cells x genes by name, "X" among them if it is there, not read yet.
    raw: whether it also has the `raw` of scanpy.
    """

    name: str
    obs: Any
    genes: list[str]
    matrices: dict[str, Any]
    raw: bool

    def column(
        self, name: str, what: str, used: Bool[np.ndarray, " cell"] | None = None
    ) -> Shaped[np.ndarray, " cell"]:
        """A column of `obs`, with a value for every cell that is `used` (default: all).

        Raises:
            ValueError: there is no such column, or values are missing.
        """
        if name not in self.obs:
            names = [str(one) for one in self.obs.columns]
            raise ValueError(
                f"expected a column of obs as {what}, got '{name}'; obs of {self.name} has {shortened(names)}"
                f"{meant(name, names)}"
            )
        column = self.obs[name]
        if column.ndim > 1:
            raise ValueError(f"expected one column '{name}' in obs of {self.name}, got {column.shape[1]}")
        missing = column.isna().to_numpy() if used is None else column.isna().to_numpy() & used
        if missing.any():
            raise ValueError(
                f"expected a value in every row of obs['{name}'], got none in {int(missing.sum())} of "
                f"{len(column)}, the first for '{self.obs.index[int(missing.argmax())]}'; leave those cells out"
            )
        return column.to_numpy()

    def counts(self, layer: str | None) -> Counts:
        """The raw counts of a layer, or of X.

        Raises:
            ValueError: there is no such layer, it has another shape, or it holds anything but whole numbers from 0.
        """
        if (layer or "X") not in self.matrices:
            names = [name for name in self.matrices if name != "X"]
            wanted = "X" if layer is None else f"layer '{layer}'"
            raise ValueError(
                f"expected {wanted} in {self.name}, which has the layers {names}{meant(layer or '', names)}"
            )
        matrix, shape = self.matrices[layer or "X"], (len(self.obs), len(self.genes))
        with _readable(self.name):
            pieces = [_sparse(piece) for piece in _pieces(matrix, shape)]
        start = 0
        for piece in pieces:
            self._require_counts(piece, start, layer)
            start += len(piece.indptr) - 1
        if start != shape[0]:
            raise ValueError(f"expected {shape[0]} cells in {layer or 'X'} of {self.name}, as in obs, got {start}")
        return _compact(scipy.sparse.csr_matrix(scipy.sparse.vstack(pieces)) if len(pieces) > 1 else pieces[0])

    def _require_counts(self, piece: scipy.sparse.csr_matrix, start: int, layer: str | None) -> None:
        wrong = ~_whole(piece.data)
        if not wrong.any():
            return
        first = int(wrong.argmax())
        row = start + int(np.searchsorted(piece.indptr, first, side="right")) - 1
        better = [name for name, matrix in self.matrices.items() if name != (layer or "X") and _looks_raw(matrix)]
        hint = (
            f"layers that look like raw counts: {better}" if better else "no other layer looks like raw counts either"
        )
        raise ValueError(
            f"expected raw counts (whole numbers from 0) in {layer or 'X'} of {self.name}, got {piece.data[first]:.4g} "
            f"for gene '{self.genes[piece.indices[first]]}' of cell '{self.obs.index[row]}'; {hint}"
            + ("; look into .raw too (adata.raw.to_adata())" if self.raw else "")
        )


@contextmanager
def opened(source: "Path | str | anndata.AnnData", layer: str | None) -> Iterator[Source]:
    """The file or AnnData, open until the block ends; warnings of anndata stay inside.

    layer: the matrix that will be read, which is checked first.

    Raises:
        ValueError: it is neither, is damaged or too large for the memory, or anndata is not installed.
    """
    anndata = _anndata()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if isinstance(source, Path | str):
            yield from _opened_file(Path(source), layer)
        elif not isinstance(source, anndata.AnnData):
            raise ValueError(f"expected the path of an .h5ad file or an AnnData, got {type(source).__name__}")
        elif source.isbacked:
            raise ValueError(
                f"expected an AnnData in memory, got one backed by a file; pass its path {source.filename}"
            )
        else:
            matrices = {**dict(source.layers), **({} if source.X is None else {"X": source.X})}
            names = [str(name) for name in source.var_names]
            yield Source("the AnnData", source.obs, names, matrices, source.raw is not None)


def _anndata() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import anndata
            import anndata.io
        except ImportError as error:
            raise ValueError(
                "expected anndata to read cells, but it is missing; pip install 'unbraid[anndata]'"
            ) from error
    return anndata


def _opened_file(path: Path, layer: str | None) -> Iterator[Source]:
    import h5py

    if not path.is_file():
        raise ValueError(f"expected an .h5ad file, got '{path}', which does not exist or is no file")
    if not h5py.is_hdf5(path):
        raise ValueError(f"expected an .h5ad file (HDF5), got '{path}', which is none")
    name, state = f"'{path}'", path.stat()
    fault = _fault(path, "X" if layer is None else f"layers/{layer}", state.st_size, state.st_mtime_ns)
    if fault:
        raise ValueError(f"expected a whole AnnData in {name}, but it cannot be read: {fault}")
    with h5py.File(path, "r") as file:
        with _readable(name):
            source = _described(file, name)
        yield source


@lru_cache(maxsize=64)
def _fault(path: Path, matrix: str, size: int, modified: int) -> str:
    """Why the file cannot be read, empty if it can; kept as long as the file looks the same."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("hdf5_check.py")), str(path), matrix]
    try:
        ended = subprocess.run(command, capture_output=True, timeout=SECONDS + size / BYTES_A_SECOND, check=False)
    except subprocess.TimeoutExpired:
        return "reading it does not end"
    if ended.returncode < 0:
        return f"the HDF5 library crashes on it (signal {-ended.returncode})"
    said = ended.stdout.decode(errors="replace") or ended.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    return (said or "no reason given") if ended.returncode else ""


def _described(file: Any, name: str) -> Source:
    from anndata.io import read_elem

    obs, var = read_elem(file["obs"]), file["var"]
    index: Any = read_elem(var[var.attrs.get("_index", "_index")])
    genes = [str(gene) for gene in index]
    matrices = {"X": file["X"]} if "X" in file else {}
    return Source(name, obs, genes, {**dict(file.get("layers", {})), **matrices}, "raw" in file)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Whatever reading a damaged file raises becomes one kind of error."""
    try:
        yield
    except MemoryError as error:
        raise ValueError(f"expected counts that fit into memory, got {name}, which do not") from error
    except Exception as error:
        raise ValueError(f"expected a whole AnnData in {name}, but it cannot be read: {error}") from error


def _pieces(matrix: Any, shape: tuple[int, int]) -> Iterator[Any]:
    """The matrix in pieces of rows: a sparse one whole, a dense one in parts."""
    import h5py
    from anndata.io import read_elem

    if isinstance(matrix, h5py.Group):
        sides: Any = matrix.attrs["shape"]
        declared = tuple(int(side) for side in sides)
        if declared != shape:
            raise ValueError(f"expected {shape[0]} cells x {shape[1]} genes, as in obs and var, got {declared}")
        whole: Any = read_elem(matrix)
        matrix = whole
    if tuple(matrix.shape) != shape:
        raise ValueError(f"expected {shape[0]} cells x {shape[1]} genes, as in obs and var, got {tuple(matrix.shape)}")
    if scipy.sparse.issparse(matrix):
        yield matrix
        return
    rows = max(1, VALUES // max(shape[1], 1))
    for start in range(0, max(shape[0], 1), rows):
        yield np.asarray(matrix[start : start + rows])


def _sparse(piece: Any) -> scipy.sparse.csr_matrix:
    if piece.dtype.kind not in "fiub":
        raise ValueError(f"expected numbers, got {piece.dtype}")
    if scipy.sparse.issparse(piece):
        piece.check_format(full_check=True)  # scipy follows indices that lead out of the matrix
    matrix = scipy.sparse.csr_matrix(piece)
    if scipy.sparse.issparse(piece) and np.shares_memory(matrix.data, piece.data):
        matrix = matrix.copy()  # what is someone else's stays as it is
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def _compact(matrix: Any) -> Counts:
    largest = int(matrix.data.max(initial=0))
    values = matrix.data.astype(np.min_scalar_type(largest))
    columns = matrix.indices.astype(np.min_scalar_type(max(matrix.shape[1] - 1, 0)))
    return Counts(values, columns, matrix.indptr.astype(np.int64), tuple(matrix.shape))


def _whole(values: Num[np.ndarray, " value"]) -> Shaped[np.ndarray, " value"]:
    """Which values are counts."""
    if values.dtype.kind in "ub":
        return np.ones(len(values), dtype=bool)
    return (values >= 0) & (values < 2**32) & (values == np.floor(values))


def _looks_raw(matrix: Any) -> bool:
    try:
        if hasattr(matrix, "keys"):  # a sparse one in a file
            return bool(_whole(matrix["data"][:LOOKED_AT]).all())
        if scipy.sparse.issparse(matrix):
            return bool(_whole(matrix.data[:LOOKED_AT]).all())
        return bool(_whole(np.asarray(matrix[: max(1, LOOKED_AT // max(matrix.shape[1], 1))]).ravel()).all())
    except (KeyError, TypeError, ValueError, OSError):
        return False
