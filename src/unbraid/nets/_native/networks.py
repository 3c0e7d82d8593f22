"""Whole networks on the compiled kernels: `nn.Sequential`s as `ConvTrunk` and `ConvDecoder` write them down."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from unbraid.nets._native.library import library
from unbraid.nets._native.stacks import MOST, grow, shrink
from unbraid.settings import Computation

CHANNELS = 16  # widths must be multiples of it: the longest vectors


def knows(computation: Computation, widths: Sequence[int], device: torch.device) -> bool:
    """Whether the kernels can compute a network of such widths there."""
    fits = len(widths) < MOST and not any(width % CHANNELS for width in widths)
    return fits and device.type == "cpu" and library(computation.precision == "bfloat16") is not None


def takes(layers: nn.Sequential, given: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether the kernels can read `given` and the weights; they look at nothing but addresses.

    What they cannot is left to the layers, which compute it or say what is wrong with it.

    shape: of one observation.
    """
    if given.shape[1:] != shape or torch._C._are_functorch_transforms_active():
        return False
    return all(each.dtype == torch.float32 and each.device.type == "cpu" for each in (given, *layers.parameters()))


def encoded(
    layers: nn.Sequential, x: Float[Tensor, "batch channel side side"], computation: Computation
) -> Float[Tensor, "batch feature"]:
    """What `layers`, a trunk's, make of images."""
    *strided, last = (layer for layer in layers if isinstance(layer, nn.Conv2d))
    small = shrink(x, *_parameters(strided), computation.precision == "bfloat16")
    return F.linear(small.flatten(1), last.weight.flatten(1), last.bias).relu()


def decoded(
    layers: nn.Sequential, z: Float[Tensor, "batch latent"], computation: Computation
) -> Float[Tensor, "batch channel side side"]:
    """What `layers`, a decoder's, make of latents."""
    linear, first, *strided = (layer for layer in layers if isinstance(layer, nn.Linear | nn.ConvTranspose2d))
    assert first.bias is not None
    start = F.linear(linear(z).relu(), first.weight.flatten(1).T, first.bias.repeat_interleave(16)).relu()
    grown = start.float().unflatten(1, (-1, 4, 4))  # a linear layer may have answered in bfloat16
    return grow(grown, *_parameters(strided[::-1]), computation.precision == "bfloat16", computation.recompute)


def _parameters(layers: Sequence[nn.Module]) -> tuple[list[Tensor], list[Tensor]]:
    return [layer.weight for layer in layers], [layer.bias for layer in layers]  # type: ignore[return-value]
