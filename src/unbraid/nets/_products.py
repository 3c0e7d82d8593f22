"""The three products that a 4x4 convolution with stride 2 and padding 1 is made of, forwards and backwards.

One weight, `[few, many, 4, 4]`, stands between large images of `many` and small ones of `few` channels: `shrink` is the
convolution and the gradient of the transposed one, `grow` the transposed one and the gradient of the first, and
`correlate` the gradient of the weight in both. Images are kept with their channels last in memory, where PyTorch's own
convolutions (oneDNN) come near the speed of a matrix product. They do not for an image of very few channels, and not at
all where there is no oneDNN or in double precision; there, matrix products take their place.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

Large = Float[Tensor, "batch many height width"]
Small = Float[Tensor, "batch few half_height half_width"]
Weight = Float[Tensor, "few many 4 4"]

TAPS, PARITIES = 2, 4  # up to so many channels of a large image, it is better put together by hand
CHUNK = 2**19  # numbers in a matrix of patches, so that it stays in the cache


def channels_last(x: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
    """The same images with channels last in memory; a single channel says so too, or its results would not be."""
    pixels = x.permute(0, 2, 3, 1).contiguous()
    _, height, width, channels = pixels.shape
    return pixels.as_strided(x.shape, (height * width * channels, 1, width * channels, channels))


def shrink(x: Large, weight: Weight, bias: Float[Tensor, " few"] | None = None) -> Small:
    """The convolution, `[batch, few, height // 2, width // 2]`."""
    if _in_library(x):
        return F.conv2d(x, channels_last(weight), bias, stride=2, padding=1)
    few, half = len(weight), (x.shape[2] // 2, x.shape[3] // 2)
    matrix = weight.permute(2, 3, 1, 0).reshape(-1, few)
    out = x.new_empty(len(x), *half, few)
    for part in _parts(len(x), matrix.shape[0] * half[0] * half[1]):
        torch.mm(_patches(x[part], 4, 2), matrix, out=out[part].view(-1, few))
    return _with(out.permute(0, 3, 1, 2), bias)


def grow(y: Small, weight: Weight, size: tuple[int, ...], bias: Float[Tensor, " many"] | None = None) -> Large:
    """The transposed convolution to images of the given height and width, each twice that of `y` or one more."""
    many, extra = weight.shape[1], [size[0] - 2 * y.shape[2], size[1] - 2 * y.shape[3]]
    if many <= TAPS and not any(extra) and y.dtype != torch.bfloat16:  # which would round before the sum
        return _with(_by_taps(y, weight), bias)
    if many <= PARITIES or not _in_library(y):
        return _with(_by_parities(y, weight, size), bias)
    return F.conv_transpose2d(y, channels_last(weight), bias, stride=2, padding=1, output_padding=extra)


def correlate(x: Large, y: Small, weight: Weight) -> Weight:
    """Every number of `y` times the 4x4 patch of `x` that it belongs to, summed: the gradient of `weight`."""
    few, many = weight.shape[:2]
    if _in_library(x):
        spec = ([2, 2], [1, 1], [1, 1], False, [0, 0], 1, [False, True, False])
        return torch.ops.aten.convolution_backward(y, x, weight, None, *spec)[1]
    total = x.new_zeros(few, 16 * many)
    for part in _parts(len(x), 16 * many * y.shape[2] * y.shape[3]):
        total.addmm_(y[part].permute(0, 2, 3, 1).reshape(-1, few).t(), _patches(x[part], 4, 2))
    return total.view(few, 4, 4, many).permute(0, 3, 1, 2)


def _in_library(x: Tensor) -> bool:
    return torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled and x.dtype != torch.float64  # type: ignore[return-value]


def _by_taps(y: Small, weight: Weight) -> Large:
    """One matrix product, whose 16 rows a channel are then moved to where they belong and added.

    Row 2i of an image is tap 1 of row i and tap 3 of row i - 1, row 2i + 1 is tap 2 of row i and tap 0 of row i + 1.
    """
    batch, few, height, width = y.shape
    many = weight.shape[1]
    matrix = weight.permute(2, 3, 1, 0).reshape(-1, few)
    out = y.new_empty(batch, many, height, 2, width, 2)
    for part in _parts(batch, matrix.shape[0] * height * width):
        pixels = y[part].permute(0, 2, 3, 1).reshape(-1, few)
        taps = torch.mm(matrix, pixels.t()).view(4, 4, many, -1, height, width)
        taps[1, ..., 1:, :] += taps[3, ..., :-1, :]
        taps[2, ..., :-1, :] += taps[0, ..., 1:, :]
        rows = taps[1:3]
        rows[:, 1, ..., 1:] += rows[:, 3, ..., :-1]
        rows[:, 2, ..., :-1] += rows[:, 0, ..., 1:]
        out[part] = rows[:, 1:3].permute(3, 2, 4, 0, 5, 1)
    return channels_last(out.view(batch, many, 2 * height, 2 * width))


def _by_parities(y: Small, weight: Weight, size: tuple[int, ...]) -> Large:
    """A 2x2 convolution to four channels for one, of a block of 2x2 pixels, and its blocks laid out."""
    batch, few, height, width = y.shape
    many = weight.shape[1]
    blocks = weight.view(few, many, 2, 2, 2, 2).flip(2, 4)  # (tap, row, tap, column): later taps reach further back
    out = y.new_empty(batch, *size, many)
    if _in_library(y):
        kernel = channels_last(blocks.permute(3, 5, 1, 0, 2, 4).reshape(-1, few, 2, 2))
        _lay_out(F.conv2d(y, kernel, padding=1).permute(0, 2, 3, 1), out)
        return out.permute(0, 3, 1, 2)
    matrix = blocks.permute(2, 4, 0, 3, 5, 1).reshape(4 * few, -1)
    for part in _parts(batch, 4 * (few + many) * (height + 1) * (width + 1)):
        products = torch.mm(_patches(y[part], 2, 1), matrix)
        _lay_out(products.view(-1, height + 1, width + 1, 4 * many), out[part])
    return out.permute(0, 3, 1, 2)


def _lay_out(blocks: Float[Tensor, "part rows columns four_many"], out: Float[Tensor, "part h w many"]) -> None:
    """Blocks of 2x2 pixels, the first of which begins one pixel before the image."""
    pixels = blocks.unflatten(3, (2, 2, -1))
    for row in (0, 1):
        for column in (0, 1):
            target = out[:, 1 - row :: 2, 1 - column :: 2]
            source = pixels[:, 1 - row :, 1 - column :, row, column]
            target.copy_(source[:, : target.shape[1], : target.shape[2]])


def _patches(x: Float[Tensor, "part channel h w"], side: int, stride: int) -> Float[Tensor, "patch numbers"]:
    """Patches of side x side pixels of the images with one pixel of zeros around them, (row, column, channel) each."""
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    image, row, pixel, _ = padded.stride()
    counts = [(length + 2 - side) // stride + 1 for length in x.shape[2:]]
    shape = (len(x), *counts, side, side * x.shape[1])
    return padded.as_strided(shape, (image, stride * row, stride * pixel, row, 1)).reshape(-1, side * shape[-1])


def _parts(batch: int, numbers: int) -> list[slice]:
    """Slices of a batch, of images that make about CHUNK numbers together."""
    step = max(1, CHUNK // numbers)
    return [slice(start, start + step) for start in range(0, batch, step)]


def _with(images: Float[Tensor, "batch channel h w"], bias: Tensor | None) -> Float[Tensor, "batch channel h w"]:
    return images if bias is None else images.add_(bias[:, None, None])
