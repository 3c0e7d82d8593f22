"""Stacks of 4x4 stride-2 convolutions on the compiled kernels."""

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from unbraid.nets._native.library import library

MOST = 12  # levels, as in the source
_Longs, _Floats = ctypes.c_long * MOST, ctypes.c_void_p * MOST


class _Stack(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_long) for name in ("levels", "batch", "chunks", "scratch")),
        *((name, _Longs) for name in ("side", "channels")),
        *((name, ctypes.c_void_p) for name in ("x", "out")),
        *((name, _Floats) for name in ("kept", "weight", "bias")),
        *((name, ctypes.c_void_p) for name in ("d_out", "d_x")),
        *((name, _Floats) for name in ("d_weight", "d_bias", "packed_down", "packed_up", "partial", "partial_bias")),
        ("buffers", ctypes.c_void_p),
    )


def _empty(*shape: int) -> Tensor:
    """As the library takes it, whatever dtype and device the caller has made the default."""
    return torch.empty(shape, dtype=torch.float32, device="cpu")


def _floats(tensors: Sequence[Tensor | None]) -> Any:
    return _Floats(*(None if tensor is None else tensor.data_ptr() for tensor in tensors))


class _Call:
    """One call of the library, and the tensors that it works on, kept alive until it is done."""

    def __init__(self, side: int, weights: Sequence[Tensor], biases: Sequence[Tensor], batch: int, half: bool):
        self.half = half
        self.weights, self.biases = [w.contiguous() for w in weights], [b.contiguous() for b in biases]
        levels = len(weights)
        self.sides = [side >> level for level in range(levels + 1)]
        self.channels = [weights[0].shape[1], *(w.shape[0] for w in weights)]
        self.chunks = max(1, min(torch.get_num_threads(), batch))
        self.stack = _Stack(levels=levels, batch=batch, chunks=self.chunks)
        self.stack.side, self.stack.channels = _Longs(*self.sides), _Longs(*self.channels)
        self.stack.weight, self.stack.bias = _floats(self.weights), _floats(self.biases)
        self.alive: list[Any] = []

    def room(self, *sizes: int) -> list[Tensor]:
        """Uninitialised arrays that live as long as the call."""
        made = [_empty(size) for size in sizes]
        self.alive += made
        return made

    def __call__(self, function: str) -> None:
        """Run it."""
        kernels = library(self.half)
        assert kernels is not None
        sizes = [9 * w.numel() // 4 for w in self.weights]  # nine combinations of four taps each
        self.stack.packed_down, self.stack.packed_up = _floats(self.room(*sizes)), _floats(self.room(*sizes))
        self.stack.scratch = kernels.scratch_floats(ctypes.byref(self.stack))
        self.stack.buffers = self.room(self.chunks * self.stack.scratch)[0].data_ptr()
        getattr(kernels, function)(ctypes.byref(self.stack))

    def gradients(self) -> tuple[list[Tensor], list[Tensor]]:
        """Where the gradients of weights and biases go."""
        weights, biases = [torch.empty_like(w) for w in self.weights], [torch.empty_like(b) for b in self.biases]
        self.stack.d_weight, self.stack.d_bias = _floats(weights), _floats(biases)
        self.stack.partial = _floats(self.room(*(self.chunks * 9 * w.numel() // 4 for w in weights)))
        self.stack.partial_bias = _floats(self.room(*(self.chunks * b.numel() for b in biases)))
        return weights, biases


class _Shrink(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, half: bool, *parameters: Tensor) -> Tensor:
        x = x.contiguous()
        weights, biases = parameters[: len(parameters) // 2], parameters[len(parameters) // 2 :]
        call = _Call(x.shape[2], weights, biases, len(x), half)
        out = _empty(len(x), call.channels[-1], call.sides[-1], call.sides[-1])
        between = range(2, len(weights)) if any(ctx.needs_input_grad) else range(0)
        kept = [_empty(len(x), call.sides[at], call.sides[at], call.channels[at]) for at in between]
        call.stack.x, call.stack.out = x.data_ptr(), out.data_ptr()
        call.stack.kept = _floats([None, None, *kept])
        call("shrink")
        ctx.half = half
        ctx.save_for_backward(x, out, *kept, *parameters)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        d_out = gradients[0].contiguous()
        x, out, *rest = ctx.saved_tensors
        levels = (len(rest) + 2) // 3 if len(rest) > 2 else 1
        kept, parameters = rest[: -2 * levels], rest[-2 * levels :]
        call = _Call(x.shape[2], parameters[:levels], parameters[levels:], len(x), ctx.half)
        call.stack.kept = _floats([None, None, *kept])
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        call.stack.x, call.stack.out, call.stack.d_out = x.data_ptr(), out.data_ptr(), d_out.data_ptr()
        call.stack.d_x = None if d_x is None else d_x.data_ptr()
        weights, biases = call.gradients()
        call("shrink_back")
        return d_x, None, *weights, *biases


class _Grow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, half: bool, recompute: bool, *parameters: Tensor) -> Tensor:
        x = x.contiguous()
        levels = len(parameters) // 2
        call = _Call(x.shape[2] << levels, parameters[:levels], parameters[levels:], len(x), half)
        out = _empty(len(x), call.channels[0], call.sides[0], call.sides[0])
        between = range(2 if recompute else 1, levels) if any(ctx.needs_input_grad) else range(0)
        kept = [_empty(len(x), call.sides[at], call.sides[at], call.channels[at]) for at in between]
        ctx.first = between.start
        call.stack.x, call.stack.out = x.data_ptr(), out.data_ptr()
        call.stack.kept = _floats([*[None] * ctx.first, *kept])
        call("grow")
        ctx.half = half
        ctx.save_for_backward(x, *kept, *parameters)
        ctx.levels = levels
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        d_out = gradients[0].contiguous()
        x, *rest = ctx.saved_tensors
        levels = ctx.levels
        kept, parameters = rest[: -2 * levels], rest[-2 * levels :]
        call = _Call(d_out.shape[2], parameters[:levels], parameters[levels:], len(x), ctx.half)
        call.stack.kept = _floats([*[None] * ctx.first, *kept])
        d_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        call.stack.x, call.stack.d_out = x.data_ptr(), d_out.data_ptr()
        call.stack.d_x = None if d_x is None else d_x.data_ptr()
        weights, biases = call.gradients()
        call("grow_back")
        return d_x, None, None, *weights, *biases


def shrink(
    x: Float[Tensor, "batch channel side side"], weights: Sequence[Tensor], biases: Sequence[Tensor], half: bool = False
) -> Float[Tensor, "batch feature four four"]:
    """Convolutions, each with ReLU, from the image down; weights `[out, in, 4, 4]`, first layer first.

    half: products of bfloat16 numbers where there are many, added up in float32.
    """
    return _Shrink.apply(x, half, *weights, *biases)  # type: ignore[return-value]


def grow(
    x: Float[Tensor, "batch feature four four"],
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    half: bool = False,
    recompute: bool = False,
) -> Float[Tensor, "batch channel side side"]:
    """Transposed convolutions with ReLU between them, up to the image; weights `[in, out, 4, 4]`, last layer first.

    half: as in `shrink`; recompute: the widest activations are not kept but computed again on the way back.
    """
    return _Grow.apply(x, half, recompute, *weights, *biases)  # type: ignore[return-value]
