"""Stacks of 4x4 stride-2 convolutions as denser products, in PyTorch; gradients by hand, without what nobody needs."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812

from unbraid.nets._products import channels_last, correlate, grow, shrink

Images = Float[Tensor, "batch channel height width"]
Pair = tuple[Tensor, Tensor | None]  # weight and bias


def strided(x: Images, weight: Float[Tensor, "after channel 4 4"], bias: Tensor | None = None) -> Tensor:
    """A 4x4 convolution with stride 2 and padding 1, `[batch, after, height // 2, width // 2]`."""
    return _stacked(x, [(weight, bias)], up=False)


def upsampled(x: Images, weight: Float[Tensor, "channel after 4 4"], bias: Tensor | None = None) -> Tensor:
    """A transposed 4x4 convolution with stride 2 and padding 1, `[batch, after, 2 * height, 2 * width]`."""
    return _stacked(x, [(weight, bias)], up=True)


def encoded(layers: nn.Sequential, x: Images, recompute: bool = False) -> Float[Tensor, "batch feature"]:
    """What `layers`, those of a `ConvTrunk`, make of images; `recompute` forgets the first layer's output."""
    *convolutions, last = (layer for layer in layers if isinstance(layer, nn.Conv2d))
    forgotten = 1 if recompute and len(convolutions) > 1 else 0
    small = _stacked(x, [(layer.weight, layer.bias) for layer in convolutions], False, True, forgotten)
    return F.linear(small.flatten(1), last.weight.flatten(1), last.bias).relu()


def decoded(layers: nn.Sequential, z: Float[Tensor, "batch latent"], recompute: bool = False) -> Images:
    """What `layers`, those of a `ConvDecoder`, make of latents; `recompute` forgets the last layer's input."""
    linear, first, *convolutions = (layer for layer in layers if isinstance(layer, nn.Linear | nn.ConvTranspose2d))
    flat = linear(z).relu() @ first.weight.flatten(1)
    start = (flat.unflatten(1, (-1, 4, 4)) + first.bias.view(-1, 1, 1)).relu()  # type: ignore[union-attr]
    forgotten = len(convolutions) - 1 if recompute else 0
    return _stacked(start, [(layer.weight, layer.bias) for layer in convolutions], True, False, forgotten)


def _stacked(x: Tensor, layers: Sequence[Pair], up: bool, rectified: bool = False, forgotten: int = 0) -> Tensor:
    """Layers with ReLU between them; see `_Stack`. Under autocast, weights are cast anew, so that gradients are not."""
    given = [x, *(each for pair in layers for each in pair)]
    kind = x.device.type
    cast = torch.is_autocast_enabled(kind) and x.dtype != torch.float64
    if cast:
        given = [None if each is None else each.to(torch.get_autocast_dtype(kind)) for each in given]
    with torch.autocast(kind, enabled=False):
        return _Stack.apply(channels_last(given[0]), up, rectified, forgotten, *given[1:])[0]  # type: ignore[index]


class _Stack(torch.autograd.Function):
    """Layers with ReLU between them: convolutions, or transposed ones (`up`).

    rectified: whether a ReLU follows the last layer too.
    forgotten: the layer whose input is computed again on the way back; 0 keeps all.
    """

    @staticmethod
    def forward(x: Tensor, up: bool, rectified: bool, forgotten: int, *parameters: Tensor | None) -> tuple[Tensor, ...]:
        """The last layer's output, then what else is worth keeping: the inputs of all but the first layer."""
        layers, inputs = _pairs(parameters), []
        for index, layer in enumerate(layers):
            inputs.append(x)
            x = _layer(x, layer, up)
            if rectified or index < len(layers) - 1:
                x.relu_()
        return x, *(each for index, each in enumerate(inputs) if index not in (0, forgotten))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Keep what `backward` needs."""
        x, ctx.up, ctx.rectified, ctx.forgotten, *parameters = inputs
        last, *kept = output
        ctx.mark_non_differentiable(*kept)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*parameters, last if ctx.rectified else None, x, *kept)
        ctx.layers = len(parameters) // 2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """From the last layer to the first; no gradient of an input that needs none."""
        if gradients[0] is None:
            return (None,) * len(ctx.needs_input_grad)
        kept = ctx.saved_tensors  # read once: checkpoints ask for that
        parameters, (above, *inputs) = kept[: 2 * ctx.layers], kept[2 * ctx.layers :]
        needed, results = ctx.needs_input_grad[4:], []
        d, layers = channels_last(gradients[0]), _pairs(parameters)
        if ctx.forgotten:
            inputs.insert(ctx.forgotten, None)
        for index in reversed(range(ctx.layers)):
            if above is not None:
                out = {} if index == ctx.layers - 1 else {"grad_input": d}  # the first gradient is not ours to change
                d = torch.ops.aten.threshold_backward(d, above, 0, **out)
            above = inputs.pop()
            if above is None:
                above = _layer(inputs[-1], layers[index - 1], ctx.up).relu_()
            results += _gradients(above, d, layers[index], ctx.up, needed[2 * index :])
            if index or ctx.needs_input_grad[0]:
                d = _back(d, layers[index][0], above.shape[2:], ctx.up)
        return d if ctx.needs_input_grad[0] else None, None, None, None, *results[::-1]

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *given: Any) -> tuple[tuple[Tensor], tuple[int]]:
        """One after the other: what is side by side here are whole networks."""
        members = [
            [each if dim is None else each.select(dim, index) for each, dim in zip(given, in_dims, strict=True)]
            for index in range(info.batch_size)
        ]
        return (torch.stack([_Stack.apply(*member)[0] for member in members]),), (0,)  # type: ignore[index]


def _pairs(parameters: Sequence[Tensor | None]) -> list[Pair]:
    return list(zip(parameters[::2], parameters[1::2], strict=True))  # type: ignore[arg-type]


def _layer(x: Tensor, layer: Pair, up: bool) -> Tensor:
    weight, bias = layer
    return grow(x, weight, (2 * x.shape[2], 2 * x.shape[3]), bias) if up else shrink(x, weight, bias)


def _back(d: Tensor, weight: Tensor, size: tuple[int, ...], up: bool) -> Tensor:
    return shrink(d, weight) if up else grow(d, weight, size)


def _gradients(x: Tensor, d: Tensor, layer: Pair, up: bool, needed: Sequence[bool]) -> list[Tensor | None]:
    """Of bias and weight, in this order."""
    weight = layer[0]
    large, small = (d, x) if up else (x, d)
    return [d.sum((0, 2, 3)) if needed[1] else None, correlate(large, small, weight) if needed[0] else None]
