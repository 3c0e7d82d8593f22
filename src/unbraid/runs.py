"""The run folder: the only interface between training and everything that looks at results."""

import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from unbraid.configuration import build

try:
    import fcntl
except ImportError:
    fcntl = None

__all__ = ["FORMAT", "Run", "machine", "versions", "write_atomically"]

FORMAT = 1


class Run:
    """A training run in a folder.

    `run.json` says what was run (arguments, seed, versions, and descriptions from which model, objective and data are
    rebuilt), `status.json` how far it came, `metrics.jsonl` holds every logged value, `weights.safetensors` the trained
    weights, `snapshots/` those of earlier steps, `checkpoint.pt` what `resume` needs, `evaluation/` what
    was measured on it.

    Raises:
        ValueError: the folder is no run, or one of another format.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        file = self.path / "run.json"
        if not file.is_file():
            raise ValueError(f"expected a run folder (with run.json), got '{path}'; `unbraid list DIR` shows runs")
        try:
            self.record: dict[str, Any] = json.loads(file.read_text())
            found = self.record["format"]
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f"expected '{file}' to be a run's description in JSON, but it is damaged: {error}"
            ) from error
        if found != FORMAT:
            raise ValueError(
                f"expected a run of format {FORMAT} (unbraid {version('unbraid')}), got format {found} in '{path}' "
                f"(unbraid {self.record.get('unbraid', '?')}); open it with that version"
            )

    @classmethod
    def create(cls, path: Path | str, record: dict[str, Any], prepare: "Callable[[Run], None] | None" = None) -> "Run":
        """A new run folder, made complete or not at all; `prepare` may put more into it before it appears.

        Raises:
            ValueError: something is already there.
        """
        path = Path(path)
        cls.check_free(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        full = {
            "format": FORMAT,
            "unbraid": version("unbraid"),
            "name": path.name,
            "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            **record,
            "versions": versions(),
            "machine": machine(),
        }
        new = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        try:
            new.chmod(0o755)
            (new / "run.json").write_text(json.dumps(full, indent=1) + "\n")
            cls(new).set_status("created", 0, 0.0)
            if prepare is not None:
                prepare(cls(new))
            new.rename(path)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        return cls(path)

    @staticmethod
    def check_free(path: Path) -> None:
        """Refuse a path where something is already.

        Raises:
            ValueError: it holds something.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ValueError(
                f"expected a new or empty folder for the run, got '{path}', which holds something; "
                f"`unbraid resume {path}` continues a run, or choose another folder"
            )

    def rebuild(self, part: str) -> Any:
        """The `model`, `objective`, `data` or `validation` of the run, from its description; None if it had none.

        Raises:
            ValueError: the part is not described, was an array in memory, which no description can bring back, or is
                read from other files than the run's.
        """
        if part not in self.record:
            raise ValueError(
                f"expected the {part} in '{self.path / 'run.json'}', got only {sorted(self.record)}; "
                "the file is damaged, or the run was not made by `unbraid.training.train`"
            )
        built = build(self.record[part])
        # a description of official data says where the files are, not what is in them
        files = _files(self.record.get("facts", {}).get(part, {}))
        if files and (found := _files(built.facts())) != files:
            raise ValueError(
                f"expected {part} from the run's files, with SHA-256 {files}, got {found}; bring them back"
            )
        return built

    # what happened

    @property
    def status(self) -> dict[str, Any]:
        """State (`created`, `running`, `interrupted`, `failed`, `finished`), step, seconds and a message.

        Raises:
            ValueError: the file is damaged or missing.
        """
        file = self.path / "status.json"
        try:
            status = json.loads(file.read_text())
            return {name: status[name] for name in ("status", "step", "seconds", "message")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"expected the run's status as JSON in '{file}', but it is damaged: {error}") from error

    def set_status(self, state: str, step: int, seconds: float, message: str = "") -> None:
        """Replace the status."""
        status = {"status": state, "step": step, "seconds": round(seconds, 3), "message": message}
        write_atomically(self.path / "status.json", json.dumps(status).encode())

    def log(self, values: dict[str, Any]) -> None:
        """Append one line to the metrics."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(values) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """Every logged line; one that was cut off while it was written is left out."""
        file = self.path / "metrics.jsonl"
        lines = file.read_text().split("\n")[:-1] if file.is_file() else []
        return [json.loads(line) for line in lines if line.strip()]

    # weights and checkpoints

    def save_weights(self, weights: dict[str, Tensor], name: str = "weights.safetensors") -> None:
        """Write weights whole or not at all."""
        # as bytes: save_file would make a file that only its owner may read
        write_atomically(
            self.path / name, save({key: value.detach().cpu().contiguous() for key, value in weights.items()})
        )

    def load_weights(self, name: str = "weights.safetensors") -> dict[str, Tensor]:
        """The trained weights.

        Raises:
            ValueError: there are none yet, or the file is damaged.
        """
        file = self.path / name
        if not file.is_file():
            raise ValueError(
                f"expected trained weights in '{file}', but the run is {self.status['status']}; "
                f"`unbraid resume {self.path}` finishes it"
            )
        try:
            return load_file(file)
        except (SafetensorError, OSError, ValueError) as error:
            raise ValueError(f"expected weights in '{file}', but the file is damaged: {error}; train again") from error

    def weights_checksum(self, name: str = "weights.safetensors") -> str:
        """SHA-256 of the trained weights, or of a snapshot.

        Raises:
            ValueError: there are none yet, or the file is damaged.
        """
        self.load_weights(name)
        return hashlib.sha256((self.path / name).read_bytes()).hexdigest()

    def save_snapshot(self, step: int, weights: dict[str, Tensor]) -> None:
        """Keep weights as they are after `step` updates."""
        (self.path / "snapshots").mkdir(exist_ok=True)
        self.save_weights(weights, f"snapshots/step-{step:07d}.safetensors")

    def snapshots(self) -> dict[int, str]:
        """Names of the kept weights by the number of updates, in their order; `load_weights` takes them."""
        files = sorted((self.path / "snapshots").glob("step-*.safetensors"))
        return {int(file.stem.removeprefix("step-")): f"snapshots/{file.name}" for file in files}

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Write what resuming needs, whole or not at all; the one before it is kept as `checkpoint.previous.pt`."""
        metrics = self.path / "metrics.jsonl"
        state = {**state, "format": FORMAT, "metrics_bytes": metrics.stat().st_size if metrics.is_file() else 0}
        file, temporary = self.path / "checkpoint.pt", self.path / "checkpoint.pt.tmp"
        with temporary.open("wb") as handle:
            torch.save(state, handle)
            handle.flush()
            os.fsync(handle.fileno())
        if file.is_file():
            file.replace(self.path / "checkpoint.previous.pt")
        temporary.replace(file)

    def load_checkpoint(self, previous: bool = False) -> dict[str, Any] | None:
        """The last checkpoint, or None if there is none; `metrics_bytes` says how long the metrics were then.

        previous: the one before the last instead.

        Raises:
            ValueError: the checkpoint is damaged.
        """
        files = [self.path / name for name in ("checkpoint.pt", "checkpoint.previous.pt")]
        file = next((file for file in files[previous:] if file.is_file()), None)
        if file is None:
            return None
        try:
            state = torch.load(file, weights_only=True, map_location="cpu")
            expected = state["format"] == FORMAT
        except Exception as error:  # torch raises many kinds for a damaged file, with unsafe advice in them
            hint = f"delete it to go on from '{files[1].name}'" if files[1].is_file() else "it cannot be resumed"
            raise ValueError(f"expected a checkpoint in '{file}', but the file is damaged; {hint}") from error
        if not expected:
            raise ValueError(f"expected a checkpoint of format {FORMAT}, got {state['format']} in '{file}'")
        return state

    def cut_metrics(self, size: int) -> None:
        """Leave out what was logged after a checkpoint, since a resumed run logs it again; never half a line."""
        file = self.path / "metrics.jsonl"
        if file.is_file():
            kept = file.read_bytes()[:size]
            write_atomically(file, kept[: kept.rfind(b"\n") + 1])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for one process; released when the process ends, however it does.

        Raises:
            ValueError: another process holds it.
        """
        with (self.path / "lock").open("w") as handle:
            if fcntl is not None:  # not on Windows
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise ValueError(
                        f"expected '{self.path}' to be free, but another process is training it; "
                        "wait for it, or stop it"
                    ) from error
            try:
                yield
            finally:
                if fcntl is not None:  # while it is still held, so that nobody else's is removed
                    (self.path / "lock").unlink(missing_ok=True)

    # what was measured

    def save_evaluation(self, results: dict[str, Any], arrays: dict[str, Shaped[np.ndarray, "..."]]) -> None:
        """Write `evaluation/results.json` and `evaluation/arrays.npz`."""
        self._save_measured("results.json", results, "arrays.npz", arrays)

    def evaluation(self) -> dict[str, Any] | None:
        """The evaluation's results, or None if the run was not evaluated."""
        file = self.path / "evaluation" / "results.json"
        return json.loads(file.read_text()) if file.is_file() else None

    def save_forgetting(self, results: dict[str, Any], arrays: dict[str, Shaped[np.ndarray, "..."]]) -> None:
        """Write `evaluation/forgetting.json` and `evaluation/forgetting.npz`."""
        self._save_measured("forgetting.json", results, "forgetting.npz", arrays)

    def forgetting(self) -> dict[str, Any] | None:
        """What this run and those before it know of every task, or None if nobody asked; "results" has the numbers."""
        file = self.path / "evaluation" / "forgetting.json"
        return json.loads(file.read_text()) if file.is_file() else None

    def _save_measured(
        self, name: str, results: dict[str, Any], beside: str, arrays: dict[str, Shaped[np.ndarray, "..."]]
    ) -> None:
        folder = self.path / "evaluation"
        folder.mkdir(exist_ok=True)
        temporary = folder / f"{beside}.{os.getpid()}.tmp.npz"  # two evaluations may run at once
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
        temporary.replace(folder / beside)
        write_atomically(folder / name, (json.dumps(results, indent=1) + "\n").encode())

    def save_over_training(self, points: dict[str, Any]) -> None:
        """Write `evaluation/over_training.json`."""
        folder = self.path / "evaluation"
        folder.mkdir(exist_ok=True)
        write_atomically(folder / "over_training.json", (json.dumps(points, indent=1) + "\n").encode())

    def over_training(self) -> dict[str, Any] | None:
        """What was measured on the snapshots (`follow`), or None if nothing was.

        Under "points", in the order of "step", each has its "seconds" of training and its "results".
        """
        file = self.path / "evaluation" / "over_training.json"
        return json.loads(file.read_text()) if file.is_file() else None


def versions() -> dict[str, str]:
    """Versions that decide what a run computes."""
    return {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}


def machine() -> str:
    """Kind of machine, and threads, over which sums are split."""
    return f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads"


def write_atomically(file: Path, content: bytes) -> None:
    """Replace `file` by `content`, whole or not at all."""
    temporary = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())  # else a power cut may leave the new name with nothing in it
    temporary.replace(file)


def _files(facts: Any, where: str = "") -> dict[str, Any]:
    """Checksums of files in the facts of data, also of data that other data are made of."""
    if not isinstance(facts, dict):
        return {}
    found = {} if facts.get("files") is None else {where: facts["files"]}
    for name, inner in facts.items():
        if name != "files":
            found |= _files(inner, f"{where}/{name}" if where else str(name))
    return found
