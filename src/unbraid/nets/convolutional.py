"""The convolutional encoder and decoder of the sequential residual VAE paper (table 1), for square images."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unbraid.nets import _native, _reformulated
from unbraid.nets._forgetting import forgetting
from unbraid.nets.contract import Decoder, Trunk, check_positive
from unbraid.settings import Computation


class ConvTrunk(Trunk):
    """4x4 stride-2 convolutions down to 4x4, then a 4x4 convolution to `features`, ReLU throughout.

    The defaults are the paper's encoder for 64x64; the input side is 4 * 2 ** len(widths).
    Source: sequential residual VAE, table 1 (the network of beta-VAE, Higgins et al. 2017).
    """

    def __init__(self, channels: int = 1, widths: Sequence[int] = (32, 32, 64, 64), features: int = 256):
        super().__init__()
        check_positive(channels=channels, widths=widths, layers=len(widths), features=features)
        self.channels, self.widths, self.features = channels, tuple(widths), features
        self.shape = (channels, 4 * 2 ** len(widths), 4 * 2 ** len(widths))
        layers: list[nn.Module] = []
        for before, after in zip((channels, *widths), widths, strict=False):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], features, 4), nn.ReLU(), nn.Flatten())

    def knows(self, computation: Computation, device: torch.device) -> bool:
        """Whether it has such kernels, which all are made for processors."""
        if computation.kernels == "native":
            return _native.knows(computation, self.widths, device)
        return computation.kernels == "plain" or device.type == "cpu"

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch feature"]:
        """Features of each image, `[batch, features]`."""
        if self.computation.kernels == "reformulated":
            return _reformulated.encoded(self.layers, x, self.computation.recompute)
        if self.computation.kernels == "native" and _native.takes(self.layers, x, self.shape):
            return _native.encoded(self.layers, x, self.computation)
        if self.computation.recompute:  # the first layer's output, the widest there is
            return self.layers[3:](forgetting(self.layers[:3], x))
        return self.layers(x)


class ConvDecoder(Decoder):
    """The mirror of `ConvTrunk`: linear, 4x4 up-convolutions, ReLU between layers and none on the output.

    `offset` is where the bias of the output starts. Far from the data's mean, training begins with a long and
    sometimes unstable way there; `SequentialVAE.constant_for` says which offset gives a wanted output.
    Source: sequential residual VAE, table 1.
    """

    def __init__(
        self,
        latents: int = 10,
        channels: int = 1,
        widths: Sequence[int] = (32, 32, 64, 64),
        features: int = 256,
        offset: float = 0.0,
    ):
        super().__init__()
        check_positive(latents=latents, channels=channels, widths=widths, layers=len(widths), features=features)
        self.latents, self.channels, self.widths, self.features = latents, channels, tuple(widths), features
        self.offset = offset
        self.shape = (channels, 4 * 2 ** len(widths), 4 * 2 ** len(widths))
        up = self.widths[::-1]
        layers: list[nn.Module] = [nn.Linear(latents, features), nn.ReLU(), nn.Unflatten(1, (features, 1, 1))]
        layers += [nn.ConvTranspose2d(features, up[0], 4), nn.ReLU()]
        for before, after in pairwise(up):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.ReLU()]
        last = nn.ConvTranspose2d(up[-1], channels, 4, stride=2, padding=1)
        nn.init.constant_(last.bias, offset)  # type: ignore[arg-type]
        self.layers = nn.Sequential(*layers, last)

    def knows(self, computation: Computation, device: torch.device) -> bool:
        """Whether it has such kernels, which all are made for processors."""
        if computation.kernels == "native":
            return _native.knows(computation, self.widths, device)
        return computation.kernels == "plain" or device.type == "cpu"

    def forward(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch channel height width"]:
        """The natural parameter of each pixel, `[batch, channels, height, width]`."""
        if self.computation.kernels == "reformulated":
            return _reformulated.decoded(self.layers, z, self.computation.recompute)
        if self.computation.kernels == "native" and _native.takes(self.layers, z, (self.latents,)):
            return _native.decoded(self.layers, z, self.computation)
        if self.computation.recompute:  # the last layer's input, the widest there is
            return forgetting(self.layers[-3:], self.layers[:-3](z))
        return self.layers(z)
