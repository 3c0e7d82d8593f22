"""How an evaluation estimates log p(x), as plain values; importing this needs nothing heavy."""

from dataclasses import dataclass

from unbraid.settings import Precision


@dataclass(frozen=True)
class Draws:
    """How log p(x) is estimated by importance sampling; every value is part of what a result is remembered by.

    Args:
        samples: draws of each latent block an observation.
        pairs: weigh all samples x samples pairs of shared and private draws where the model allows it (a CPVAE that
            adds its parts, with a Gaussian likelihood), at the price of decoding each draw once; without, and for other
            models, one private draw goes with each shared one.
        widen: what the deviations of the posterior are multiplied with before it proposes.
        observations: how many, drawn from the held-out data; by default as many as 40,000 passes through a decoder are
            enough for, but at least 50 and at most 500. A classifier names as many, by default all that are encoded.
        precision: of the networks; "bfloat16" is faster and coarser.
        refine: updates by which the proposal of each observation is improved first (hundreds; each costs about three
            draws); 0 proposes from the posteriors as they are. Pairs are not taken then, and whoever has classes named
            pays for every population.

    Raises:
        ValueError: a number is out of its range.
    """

    samples: int = 64
    pairs: bool = True
    widen: float = 1.0
    observations: int | None = None
    precision: Precision = "float32"
    refine: int = 0

    def __post_init__(self) -> None:
        if self.samples < 2:
            raise ValueError(f"expected at least 2 samples, got {self.samples}; the error is taken from their spread")
        if not self.widen > 0:
            raise ValueError(f"expected widen above 0, got {self.widen}; 1 proposes from the posterior itself")
        if self.observations is not None and self.observations < 2:
            raise ValueError(f"expected at least 2 observations, got {self.observations}")
        if self.refine < 0:
            raise ValueError(f"expected 0 or more updates to refine by, got {self.refine}")
