"""Several models of one kind as one: weights side by side, one pass and one update for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, vmap

from unbraid.likelihoods import Likelihood
from unbraid.models.contract import Drawn, Model
from unbraid.objectives.contract import Objective
from unbraid.types import Batch, Forward, Normal, Progress

Tree = Any  # nested dictionaries and tuples of tensors with the member first


@dataclass(frozen=True)
class Given:
    """A batch for each member.

    population: `[batch]` where it is the same for all, so that a pass may branch on it; else `[member, batch]`.
    groups: as in `Batch`, the same for all.
    """

    x: Float[Tensor, "member batch *shape"]
    population: Int[Tensor, "*member batch"] | None = None
    library: Float[Tensor, "member batch"] | None = None
    groups: tuple[int, ...] | None = None

    @property
    def parts(self) -> tuple[Tensor | None, ...]:
        """What a `Batch` is made of."""
        return self.x, self.population, self.library

    @property
    def dims(self) -> tuple[int | None, ...]:
        """Where each part has its member, None where it has none."""
        of_all = self.population is None or self.population.ndim == 1
        return 0, None if of_all else 0, None if self.library is None else 0

    def of(self, members: slice) -> "Given":
        """The batches of some members."""
        pairs = zip(self.parts, self.dims, strict=True)
        return Given(*(part if dim is None or part is None else part[members] for part, dim in pairs), self.groups)  # type: ignore[arg-type]

    def batch(self, parts: Sequence[Tensor | None]) -> Batch:
        """One member's batch."""
        return Batch(*parts, groups=self.groups)  # type: ignore[arg-type]

    def one(self, member: int) -> Batch:
        """The batch of a member."""
        pairs = zip(self.parts, self.dims, strict=True)
        return self.batch([part if dim is None or part is None else part[member] for part, dim in pairs])


class Stack:
    """Weights, buffers and Adam's moments of several models, each in one tensor whose rows are the models' own.

    Whatever changes a model or the stack changes the other too, until `release`.

    Args:
        models: of one class and shape; the first lends its code to all.
        optimizers: the Adam of each, whose state is taken up.
    """

    def __init__(self, models: Sequence[Model], optimizers: Sequence[torch.optim.Optimizer]):
        self.models, self.optimizers = list(models), list(optimizers)
        self.own = {name: [dict(model.named_parameters())[name] for model in models] for name in _weights(models[0])}
        self.weights = {name: _joined(rows).requires_grad_(rows[0].requires_grad) for name, rows in self.own.items()}
        buffers = {name: [dict(model.named_buffers())[name] for model in models] for name in _buffers(models[0])}
        self.buffers = {name: _joined(rows) for name, rows in buffers.items()}
        rate = optimizers[0].param_groups[0]["lr"]
        self.optimizer = torch.optim.Adam(self.weights.values(), rate, fused=True)
        for name, whole in self.weights.items():
            states = [given.state.get(row) for given, row in zip(optimizers, self.own[name], strict=True)]
            if states[0]:
                self.optimizer.state[whole] = {
                    key: value.clone() if key == "step" else torch.stack([state[key] for state in states if state])
                    for key, value in states[0].items()
                }
        self.reports = bool(models[0].likelihood.reported())

    def __call__(self, given: Given, noise: Sequence[Tensor]) -> Tree:
        """A pass of every model on its own batch with its own noise: the parts of its `Forward`."""

        def one(weights: Tree, buffers: Tree, parts: tuple, drawn: tuple) -> Tree:
            return apart(functional_call(self.models[0], (weights, buffers), (given.batch(parts), Drawn(drawn))))

        return vmap(one, in_dims=(0, 0, given.dims, 0))(self.weights, self.buffers, given.parts, tuple(noise))

    def reported(self) -> dict[str, Float[Tensor, " member"]]:
        """What every model's likelihood reports."""
        if not self.reports:
            return {}
        module, state = _Reported(self.models[0].likelihood), {**self.weights, **self.buffers}
        state = {name: value.detach() for name, value in state.items() if name.startswith("likelihood.")}
        return vmap(lambda rows: functional_call(module, rows))(state)

    def hand_back(self) -> None:
        """Give each optimizer its rows of Adam's moments."""
        for name, whole in self.weights.items():
            shared = self.optimizer.state.get(whole, {})
            for index, (optimizer, row) in enumerate(zip(self.optimizers, self.own[name], strict=True)):
                if shared:
                    moments = {key: value if key == "step" else value[index] for key, value in shared.items()}
                    optimizer.state[row] = moments

    def release(self, model: Model) -> None:
        """Give a model weights and buffers that are its own alone."""
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()


def minimised(objective: Objective, given: Given, found: Tree, progress: Progress) -> dict[str, Tensor]:
    """Loss and terms of each member under one objective, computed for all at once."""

    def one(parts: tuple, forward: Tree) -> dict[str, Tensor]:
        return objective(whole(forward), given.batch(parts), progress).named()

    return vmap(one, in_dims=(given.dims, 0))(given.parts, found)


def minimised_each(
    objectives: Sequence[Objective], given: Given, found: Tree, progress: Progress
) -> dict[str, Float[Tensor, " member"]]:
    """Loss and terms of each member under an objective of its own, one after the other."""
    named = [
        objective(whole(rows(found, index)), given.one(index), progress).named()
        for index, objective in enumerate(objectives)
    ]
    return side_by_side(named)


def side_by_side(named: Sequence[dict[str, Tensor]]) -> dict[str, Float[Tensor, " member"]]:
    """Each member's values as one tensor a name."""
    return {name: torch.stack([values[name] for values in named]) for name in named[0]}


def apart(forward: Forward) -> Tree:
    """A forward pass as dictionaries of tensors, which `vmap` can return; steps are left out."""
    posteriors = {name: (normal.mean, normal.log_variance) for name, normal in forward.posteriors.items()}
    heads = {} if forward.heads is None else {"heads": (forward.heads.mean, forward.heads.log_variance)}
    output = {"output": forward.output, "log_likelihood": forward.log_likelihood}
    return {**output, "posteriors": posteriors, "samples": dict(forward.samples), **heads}


def whole(parts: Tree) -> Forward:
    """The forward pass that `apart` took apart."""
    posteriors = {name: Normal(*pair) for name, pair in parts["posteriors"].items()}
    heads = Normal(*parts["heads"]) if "heads" in parts else None
    return Forward(parts["output"], parts["log_likelihood"], posteriors, parts["samples"], heads=heads)


def rows(tree: Tree, members: int | slice) -> Tree:
    """The parts of one member, or of some."""
    if isinstance(tree, dict):
        return {key: rows(value, members) for key, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(rows(value, members) for value in tree)
    return tree[members]


class _Reported(nn.Module):
    def __init__(self, likelihood: Likelihood):
        super().__init__()
        self.likelihood = likelihood

    def forward(self) -> dict[str, Tensor]:
        return self.likelihood.reported()


@torch.no_grad()
def _joined(own: Sequence[Tensor]) -> Tensor:
    together = torch.stack([tensor.detach() for tensor in own])
    for tensor, row in zip(own, together, strict=True):
        tensor.data = row
    return together


def _weights(model: Model) -> list[str]:
    return [name for name, _ in model.named_parameters()]


def _buffers(model: Model) -> list[str]:
    return [name for name, _ in model.named_buffers()]
