"""Reads through an .h5ad file in a process of its own, since the HDF5 library can crash on a damaged one.

Run as a script, it needs nothing but h5py: `python hdf5_check.py FILE MATRIX`. It ends with 0 if all that will be read
can be, and with 3 and a sentence on standard output if not.
"""

import os
import sys
from typing import Any

import h5py

RATIO = 10_000  # stored bytes hold at most so many times their number; deflate reaches 1,032
VALUES = 4_000_000  # read at a time
REFUSED = 3


def main(path: str, matrix: str) -> None:
    """Read obs, var and a matrix of the file once, and every attribute on the way.

    Raises:
        ValueError: the file is no AnnData, or says that something is there which cannot be.
    """
    with h5py.File(path, "r") as file:
        missing = [name for name in ("obs", "var") if not isinstance(file.get(name), h5py.Group)]
        if missing:
            raise ValueError(f"expected the groups obs and var, got {sorted(file)}")
        _attributes(file)
        for name in ("obs", "var", matrix, "layers"):
            if name in file:
                found = _inside(file[name])
                for dataset in found:
                    _check_size(dataset)
                for dataset in found if name != "layers" else []:
                    _read(dataset)


def _inside(item: Any) -> list[h5py.Dataset]:
    """Every dataset of a group, each once."""
    _attributes(item)
    if isinstance(item, h5py.Dataset):
        return [item]
    links: list[str] = []
    item.visititems_links(lambda name, link: links.append(name) if not isinstance(link, h5py.HardLink) else None)
    if links:
        raise ValueError(f"'{links[0]}' is a link")
    found: list[Any] = []
    item.visititems(lambda _, each: found.append(each))
    for each in found:
        _attributes(each)
    return [each for each in found if isinstance(each, h5py.Dataset)]


def _attributes(item: Any) -> None:
    for name in item.attrs:
        item.attrs[name]


def _check_size(dataset: h5py.Dataset) -> None:
    """Refuse what a header says is there if it cannot be, before memory is taken for it, and other files' content."""
    needed, stored = (dataset.size or 0) * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{dataset.name} takes its values from another file")
    if needed > RATIO * (stored + 1000):
        raise ValueError(f"{dataset.name} says that it has {needed:,} bytes, but only {stored:,} are stored")
    if needed > _memory():
        raise ValueError(f"{dataset.name} needs {needed / 1e9:.1f} GB, more than the memory of this machine")


def _read(dataset: h5py.Dataset) -> None:
    if not dataset.shape:
        dataset[()]
        return
    rows = max(1, VALUES // max(1, (dataset.size or 0) // max(dataset.shape[0], 1)))
    for start in range(0, dataset.shape[0], rows):
        dataset[start : start + rows]


def _memory() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return float("inf")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # whatever h5py raises on a damaged file
        sys.stdout.write(str(error))
        sys.exit(REFUSED)
