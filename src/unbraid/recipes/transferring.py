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
        ValueError: a run of a model that has no populations to decode as, or that is no classifier; shuffled
            populations; populations, shapes or held-out data that differ, no observation, or none of some population.
    """
    import torch

    from unbraid.metrics import classification, transfer_accuracy, transfer_change
    from unbraid.models import CPVAE, Classifier, ContrastiveVAE
    from unbraid.recipes.evaluation import held_out
    from unbraid.recipes.judging import Subject
    from unbraid.recipes.stability import shuffled
    from unbraid.runs import Run

    if observations < 2:
        raise ValueError(f"expected at least 2 observations, got {observations}; 2000 are usual")
    opened, other = Run(run), Run(classifier)
    part, data = held_out(opened)
    subject = Subject(opened, data, observations, seed, held_out=observations)
    judge = other.rebuild("model")
    if not isinstance(subject.model, CPVAE | ContrastiveVAE):
        raise ValueError(f"expected a cpvae or contrastive run first, got {type(subject.model).__name__} in '{run}'")
    if not isinstance(judge, Classifier):
        raise ValueError(
            f"expected a run of `unbraid train classify` second, got {type(judge).__name__} in '{classifier}'"
        )
    if shuffled(opened):
        raise ValueError(f"expected true populations, got shuffled ones in '{run}'; nobody could tell them apart")
    if judge.populations != subject.model.populations or tuple(judge.shape) != tuple(subject.model.shape):
        raise ValueError(
            f"expected a classifier of {subject.model.populations} for shape {subject.model.shape}, got one of "
            f"{judge.populations} for {judge.shape}; train it with the options of '{run}'"
        )
    if other.record.get(part) != opened.record[part]:
        raise ValueError(
            f"expected runs that hold out the same data, got others in '{classifier}', which may have learned from "
            f"those of '{run}'; train it with the same data, options and seed"
        )
    judge = Subject(other, data, observations, seed, held_out=observations)
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
    count, kinds = len(subject.index), len(model.populations)
    decoded = np.empty((count, kinds, *model.shape), dtype=np.float32)  # the largest there is: never twice
    named, originals = np.empty((count, kinds, kinds)), np.empty((count, kinds))
    bar = ProgressBar(f"{subject.run.path.name}: decoding", count, "observations")
    with torch.no_grad(), bar as display:
        for place in np.array_split(np.arange(count), -(-count // CHUNK)):
            batch = subject.data.batch(subject.index[place])
            as_every = model.transfer(batch.x, batch.library)
            decoded[place] = as_every.numpy()
            for k, each in enumerate(as_every.unbind(1)):
                named[place, k] = classifier.log_probabilities(each.contiguous()).numpy()
            originals[place] = classifier.log_probabilities(batch.x).numpy()
            done += len(place)
            display.show(done)
    return subject.data.population[subject.index], decoded, named, originals
