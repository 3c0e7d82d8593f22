"""The convolutional networks of the cross-population VAE paper (section 4): batch norm, and latents to every layer."""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unbraid.nets._forgetting import forgetting
from unbraid.nets._reformulated import strided, upsampled
from unbraid.nets.contract import Decoder, Network, Trunk, check_image, check_positive
from unbraid.settings import Computation


class _Reformulating(Network):
    """A network whose strided convolutions have a denser form."""

    def knows(self, computation: Computation, device: torch.device) -> bool:
        """Whether it has such kernels, which are made for processors."""
        return computation.kernels == "plain" or (computation.kernels == "reformulated" and device.type == "cpu")

    def convolved(
        self, layer: nn.Module, x: Float[Tensor, "batch before height width"]
    ) -> Float[Tensor, "batch after new_height new_width"]:
        """What a layer makes of `x`, in the way that the network computes."""
        if self.computation.kernels == "reformulated" and isinstance(layer, nn.Conv2d):
            return strided(x, layer.weight, layer.bias)
        if self.computation.kernels == "reformulated" and isinstance(layer, nn.ConvTranspose2d):
            return upsampled(x, layer.weight, layer.bias)
        return layer(x)


class Normed(_Reformulating):
    """A network with batch norms.

    frozen_norms: batch norms use and keep their running averages in training too, while their weights learn.
    """

    frozen_norms: bool = False

    def train(self, mode: bool = True) -> "Normed":
        """Set the training mode, but not of norms that are frozen."""
        super().train(mode)
        for part in self.modules():
            if self.frozen_norms and isinstance(part, nn.BatchNorm2d):
                part.eval()
        return self


class NormTrunk(Normed, Trunk):
    """Strided 4x4 convolutions, each followed by batch norm and ReLU, flattened at the end.

    Source: cross-population VAE, section 4; the widths are ours, the paper gives none.
    """

    def __init__(
        self,
        shape: Sequence[int] = (1, 28, 28),
        widths: Sequence[int] = (32, 64, 128),
        frozen_norms: bool = False,
    ):
        super().__init__()
        check_image(shape)
        check_positive(widths=widths, layers=len(widths))
        self.shape, self.widths, self.frozen_norms = tuple(shape), tuple(widths), frozen_norms
        layers: list[nn.Module] = []
        side = shape[1:]
        for before, after in zip((shape[0], *widths), widths, strict=False):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            side = (side[0] // 2, side[1] // 2)
        if min(side) < 1:
            raise ValueError(
                f"expected images of side at least {2 ** len(widths)} for {len(widths)} strided layers, "
                f"got {tuple(shape)}; use fewer widths"
            )
        self.features = widths[-1] * side[0] * side[1]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.train()

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch feature"]:
        """Features of each image, `[batch, features]`."""
        *layers, flatten = self.layers
        if self.computation.recompute:  # what lies between the first two convolutions is the widest there is
            x, layers = forgetting(partial(self._through, layers[:4]), x, modules=layers[:4]), layers[4:]
        return flatten(self._through(layers, x))

    def _through(
        self, layers: Sequence[nn.Module], x: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch after new_height new_width"]:
        for layer in layers:
            x = self.convolved(layer, x)
        return x


class SkipDecoder(Normed, Decoder):
    """Up-convolutions with batch norm and ReLU; the latents enter every layer, linearly, as a bias for each channel.

    The image side must be divisible by 2 ** len(widths); no output non-linearity. `offset` is where the bias of the
    output starts: Adam moves it by about the learning rate a step, so far from the data's mean it costs hundreds.
    Source: cross-population VAE, section 4, after the skip models of Dieng et al. 2018, eq. 6.
    """

    def __init__(
        self,
        latents: int,
        shape: Sequence[int] = (1, 28, 28),
        widths: Sequence[int] = (64, 32),
        offset: float = 0.0,
        frozen_norms: bool = False,
    ):
        super().__init__()
        check_image(shape)
        check_positive(latents=latents, widths=widths, layers=len(widths))
        self.latents, self.shape, self.widths, self.offset = latents, tuple(shape), tuple(widths), offset
        self.frozen_norms = frozen_norms
        factor = 2 ** len(widths)
        if shape[1] % factor or shape[2] % factor:
            raise ValueError(
                f"expected image sides divisible by {factor} for {len(widths)} up-convolutions, "
                f"got {tuple(shape)}; pad the images or change widths"
            )
        start = (widths[0], shape[1] // factor, shape[2] // factor)
        self.first = nn.Sequential(
            nn.Linear(latents, start[0] * start[1] * start[2], bias=False), nn.Unflatten(1, start)
        )
        inner = widths[1:]
        self.ups = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)
            for before, after in zip(widths, inner, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.skips = nn.ModuleList(nn.Linear(latents, width, bias=False) for width in inner)
        self.last = nn.ConvTranspose2d(widths[-1], shape[0], 4, stride=2, padding=1)
        nn.init.constant_(self.last.bias, offset)  # type: ignore[arg-type]
        self.train()

    def forward(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch channel height width"]:
        """The natural parameter of each pixel, `[batch, *shape]`."""
        h = self.norms[0](self.first(z)).relu()
        for index in range(len(self.ups) - 1):
            h = self._up(index, h, z)
        if self.computation.recompute:  # what lies before the last convolution is the widest there is
            return forgetting(self._end, h, z, modules=self.norms[1:][-1:])
        return self._end(h, z)

    def _up(
        self, index: int, h: Float[Tensor, "batch before height width"], z: Float[Tensor, "batch latent"]
    ) -> Float[Tensor, "batch after new_height new_width"]:
        bias = self.skips[index](z)[:, :, None, None]
        return self.norms[index + 1](self.convolved(self.ups[index], h) + bias).relu()

    def _end(
        self, h: Float[Tensor, "batch before height width"], z: Float[Tensor, "batch latent"]
    ) -> Float[Tensor, "batch channel new_height new_width"]:
        if self.ups:
            h = self._up(len(self.ups) - 1, h, z)
        return self.convolved(self.last, h)
