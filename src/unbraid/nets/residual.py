"""A small residual network for images, after those of He et al. for CIFAR-10."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unbraid.nets._forgetting import forgetting
from unbraid.nets._products import channels_last
from unbraid.nets.contract import Trunk, check_image, check_positive
from unbraid.settings import Computation


class ResidualNet(Trunk):
    """Residual blocks in stages, each but the first of half the side, their channels' means, and a linear layer.

    A 3x3 convolution with stride 1 comes first, for small images. With three widths there are 6 n + 2 layers for n
    `blocks` a stage: ResNet-8, the default, ResNet-14 for 2, ResNet-20 for 3. Any side will do; halves are rounded up.
    Source: He et al. 2016 (Deep residual learning), section 4.2, there with n from 3; where a block changes shape, its
    shortcut is a 1x1 convolution (their option B, where section 4.2 has option A). Weights as in He et al. 2015.

    Args:
        shape: (channels, height, width) of an image.
        outputs: numbers for each image, its `features`; logits, if it is to name one of as many classes.
        widths: channels of each stage.
        blocks: of each stage, two convolutions each.

    Raises:
        ValueError: the shape is no image's, or a number is below 1.
    """

    def __init__(
        self,
        shape: Sequence[int] = (1, 28, 28),
        outputs: int = 10,
        widths: Sequence[int] = (16, 32, 64),
        blocks: int = 1,
    ):
        super().__init__()
        check_image(shape)
        check_positive(outputs=outputs, widths=widths, stages=len(widths), blocks=blocks)
        self.shape, self.outputs, self.widths, self.blocks = tuple(shape), outputs, tuple(widths), blocks
        self.features = outputs
        self.first = nn.Sequential(*_convolution(shape[0], widths[0]), nn.ReLU())
        made, before = [], widths[0]
        for stage, width in enumerate(widths):
            for block in range(blocks):
                made.append(_Block(before, width, stride=2 if stage and not block else 1))
                before = width
        self.residual = nn.ModuleList(made)
        self.last = nn.Linear(before, outputs)

    @property
    def layers(self) -> int:
        """How many layers it has, as such networks are named: convolutions on the straight way and the linear one."""
        return 2 + 2 * self.blocks * len(self.widths)

    def knows(self, computation: Computation, device: torch.device) -> bool:
        """Plain, or reformulated: channels last in memory, on processors a sixth to a third less time."""
        return computation.kernels == "plain" or (computation.kernels == "reformulated" and device.type == "cpu")

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch feature"]:
        """One number an output of each image, with no non-linearity at the end, `[batch, outputs]`."""
        x = self.first(channels_last(x) if self.computation.kernels == "reformulated" else x)
        for block in self.residual:
            x = forgetting(block, x, modules=[block]) if self.computation.recompute else block(x)
        return self.last(x.mean((2, 3)))


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut; batch norm after each convolution, ReLU after the sum."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.layers = nn.Sequential(*_convolution(before, after, stride), nn.ReLU(), *_convolution(after, after))
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else nn.Sequential(*_convolution(before, after, stride, side=1))

    def forward(
        self, x: Float[Tensor, "batch before height width"]
    ) -> Float[Tensor, "batch after new_height new_width"]:
        return (self.layers(x) + self.shortcut(x)).relu()


class _Pixels(nn.Conv2d):
    """A 1x1 convolution that first takes the pixels it reads, and so never asks the library for a stride.

    With one, channels last and fewer of them than a vector register holds, oneDNN's gradient of the weight writes past
    its buffer: a crash, a hang or a wrong gradient (its issue 6035, open in 3.12; seen here with AVX2, 4 and 6
    channels).
    """

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "batch before height width"]
    ) -> Float[Tensor, "batch after new_height new_width"]:
        """Every `stride`-th pixel's channels, mixed."""
        rows, columns = self.stride
        return nn.functional.conv2d(x[:, :, ::rows, ::columns], self.weight, self.bias)


def _convolution(before: int, after: int, stride: int = 1, side: int = 3) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    kind = nn.Conv2d if side > 1 else _Pixels
    made = kind(before, after, side, stride, padding=side // 2, bias=False)
    nn.init.kaiming_normal_(made.weight, nonlinearity="relu")
    return made, nn.BatchNorm2d(after)
