"""Time the products of 4x4 stride-2 convolutions as the reformulated kernels choose them, against other ways.

The layers are those of the first paper's networks (table 1), 64 images each, in both directions: an encoder's layer is
`shrink` forwards, `grow` for the gradient of its input and `correlate` for that of its weight; a decoder's the mirror.
The other ways are PyTorch's own with channels first (what plain layers do) and last, and matrix products of patches.
"""

from collections.abc import Callable
from functools import partial

import torch
from cases import BATCH
from harness import Contender, Effort, Entry, compared, interleaved, local, part, peaks, products, rates
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from unbraid.nets._products import channels_last, correlate, grow, shrink

LAYERS = ((1, 32, 64), (3, 32, 64), (32, 32, 32), (32, 64, 16), (64, 64, 8))  # channels, width, side of the large image
OURS, PLAIN, LAST, PATCHES = "reformulated", "plain", "plain, channels last", "matrix products"


def measure(effort: Effort) -> list[Entry]:
    """Every product of every layer in both precisions."""
    layers = [(1, 4, 16)] if effort.quick else LAYERS
    return [
        entry
        for precision in (torch.float32, torch.bfloat16)
        for layer in layers
        for entry in compare(layer, precision, effort)
    ]


def compare(layer: tuple[int, int, int], precision: torch.dtype, effort: Effort) -> list[Entry]:
    """One layer: each product against each other way, all in alternation with the product that is the peak."""
    many, few, side = layer
    kind = str(precision).removeprefix("torch.")
    contenders = ways(*layer, precision)
    contenders |= {name: each for name, each in products().items() if name.endswith(kind)}
    times = interleaved(contenders, effort, most=30)
    operations = 2 * 16 * many * few * BATCH * (side // 2) ** 2
    found = []
    for name in ("shrink", "grow", "correlate"):
        ours = times[f"{name}, {OURS}"]
        known = rates(operations, sorted(ours)[len(ours) // 2], peaks(times)[kind])
        for other in (PLAIN, LAST, PATCHES):
            title = f"{name} {many} x {side} x {side}, {few} x {side // 2} x {side // 2}, {kind}"
            found.append(compared(title, ours, other, times[f"{name}, {other}"], **known))
    return found


def ways(many: int, few: int, side: int, precision: torch.dtype) -> dict[str, Contender]:
    """The three products by every way."""
    draws = torch.Generator().manual_seed(0)
    shapes = (BATCH, many, side, side), (BATCH, few, side // 2, side // 2), (few, many, 4, 4)
    x, y, weight = first = [torch.randn(shape, generator=draws).to(precision) for shape in shapes]
    last = [channels_last(each) for each in first]
    found: dict[str, Callable[[], object]] = {}
    for way, (large, small, kernel) in ((PLAIN, first), (LAST, last)):
        found[f"shrink, {way}"] = partial(F.conv2d, large, kernel, stride=2, padding=1)
        found[f"grow, {way}"] = partial(F.conv_transpose2d, small, kernel, stride=2, padding=1)
        found[f"correlate, {way}"] = partial(gradient, large, small, kernel)
    x, y, _ = last
    own = {
        "shrink": partial(shrink, x, weight),
        "grow": partial(grow, y, weight, x.shape[2:]),
        "correlate": partial(correlate, x, y, weight),
    }
    for name, call in own.items():
        found[f"{name}, {OURS}"] = call
        found[f"{name}, {PATCHES}"] = partial(without_library, call)
    return {name: local(call) for name, call in found.items()}


def gradient(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """PyTorch's own gradient of a convolution's weight."""
    only = ([2, 2], [1, 1], [1, 1], False, [0, 0], 1, [False, True, False])
    return torch.ops.aten.convolution_backward(y, x, weight, None, *only)[1]


def without_library(call: Callable[[], object]) -> None:
    """A call as on a machine without oneDNN."""
    before = torch.backends.mkldnn.set_flags(False)
    call()
    torch.backends.mkldnn.set_flags(*before[:1])


if __name__ == "__main__":
    part("kernels", __doc__, measure)
