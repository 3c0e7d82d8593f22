"""The members of a joint training and the step that is one for all of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from unbraid.configuration import describe
from unbraid.models.contract import Asked
from unbraid.objectives.contract import Adversarial
from unbraid.randomness import Purpose, derived_seed
from unbraid.training.loop import Loop
from unbraid.training.stack import Given, Stack, Tree, minimised, minimised_each, rows, side_by_side
from unbraid.types import Batch, Progress

Terms = dict[str, Float[Tensor, " member"]]


@dataclass(frozen=True)
class Inputs:
    """What a step computes with, beside the weights; one for each member, in the order of the stack.

    second: the adversaries' batches, None without an adversary.
    """

    given: Given
    noise: Sequence[Tensor]
    progress: Sequence[Progress]
    second: Sequence[Batch | None]


class Group:
    """Neighbours in the stack that minimise the same.

    members: their loops.
    start: the place of the first.
    vectorised: whether their objective is computed for all at once; else one after the other, as an adversary's is.
    """

    def __init__(self, members: Sequence[Loop], start: int, vectorised: bool):
        self.members, self.where = list(members), slice(start, start + len(members))
        self.vectorised = vectorised

    def terms(self, inputs: Inputs, found: Tree) -> Terms:
        """Loss and terms of each of them, of the stack's batches and passes."""
        given, found = inputs.given.of(self.where), rows(found, self.where)
        progress = inputs.progress[self.where.start]
        if self.vectorised:
            return minimised(self.members[0].objective, given, found, progress)
        return minimised_each([member.objective for member in self.members], given, found, progress)

    def opposed(self, samples: dict[str, Tensor], inputs: Inputs) -> Terms:
        """The terms of their adversaries, each updated after its model."""
        terms = []
        for place, member in enumerate(self.members, start=self.where.start):
            second = inputs.second[place]
            if member.adversary is None or second is None:
                return {}
            terms.append(member.adversary.compute(rows(samples, place), second))
        return side_by_side(terms)

    def table(self, window: Sequence[Terms]) -> tuple[list[str], Float[Tensor, "member step term"]]:
        """Names and values of the terms in a window of steps, on the CPU."""
        names = list(window[0])
        device = window[0]["loss"].device
        values = torch.stack([torch.stack([entry[name].to(device) for name in names]) for entry in window])
        return names, values.cpu().permute(2, 0, 1)


