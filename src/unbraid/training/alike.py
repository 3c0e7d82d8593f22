"""What members must have in common to be trained together, and what each then computes."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import Tensor
from torch.func import functional_call

from unbraid.configuration import describe
from unbraid.data.contract import Data
from unbraid.models.contract import Model
from unbraid.nets import Network
from unbraid.randomness import Purpose
from unbraid.settings import WAYS, Computation, Training
from unbraid.training.loop import Loop
from unbraid.types import Batch, Forward

ALONE = "; train those that differ on their own"


def check_trainings(trainings: Sequence[Training]) -> None:
    """Refuse settings that differ in more than the seed.

    Raises:
        ValueError: they do.
    """
    first, *others = [{**asdict(training), "seed": 0} for training in trainings]
    for other in others:
        differing = [name for name in first if first[name] != other[name]]
        if differing:
            raise ValueError(
                f"expected members whose training differs in the seed alone, got {differing[0]} "
                f"{first[differing[0]]} and {other[differing[0]]}{ALONE}"
            )


def check_models(models: Sequence[Model]) -> None:
    """Refuse models that cannot share one computation.

    Raises:
        ValueError: one object several times, or classes, weights or populations differ.
    """
    if len({id(model) for model in models}) < len(models):
        raise ValueError("expected a model of its own for each member, got one object several times; build it anew")
    first = models[0]
    for other in models[1:]:
        if type(other) is not type(first) or _shapes(other) != _shapes(first):
            raise ValueError(f"expected members with models of one class and shape, got {first!r} and {other!r}{ALONE}")
        if tuple(other.populations) != tuple(first.populations):
            raise ValueError(
                f"expected members with one list of populations, got {first.populations} and {other.populations}{ALONE}"
            )


def check_members(members: Sequence[Loop]) -> None:
    """Refuse members that cannot be computed as one.

    Raises:
        ValueError: copies, held-out data or what a model computes differ, or batches would not be of the same
            populations.
    """
    if len({member.objective.copies for member in members}) > 1:
        raise ValueError(f"expected objectives with one number of copies, got several{ALONE}")
    if len({member.validation is None for member in members}) > 1:
        raise ValueError("expected held-out data for all members or none, got them for some; pass validation to all")
    if members[0].model.populations and not members[0].training.balanced:
        raise ValueError(
            "expected balanced batches, in which the populations are the same for all members, got balanced=False; "
            "use balanced=True, or train each seed on its own"
        )
    for member in members[1:]:
        check_code(members[0], member)


@torch.no_grad()
def check_code(first: Loop, other: Loop) -> None:
    """Refuse a model that computes something else than the first one would with the same weights.

    Raises:
        ValueError: it does, since constructor arguments that are no weights differ.
    """
    few = _few(other.supply(0), len(set(other.data.populations)))
    state = {**dict(other.model.named_parameters()), **dict(other.model.named_buffers())}
    found = []
    for model, weights in ((first.model, state), (other.model, {})):
        training = model.training
        model.eval()
        generator = torch.Generator(first.device).manual_seed(Purpose.NOISE)
        found.append(functional_call(model, weights, (few, generator)))
        model.train(training)
    pairs = zip(*(_values(forward) for forward in found), strict=True)
    if not all(torch.allclose(one, two, rtol=1e-6, atol=0, equal_nan=True) for one, two in pairs):
        raise ValueError(
            f"expected models that differ in their weights alone, got {first.model!r} and {other.model!r}, which "
            f"compute something else from the same weights{ALONE}"
        )


def computations_together(training: Training, model: Model, device: torch.device) -> list[Computation]:
    """How networks may compute for all members at once, best first; native kernels compute one model at a time.

    Raises:
        ValueError: native kernels or recomputation were asked for.
    """
    if training.recompute:
        raise ValueError(
            "expected recompute=False for members that are trained at once, got True; train fewer at once instead"
        )
    if training.kernels == "native":
        raise ValueError(
            "expected kernels that compute several members at once, got 'native'; use 'auto', or train each seed in a "
            "process of its own"
        )
    ways = WAYS[WAYS.index("reformulated") :] if training.kernels == "auto" else (training.kernels,)
    found = [Computation(way, training.precision) for way in ways]
    networks = [part for part in model.modules() if isinstance(part, Network)]
    return [each for each in found if each.kernels == "plain" or any(part.knows(each, device) for part in networks)]


class Shared:
    """Data sets, each once, however often it is described or opened."""

    def __init__(self, data: Sequence[Data] = ()):
        self.known = {_key(each): each for each in data}

    def __call__(self, data: Data) -> Data:
        """The first that is the same."""
        return self.known.setdefault(_key(data), data)

    def described(self, plain: object) -> Data | None:
        """The one with this description, None if there is none yet."""
        return self.known.get(json.dumps(plain, sort_keys=True))


def _key(data: Data) -> str:
    return json.dumps(describe(data), sort_keys=True)


def _few(batch: Batch, populations: int) -> Batch:
    """Two observations, and some of every population if batches are grouped by them."""
    step = max(1, len(batch) // (2 * max(1, populations)))
    return Batch(*(None if part is None else part[::step] for part in (batch.x, batch.population, batch.library)))  # type: ignore[arg-type]


def _values(forward: Forward) -> list[Tensor]:
    return [forward.output, forward.log_likelihood, *forward.samples.values()]


def _shapes(model: Model) -> list[tuple[str, tuple[int, ...]]]:
    learned = [(f"{name}, learned: {value.requires_grad}", value) for name, value in model.named_parameters()]
    named = [*learned, *model.named_buffers()]
    return [(name, tuple(value.shape)) for name, value in named] + [(str(type(part)), ()) for part in model.modules()]
