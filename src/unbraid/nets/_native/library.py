"""The compiled kernels: made by the C compiler that is there, once, and loaded; none where that fails."""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shlex
import subprocess
import tempfile
from pathlib import Path

import pooch
import torch

LOGGER = logging.getLogger("unbraid")
SOURCES, PATIENCE = Path(__file__).parent, 120.0  # seconds for a compiler
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
        loaded = _loaded(half)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
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


def _loaded(half: bool) -> ctypes.CDLL | None:
    compiler = shlex.split(os.environ.get("CC") or "cc")
    # what the compiler makes of this processor; a cache folder may be shared by different machines
    target = _run([*compiler, *FLAGS, "-dM", "-E", "-x", "c", os.devnull])
    if half and b"__AVX512BF16__" not in target:
        return None
    command = [*compiler, *FLAGS, *(["-DHALF"] if half else []), str(SOURCES / "stacks.c")]
    text = b"".join(path.read_bytes() for path in sorted(SOURCES.glob("*.[ch]")))
    name = f"kernels-{hashlib.sha256(text + target + bytes(half)).hexdigest()[:16]}.so"
    try:
        return _from_cache(command, _cache() / name)
    except OSError as error:
        LOGGER.info("native kernels are compiled for this process alone: %s", error)
        with tempfile.TemporaryDirectory() as folder:  # what is loaded needs its file no more
            return ctypes.CDLL(str(_compiled(command, Path(folder) / name)))


def _from_cache(command: list[str], path: Path) -> ctypes.CDLL:
    """The kernels at `path`, compiled if they are not there or damaged; never those of another user."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_uid not in (0, os.getuid()):
        raise OSError(f"'{path}' is another user's")
    digest = path.with_suffix(".sha256")
    if not (path.exists() and digest.exists() and digest.read_bytes() == hashlib.sha256(path.read_bytes()).digest()):
        digest.unlink(missing_ok=True)  # loading what was cut off would end the process
        _compiled(command, path)
        digest.write_bytes(hashlib.sha256(path.read_bytes()).digest())
    return ctypes.CDLL(str(path))


def _compiled(command: list[str], path: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        made = Path(work) / path.name
        _run([*command, "-o", str(made)])
        made.replace(path)  # whole or not at all, whoever else is compiling
    return path


def _cache() -> Path:
    return Path(os.environ.get("UNBRAID_CACHE") or Path(pooch.os_cache("unbraid")) / "cache")


def _run(command: list[str]) -> bytes:
    ran = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
    if ran.returncode:
        raise OSError(f"'{command[0]}' failed: {ran.stderr.decode(errors='replace')[-500:]}")
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
