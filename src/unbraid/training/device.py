"""What a GPU is told while a model trains on it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch import nn

from unbraid.settings import Computation


def usable(name: str) -> torch.device:
    """The device of this name; "auto" takes a GPU where there is one.

    Raises:
        ValueError: PyTorch cannot use it here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"expected a device that PyTorch can use here, got '{name}' ({error}); use 'auto' or 'cpu'"
        ) from error
    return torch.device(name)


@contextmanager
def exact_products() -> Iterator[None]:
    """Float32 products and convolutions on GPUs in float32, where PyTorch allows convolutions 10 bits (TF32).

    Convolutions also choose the fastest of their kernels when they first meet a shape. What was set before is set again
    afterwards.
    """
    matmul, cudnn = torch.backends.cuda.matmul, cast(Any, torch.backends.cudnn)
    settings: list[tuple[Any, str, object]] = [
        (matmul, "fp32_precision", "ieee"),
        (cudnn.conv, "fp32_precision", "ieee"),
        (cudnn, "benchmark", True),
    ]
    before = [getattr(place, name) for place, name, _ in settings]
    try:
        for place, name, value in settings:
            setattr(place, name, value)
        yield
    finally:
        for (place, name, _), value in zip(settings, before, strict=True):
            setattr(place, name, value)


@contextmanager
def training_on(device: torch.device) -> Iterator[None]:
    """Exact products, and on CUDA a stream of its own, on which a graph can be captured; nothing on a CPU."""
    with ExitStack() as stack:
        if device.type == "cuda":
            stack.enter_context(exact_products())
            stack.enter_context(own_stream(device))
        yield


@contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """Another stream, which begins after what was asked of the present one, and which that one waits for."""
    outer, inner = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    inner.wait_stream(outer)
    try:
        with torch.cuda.device(device), torch.cuda.stream(inner):
            yield
    finally:
        outer.wait_stream(inner)


def lay_out(model: nn.Module, computation: Computation, device: torch.device) -> None:
    """Weights of convolutions with the channels last where tensor cores read them so: on CUDA in bfloat16."""
    if device.type == "cuda" and computation.precision == "bfloat16":
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def bring_back(model: nn.Module) -> None:
    """Put a model where data are read, whatever device trained it, and as networks are made."""
    model.cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def follow_weights(optimizer: torch.optim.Optimizer) -> None:
    """Lay out an optimiser's averages as the weights; those of a checkpoint may come from another device."""
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == weight.shape and value.stride() != weight.stride():
                state[name] = torch.empty_like(weight).copy_(value)
