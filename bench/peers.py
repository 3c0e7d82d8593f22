"""pythae in an environment of its own, made on first use, and a process in it that takes steps in turn with ours."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from harness import Contender
from rich.console import Console

from unbraid.data import Sprites

ROOT = Path(__file__).parent.parent
HOME = ROOT / "build" / "bench-env"
PYTHON = HOME / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
READY = HOME / "ready"
NEEDED = ("torch", "numpy", "scipy", "cloudpickle", "pydantic", "tqdm")  # all that importing its trainers takes
PYTHAE = "pythae==0.1.2"
IMAGES = 1024
# its process holds one model where ours holds several, and would give memory back to the system at the end of each step
KEEPING = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**30)}


def installed() -> bool:
    """Whether the environment is there."""
    return READY.exists()


def install() -> None:
    """Make the environment, with the PyTorch that `constraints.txt` names, if it is not there.

    Raises:
        subprocess.CalledProcessError: it could not be made.
    """
    if installed():
        return
    Console().print(f"Installing {PYTHAE} into {HOME.relative_to(ROOT)}: 1.1 GB, about a minute, once", markup=False)
    began = time.monotonic()
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(HOME)], check=True)
    subprocess.run([*pip, *constraints, *NEEDED], check=True)
    # alone, since it names a back-port that no current Python needs
    subprocess.run([*pip, "--no-deps", PYTHAE], check=True)
    READY.touch()
    Console().print(f"installed in {time.monotonic() - began:.0f} s")


class Pythae:
    """The process; only one of it and us computes at a time, since it steps when it is told to and we wait."""

    def __init__(self, threads: int):
        self.folder = tempfile.TemporaryDirectory()
        images = Path(self.folder.name) / "images.npy"
        sprites = Sprites()
        chosen = np.random.default_rng(0).integers(0, len(sprites), IMAGES)
        np.save(images, sprites.batch(chosen).x.numpy().astype(np.uint8))
        self.errors = (HOME / "errors.txt").open("w")
        command = [str(PYTHON), "-W", "ignore", str(Path(__file__).with_name("pythae_worker.py")), str(images)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors}
        self.process = subprocess.Popen([*command, str(threads)], **pipes, env={**os.environ, **KEEPING}, text=True)

    def __enter__(self) -> "Pythae":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()  # it ends with its input
        self.errors.close()
        self.folder.cleanup()

    def contender(self, case: str, how: str) -> Contender:
        """A case of `pythae_worker.py`, stepped in its "trainer" or "bare"."""

        def turn(calls: int) -> float:
            assert self.process.stdin
            assert self.process.stdout
            steps = max(calls, 4) if how == "trainer" else calls  # an epoch of one step would be all beginning
            self.process.stdin.write(json.dumps({"case": case, "how": how, "calls": steps}) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
            if not answer:
                raise RuntimeError(f"expected times of pythae, got none; see '{self.errors.name}'")
            return json.loads(answer)["seconds"] / steps * calls

        return turn
