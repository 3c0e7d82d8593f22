"""Fully connected networks for vectors."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unbraid.nets.contract import Decoder, Trunk, check_positive


class MLPTrunk(Trunk):
    """Linear layers with ReLU after each; no widths makes it the identity."""

    def __init__(self, inputs: int, widths: Sequence[int] = (64, 64)):
        super().__init__()
        check_positive(inputs=inputs, widths=widths)
        self.inputs, self.widths = inputs, tuple(widths)
        self.shape = (inputs,)
        self.features = self.widths[-1] if self.widths else inputs
        self.layers = _stack((inputs, *widths))

    def forward(self, x: Float[Tensor, "batch input"]) -> Float[Tensor, "batch feature"]:
        """Features of each vector, `[batch, features]`."""
        return self.layers(x)


class MLPDecoder(Decoder):
    """Linear layers with ReLU between them and none on the output; no widths makes it linear."""

    def __init__(self, latents: int, outputs: int, widths: Sequence[int] = (64, 64)):
        super().__init__()
        check_positive(latents=latents, outputs=outputs, widths=widths)
        self.latents, self.outputs, self.widths = latents, outputs, tuple(widths)
        self.shape = (outputs,)
        self.layers = _stack((latents, *widths))
        self.last = nn.Linear(self.widths[-1] if self.widths else latents, outputs)

    def forward(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch output"]:
        """The natural parameter of each coordinate, `[batch, outputs]`."""
        return self.last(self.layers(z))

    @torch.no_grad()
    def start_at(self, output: Float[Tensor, " output"]) -> None:
        """Set the last bias, so that the untrained output lies around `output`: the mean, on the likelihood's scale.

        Adam moves a bias by about the learning rate a step, so a start far from the data's mean costs hundreds of them.
        The bias is a weight like others: a run keeps it with the weights, not in the description.
        """
        self.last.bias.copy_(output)


def _stack(sizes: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers)
