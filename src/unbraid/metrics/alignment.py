"""What is forgiven before a part of a reconstruction is compared with its target."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Real

from unbraid.metrics.checks import image_pair

Images = Float[np.ndarray, "n *shape"]
Fit = tuple[Float[np.ndarray, "scale *one"], Float[np.ndarray, "offset *one"]]


@dataclass(frozen=True)
class Alignment:
    """What is done to a part before it is compared with its target, and the name of the protocol that this makes.

    fit: part and target `[n, *shape]` to scale and offset that broadcast over the part.
    """

    name: str
    fit: Callable[[Images, Images], Fit]

    def __call__(self, part: Images, target: Images) -> Images:
        """The part, scaled and shifted, `[n, *shape]`."""
        scale, offset = self.fit(part, target)
        return scale * part + offset


def _unchanged(part: Images, target: Images) -> Fit:
    one = np.ones((1,) * part.ndim)
    return one, 0 * one


def _per_data_set(part: Images, target: Images) -> Fit:
    return _least_squares(part, target, tuple(range(part.ndim)))


def _per_image(part: Images, target: Images) -> Fit:
    return _least_squares(part, target, tuple(range(1, part.ndim)))


def _least_squares(part: Images, target: Images, over: tuple[int, ...]) -> Fit:
    """Scale (not negative) and offset of the smallest squared error, one pair for all values `over` spans."""
    middle, aim = part.mean(over, keepdims=True), target.mean(over, keepdims=True)
    spread = ((part - middle) ** 2).mean(over, keepdims=True)
    shared = ((part - middle) * (target - aim)).mean(over, keepdims=True)
    flat = spread <= (1e-12 * np.abs(part).max()) ** 2  # rounding of a constant part
    scale = np.maximum(shared, 0) / np.where(flat, 1, spread) * ~flat
    return scale, aim - scale * middle


RAW = Alignment("raw", _unchanged)
ALIGNED = Alignment("aligned", _per_data_set)
ALIGNED_PER_IMAGE = Alignment("aligned per image", _per_image)


def aligned(
    part: Real[np.ndarray, "n *shape"], target: Real[np.ndarray, "n *shape"], alignment: Alignment = ALIGNED
) -> Images:
    """The part with the scale and offset that bring it closest to the target by least squares, `[n, *shape]`.

    Where the model is a sum of parts, p(x) does not change if one decoder hands the other a constant, so a part is
    known up to an offset at best. One scale and offset for the whole data set is the default and the stricter reading;
    a pair an image would also forgive a wrong brightness in each. The scale is never negative, since the sign of a
    part is determined. A traded mean *image* is not forgiven: subtract both means to study that.

    Raises:
        ValueError: shapes differ, there are no images, or a pixel is NaN or infinite.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).random((20, 1, 4, 4))
    >>> bool(np.allclose(aligned(0.25 * x - 3, x), x))
    True
    >>> float(aligned(-x, x).std())  # the sign is not forgiven: only the mean of the target is left
    0.0
    """
    part, target = image_pair(part, target)
    return alignment(part, target)
