"""How a run is trained, as plain values; importing this needs nothing heavy."""

from dataclasses import dataclass
from typing import Literal

Kernels = Literal["native", "reformulated", "plain"]
Precision = Literal["float32", "bfloat16"]
WAYS: tuple[Kernels, ...] = ("native", "reformulated", "plain")  # best first


@dataclass(frozen=True)
class Computation:
    """How networks compute; what they compute is the same function under all of them.

    Args:
        kernels: "plain" is the layers as they are written down, the reference; "reformulated" the same convolutions as
            denser ones, in PyTorch; "native" our own compiled kernels. A network that does not know the better ways
            computes plainly.
        precision: of the products inside networks; sums over passes, likelihoods, divergences, weights and the
            optimiser are float32 in any case.
        recompute: forget the widest activations and compute them again on the way back: less memory, more time.
    """

    kernels: Kernels = "plain"
    precision: Precision = "float32"
    recompute: bool = False


@dataclass(frozen=True)
class Training:
    """How to train; every value is recorded in the run folder.

    Args:
        steps: updates to make.
        batch_size: observations an update; with populations it is shared out equally between them.
        learning_rate: of Adam(0.9, 0.999).
        seed: of the data order, the noise and (in recipes) the initial weights.
        balanced: with populations, draw equally from each; else in proportion to their sizes.
        patience: stop after this many validations in a row without a better un-annealed bound; None never stops early.
        validate_every: steps between validations.
        log_every: steps that one logged training value averages over.
        checkpoint_seconds: seconds between checkpoints.
        snapshots: steps between copies of the weights that are kept, for figures of quality over training; None keeps
            the final ones alone.
        device: "auto" takes a GPU where there is one; else a device as PyTorch names it.
        kernels: "plain" computes layer by layer as written down; "reformulated" and "native" are faster and equal to it
            up to rounding; "auto" takes the best of them that the machine and the networks have.
        precision: of the products inside networks; "bfloat16" is faster and coarser.
        recompute: keep fewer activations and compute them again on the way back: less memory, more time; None does so
            on a CPU where a step would otherwise keep more than half a gigabyte.
        capture: on a GPU, run the whole step as one CUDA graph.
        resident: on a GPU, keep the data there if they fit.

    Raises:
        ValueError: a number is out of its range.
    """

    steps: int = 300_000
    batch_size: int = 64
    learning_rate: float = 1e-4
    seed: int = 0
    balanced: bool = True
    patience: int | None = None
    validate_every: int = 1000
    log_every: int = 50
    checkpoint_seconds: float = 60.0
    snapshots: int | None = None
    device: str = "auto"
    kernels: Literal["auto", "native", "reformulated", "plain"] = "auto"
    precision: Precision = "float32"
    recompute: bool | None = None
    capture: bool = True
    resident: bool = True

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validate_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"expected a learning_rate above 0, got {self.learning_rate}; the papers use 1e-4 or 1e-3")
        if self.seed < 0:
            raise ValueError(f"expected a seed of at least 0, got {self.seed}")
        for name in ("patience", "snapshots"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1 or None, got {getattr(self, name)}")
