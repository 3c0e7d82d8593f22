"""`unbraid transfer`: does a classifier take what was decoded as another population for one of it?"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from unbraid.metrics import Result
    from unbraid.recipes.judging import Subject


def transfer(run: Path, classifier: Path, observations: int = 2000, seed: int = 0) -> "list[Result]":
    """Say whether observations decoded as another population become some of it, and how much of them changes.

    Held-out observations of the first run are decoded as every population, their private code from the head of that
    population, and a classifier that was trained on originals names what comes out.

    Args:
        run: folder of a finished cpvae or contrastive run.
        classifier: folder of a finished run of `unbraid train classify` on the same populations and image size.
        observations: how many are decoded at most, of all populations together.
        seed: of their choice.

    Returns:
        `classification` of the originals, `transfer_accuracy` and `transfer_change`.

    Raises:
        ValueError: a run of a model that has no populations to decode as, or that is no classifier; populations or
            shapes that differ, or no observation of some population.
    """
    import torch

    from unbraid.metrics import classification, transfer_accuracy, transfer_change
    from unbraid.models import CPVAE, Classifier, ContrastiveVAE
    from unbraid.recipes.evaluation import held_out
    from unbraid.recipes.judging import Subject
    from unbraid.runs import Run

    opened = Run(run)
    subject = Subject(opened, held_out(opened)[1], observations, seed, held_out=observations)
    judge = Run(classifier).rebuild("model")
    if not isinstance(subject.model, CPVAE | ContrastiveVAE):
        raise ValueError(f"expected a cpvae or contrastive run first, got {type(subject.model).__name__} in '{run}'")
    if not isinstance(judge, Classifier):
        raise ValueError(
            f"expected a run of `unbraid train classify` second, got {type(judge).__name__} in '{classifier}'"
        )
    if judge.populations != subject.model.populations or tuple(judge.shape) != tuple(subject.model.shape):
        raise ValueError(
            f"expected a classifier of {subject.model.populations} for shape {subject.model.shape}, got one of "
            f"{judge.populations} for {judge.shape}; train it with the options of '{run}'"
        )
    judge = Subject(Run(classifier), subject.data, observations, seed, held_out=observations)
    of, decoded, named, originals = _decoded(subject, judge)
    with torch.no_grad():
        return [classification(originals, of), transfer_accuracy(named, of), transfer_change(decoded, of)]


def _decoded(subject: "Subject", judge: "Subject") -> "tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]":
    """Populations, `[n, population, *shape]` as every population, and log-probabilities of these and of originals."""
    import numpy as np
    import torch

    from unbraid.models import CPVAE, Classifier, ContrastiveVAE
    from unbraid.progress import ProgressBar
    from unbraid.recipes.judging import CHUNK

    model, classifier, done = subject.model, judge.model, 0
    assert isinstance(model, CPVAE | ContrastiveVAE)
    assert isinstance(classifier, Classifier)
    assert subject.data.population is not None
    parts: list[list[np.ndarray]] = []
    chunks = np.array_split(subject.index, -(-len(subject.index) // CHUNK))
    bar = ProgressBar(f"{subject.run.path.name}: decoding", len(subject.index), "observations")
    with torch.no_grad(), bar as display:
        for chunk in chunks:
            batch = subject.data.batch(chunk)
            decoded = model.transfer(batch.x, batch.library)
            named = torch.stack([classifier.log_probabilities(each) for each in decoded.unbind(1)], dim=1)
            parts.append([decoded.numpy(), named.numpy(), classifier.log_probabilities(batch.x).numpy()])
            done += len(chunk)
            display.show(done)
    decoded, named, originals = (np.concatenate(each) for each in zip(*parts, strict=True))
    return subject.data.population[subject.index], decoded, named, originals