class Ensemble:
    """Loops at one step, whose models and optimisers are rows of a `Stack`, and the terms of their last steps.

    members: in the order of the stack, those with the same objective side by side.

    Raises:
        ValueError: PyTorch cannot compute their model for several members at once.
    """

    def __init__(self, members: Sequence[Loop]):
        self.step, self.device = members[0].step, members[0].device
        self.draws = draws(members[0])
        self.vectorised = {objective_of(member): not isinstance(member.objective, Adversarial) for member in members}
        self.arrange(members)
        self.try_out()

    def arrange(self, members: Sequence[Loop]) -> None:
        """Stack these members, and put the windows of terms that they hold side by side."""
        order = {key: index for index, key in enumerate(self.vectorised)}
        self.members = sorted(members, key=lambda member: order[objective_of(member)])
        self.groups: list[Group] = []
        if not members:
            return
        for key, neighbours in groupby(self.members, key=objective_of):
            start = sum(len(group.members) for group in self.groups)
            self.groups.append(Group(list(neighbours), start, self.vectorised[key]))
        self.stack = Stack([member.model for member in self.members], [member.optimizer for member in self.members])
        window = range(len(self.members[0].window))
        self.window = [
            [side_by_side([member.window[step] for member in group.members]) for group in self.groups]
            for step in window
        ]

    def update(self) -> None:
        """One update of every model, and then of its adversary if it has one."""
        self.window.append(self.compute(self.inputs()))
        self.step += 1
        for member in self.members:
            member.step = self.step

    def inputs(self) -> Inputs:
        """The first half of an update: what the host decides."""
        batches = [
            member.supply.changed(batch, self.step) for member, batch in zip(self.members, self.read(), strict=True)
        ]
        first = batches[0]
        population, library = (
            None if getattr(first, name) is None else torch.stack([getattr(batch, name) for batch in batches])
            for name in ("population", "library")
        )
        if population is not None and self.members[0].model.populations:
            population = population[0]  # balanced batches: the same for all
        given = Given(torch.stack([batch.x for batch in batches]), population, library, first.groups)
        second = [member.adversary and member.adversary.inputs(self.step) for member in self.members]
        return Inputs(given, self.noise(), [member.progress() for member in self.members], second)

    def compute(self, inputs: Inputs) -> list[Terms]:
        """The second half: what the device computes, in place; the terms of each group."""
        found = self.stack(inputs.given, inputs.noise)
        named = [group.terms(inputs, found) for group in self.groups]
        self.stack.optimizer.zero_grad(set_to_none=True)
        torch.cat([terms["loss"] for terms in named]).sum().backward()
        self.stack.optimizer.step()
        reported, samples = self.stack.reported(), {name: z.detach() for name, z in found["samples"].items()}
        for group, terms in zip(self.groups, named, strict=True):
            terms.update(rows(reported, group.where) | group.opposed(samples, inputs))
        return [{name: value.detach() for name, value in terms.items()} for terms in named]

    def read(self) -> list[Batch]:
        """The observations of this step for each member, read together where all have the same data."""
        supplies = [member.supply for member in self.members]
        first, size = supplies[0], self.members[0].training.batch_size
        if any(supply.data is not first.data for supply in supplies):
            return [supply.read(self.step) for supply in supplies]
        if first.resident is not None:
            uploads = [supply.uploaded(self.step) for supply in supplies if supply.uploaded]
            batch = first.resident.batch(torch.cat(uploads))
        else:
            index = np.concatenate([supply.batches(self.step) for supply in supplies])
            batch = first.data.batch(index).to(self.device)
        return [batch.map(lambda part, start=start: part[start : start + size]) for start in range(0, len(batch), size)]

    def noise(self) -> list[Float[Tensor, "member ..."]]:
        """The noise of this step, each member's from its own seed, as its own run would draw it."""
        count = len(self.members)
        drawn = [torch.empty((count, *shape), dtype=dtype, device=self.device) for shape, dtype in self.draws]
        for index, member in enumerate(self.members):
            member.generator.manual_seed(derived_seed(member.training.seed, Purpose.NOISE, self.step))
            for tensor in drawn:
                torch.randn(tensor.shape[1:], generator=member.generator, out=tensor[index])
        return drawn

    def try_out(self) -> None:
        """A pass there and back that changes nothing; an objective that PyTorch cannot vectorise is not.

        Raises:
            ValueError: a network or likelihood does what `torch.func.vmap` cannot.
        """
        kept, inputs = self.stack.buffers, self.inputs()
        self.stack.buffers = {name: buffer.clone() for name, buffer in kept.items()}
        try:
            found = self.stack(inputs.given, inputs.noise)
            self.gradients(found["log_likelihood"])
            self.stack.reported()
        except (RuntimeError, NotImplementedError) as error:
            model, precision = type(self.members[0].model).__name__, self.members[0].training.precision
            raise ValueError(
                "expected a model whose pass can be computed for several members at once, but PyTorch cannot do so for "
                f"this {model} in {precision}: {str(error).splitlines()[0]}; train each seed on its own"
            ) from error
        finally:
            self.stack.buffers = kept
        for group in self.groups:
            group.vectorised = group.vectorised and self.takes_all(group, inputs, found)
            self.vectorised[objective_of(group.members[0])] = group.vectorised

    def takes_all(self, group: Group, inputs: Inputs, found: Tree) -> bool:
        """Whether the group's objective can be computed for all its members at once."""
        try:
            self.gradients(group.terms(inputs, found)["loss"])
        except (RuntimeError, NotImplementedError):
            return False
        return True

    def gradients(self, values: Float[Tensor, "member ..."]) -> None:
        """Go back from some values; the stack stays as it is."""
        weights = [weight for weight in self.stack.weights.values() if weight.requires_grad]
        torch.autograd.grad(values.sum(), weights, retain_graph=True, allow_unused=True)

    def hand_back(self) -> None:
        """Give each member what it needs to save itself or go on without the others: moments and window."""
        self.stack.hand_back()
        for index, group in enumerate(self.groups):
            if not self.window:
                continue
            names, table = group.table([entry[index] for entry in self.window])
            for member, values in zip(group.members, table, strict=True):
                member.window = [dict(zip(names, row.unbind(), strict=True)) for row in values]


def objective_of(member: Loop) -> str:
    """What members must share for their objectives to be computed as one: itself, and what an epoch is."""
    return json.dumps([describe(member.objective), len(member.data)])


@torch.no_grad()
def draws(member: Loop) -> list[tuple[tuple[int, ...], torch.dtype]]:
    """Shape and precision of every draw of noise in a pass of the member's model, in order."""
    noise, training = Asked(), member.model.training
    member.model.eval()
    member.model(member.supply(member.step), noise)
    member.model.train(training)
    return noise.draws
