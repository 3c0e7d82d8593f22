"""Comparing runs without labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unbraid.metrics import Result
    from unbraid.runs import Run


@dataclass(frozen=True)
class Ranked:
    """A run and its agreement with the others."""

    run: Path
    result: "Result"


def udr(runs: Sequence[Path], observations: int = 2000, seed: int = 0) -> list[Ranked]:
    """Rank runs of one kind (other seeds of one method on one data set) by how alike they are (UDR; Duan et al. 2020).

    Runs that disentangle find the same latents, up to order and sign; those that do not differ from each other in their
    own ways. No labels are needed.

    Args:
        runs: at least two run folders.
        observations: number of observations to encode with every run.
        seed: of the choice of observations.

    Raises:
        ValueError: fewer than two runs, runs on different data, or a model with several blocks of latents.
    """
    if len(runs) < 2:
        raise ValueError(f"expected at least two runs to compare, got {len(runs)}; name more run folders")
    import torch

    from unbraid.metrics import udr as measured
    from unbraid.recipes.evaluation import held_out
    from unbraid.recipes.judging import Subject
    from unbraid.runs import Run

    opened = [Run(path) for path in runs]
    if len({run.path.resolve() for run in opened}) < len(opened):
        raise ValueError("expected runs that differ, got one twice; its latents would agree with themselves")
    _check_same_data(opened)
    codes, divergence = {}, {}
    with torch.no_grad():
        for run in opened:
            subject = Subject(run, held_out(run)[1], observations, seed)
            forwards = [subject.model(batch) for batch in subject.batches(subject.index)]
            if set(forwards[0].posteriors) != {"z"}:
                raise ValueError(f"expected one block of latents, got {sorted(forwards[0].posteriors)} in '{run.path}'")
            name = str(run.path)
            codes[name] = torch.cat([forward.posteriors["z"].mean for forward in forwards]).numpy()
            divergence[name] = torch.cat([forward.posteriors["z"].kl() for forward in forwards]).mean(0).numpy()
    ranked = [Ranked(Path(name), result) for name, result in measured(codes, divergence).items()]
    return sorted(ranked, key=lambda each: -each.result.value)


def _check_same_data(runs: "Sequence[Run]") -> None:
    first = runs[0]
    for run in runs[1:]:
        if run.record.get("data") != first.record.get("data"):
            raise ValueError(
                f"expected runs on the same data, got {first.record.get('data')} in '{first.path}' and "
                f"{run.record.get('data')} in '{run.path}'"
            )
