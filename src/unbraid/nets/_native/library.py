"""The compiled kernels: made by the C compiler that is there, once, and loaded; none where that fails."""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import subprocess
import tempfile
from pathlib import Path

import pooch
import torch

LOGGER = logging.getLogger("unbraid")
FLAGS = ("-O3", "-march=native", "-std=gnu11", "-shared", "-fPIC")


@functools.cache
def library(half: bool = False) -> ctypes.CDLL | None:
    """The kernels, compiled for this machine at first use (about 3 s) and kept in the cache folder.

    None without a working C compiler (`CC`, else `cc`) or on Windows; then PyTorch's own operations do the work.

    half: those with products of bfloat16 numbers; None also where the processor has no instruction for them.
    """
    if platform.system() == "Windows":
        return None
    try:
        path = _compiled(half)
        loaded = None if path is None else ctypes.CDLL(str(path))
    except (OSError, subprocess.SubprocessError) as error:
        LOGGER.info("no native kernels: %s", error)
        return None
    if loaded is None:
        return None
    loaded.scratch_floats.restype = ctypes.c_long
    loaded.use_threads.argtypes = [ctypes.c_void_p] * 3
    threads = _threads()
    if threads:
        loaded.use_threads(*threads)
    return loaded


def _compiled(half: bool) -> Path | None:
    compiler = os.environ.get("CC", "cc").split()
    sources = Path(__file__).parent
    # what the compiler makes of this processor; a cache folder may be shared by different machines
    target = _run([*compiler, *FLAGS, "-dM", "-E", "-x", "c", os.devnull])
    if half and b"__AVX512BF16__" not in target:
        return None
    text = b"".join(path.read_bytes() for path in sorted(sources.glob("*.[ch]")))
    name = hashlib.sha256(text + target + bytes(half)).hexdigest()[:16]
    folder = Path(os.environ.get("UNBRAID_CACHE") or Path(pooch.os_cache("unbraid")) / "cache")
    path = folder / f"kernels-{name}.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            made = Path(work) / path.name
            _run([*compiler, *FLAGS, *(["-DHALF"] if half else []), str(sources / "stacks.c"), "-o", str(made)])
            made.replace(path)  # whole or not at all, whoever else is compiling
    return path


def _run(command: list[str]) -> bytes:
    ran = subprocess.run(command, capture_output=True, check=False)
    if ran.returncode:
        raise OSError(f"'{' '.join(command[:1])}' failed: {ran.stderr.decode(errors='replace')[-500:]}")
    return ran.stdout


def _threads() -> list[int] | None:
    """Addresses of the OpenMP functions that PyTorch uses, so that its threads do the work; None if there are none."""
    torch.get_num_threads()  # what they are in is loaded by now
    names = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
    beside = Path(torch.__file__).parent / "lib"
    for path in [*sorted(beside.glob("lib*omp*")), None]:
        try:
            openmp = ctypes.CDLL(None if path is None else str(path), mode=os.RTLD_NOLOAD if path else 0)
            found = [ctypes.cast(getattr(openmp, name), ctypes.c_void_p).value for name in names]
        except (OSError, AttributeError):
            continue
        return [address for address in found if address is not None]
    return None
