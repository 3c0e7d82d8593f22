"""scikit-learn's 1,797 handwritten digits, redrawn at the size and with the look of MNIST."""

from functools import cache

import numpy as np
from jaxtyping import Float, Int
from scipy.interpolate import CubicSpline

SIDE = 28
BOX = 20  # MNIST centres digits of 20 x 20 in images of 28 x 28
INK = (0.3, 0.75)  # interpolated grey that becomes ground and full ink


@cache
def enlarged() -> tuple[Float[np.ndarray, "digit 28 28"], Int[np.ndarray, " digit"]]:
    """All digits as 28 x 28 images in [0, 1], float32, and their classes; read-only."""
    from sklearn.datasets import load_digits  # here, since it imports half of scikit-learn, and pandas

    small, classes = map(np.asarray, load_digits(return_X_y=True))
    resize = _interpolation(8)
    grey = resize @ (small.reshape(-1, 8, 8) / 16) @ resize.T
    low, high = INK
    part = np.clip((grey - low) / (high - low), 0, 1)
    images = (part * part * (3 - 2 * part)).astype(np.float32)  # smooth step: soft edges, flat ink and ground
    images.flags.writeable = False
    return images, classes.astype(np.int64)


def _interpolation(pixels: int) -> Float[np.ndarray, "28 pixels"]:
    """The matrix that takes a line of pixels to 28 by cubic splines; outside the line is ground."""
    pad = 4
    knots = np.arange(-pad, pixels + pad)
    position = (np.arange(SIDE) + 0.5 - SIDE / 2) * pixels / BOX + (pixels - 1) / 2
    return CubicSpline(knots, np.eye(len(knots)))(position)[:, pad:-pad]
