"""The convolutional encoder and decoder of the sequential residual VAE paper (table 1), for square images."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from unbraid.nets.contract import Decoder, Trunk, check_positive


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

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch feature"]:
        """Features of each image, `[batch, features]`."""
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

    def forward(self, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch channel height width"]:
        """The natural parameter of each pixel, `[batch, channels, height, width]`."""
        return self.layers(z)
