"""How a run is trained, as plain values; importing this needs nothing heavy."""

from dataclasses import dataclass


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
        device: "auto" takes a GPU where there is one; else a device as PyTorch names it.

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
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validate_every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} of at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"expected a learning_rate above 0, got {self.learning_rate}; the papers use 1e-4 or 1e-3")
        if self.seed < 0:
            raise ValueError(f"expected a seed of at least 0, got {self.seed}")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"expected patience of at least 1 or None, got {self.patience}")
