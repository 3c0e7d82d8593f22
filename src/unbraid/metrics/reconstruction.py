"""How close a reconstruction, or one additive part of it, is to what it should show."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Real
from skimage.metrics import structural_similarity

from unbraid.metrics.alignment import RAW, Alignment
from unbraid.metrics.checks import finite, image_pair, mean_interval
from unbraid.metrics.result import Result

PSNR_LIMIT = 100.0  # decibels: equal images have no finite PSNR, so that means over images need a cap


def squared_error(original: Real[np.ndarray, "n *shape"], reconstruction: Real[np.ndarray, "n *shape"]) -> Result:
    """Squared error of the mean image, summed over pixels and averaged over images.

    `ceiling` is 0, the best there is; `chance` is the error of always showing the mean original. `interval` is normal
    over images.

    Args:
        original: `[n, *shape]`.
        reconstruction: `[n, *shape]`, the mean of the likelihood, in the units of the original.

    Raises:
        ValueError: shapes differ, there are fewer than two images, or a pixel is NaN or infinite.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).random((50, 1, 8, 8))
    >>> squared_error(x, x).value  # perfect
    0.0
    >>> result = squared_error(x, x[::-1].copy())  # permuted: worse than showing the mean
    >>> result.value > result.chance
    True
    >>> round(squared_error(x, x + 0.5).value, 6)  # bad: 64 pixels, 0.25 each
    16.0
    """
    part, target = image_pair(reconstruction, original)
    each = _sums((part - target) ** 2)
    chance = float(_sums((target - target.mean(0)) ** 2).mean())
    return _over_images("squared_error", "sum over pixels, mean over images", each, {}, chance, 0.0, {})


def negative_log_likelihood(log_likelihood: Real[np.ndarray, " n"], likelihood: str) -> Result:
    """Reconstruction error as the likelihood's own: minus log p(x given latents) in nats, mean over images.

    Args:
        log_likelihood: `[n]`, summed over pixels.
        likelihood: its name, which becomes the protocol; values under different likelihoods are not comparable.

    Raises:
        ValueError: it is not a vector of at least two finite values.

    >>> import numpy as np
    >>> negative_log_likelihood(np.array([-3.0, -5.0]), "bernoulli").value
    4.0
    """
    each = -finite(log_likelihood, "log_likelihood")
    if each.ndim != 1 or len(each) < 2:
        raise ValueError(f"expected log_likelihood as [n] with n at least 2, got shape {each.shape}; sum over pixels")
    return _over_images("negative_log_likelihood", likelihood, each, {"unit": "nat"}, None, None, {})


def psnr(
    part: Real[np.ndarray, "n *shape"],
    target: Real[np.ndarray, "n *shape"],
    data_range: float,
    alignment: Alignment = RAW,
) -> Result:
    """Peak signal-to-noise ratio in decibels, mean over images; an image's value is capped at 100 dB.

    `chance` is the score of the mean target, shown for every image and aligned likewise; `detail["shuffled"]` that of
    the part of another image. `interval` is normal over images and takes the alignment as given.

    Args:
        part: `[n, *shape]` reconstruction, or one part of it.
        target: `[n, *shape]` what it should show.
        data_range: largest minus smallest value a target may have (1 for images in [0, 1]).
        alignment: `RAW`, `ALIGNED` or `ALIGNED_PER_IMAGE`, see `aligned`.

    Raises:
        ValueError: shapes differ, fewer than two images, a pixel is NaN or infinite, `data_range` is not positive.

    >>> import numpy as np
    >>> from unbraid.metrics import ALIGNED
    >>> x = np.random.default_rng(0).random((50, 1, 16, 16))
    >>> psnr(x, x, 1.0).value  # perfect
    100.0
    >>> psnr(0.5 * x + 0.3, x, 1.0, ALIGNED).value  # perfect up to scale and offset
    100.0
    >>> result = psnr(x[::-1].copy(), x, 1.0)  # permuted
    >>> result.value < result.chance
    True
    >>> round(psnr(x + 0.1, x, 1.0).value, 6)  # bad
    20.0
    """
    return _similarity("psnr", _psnr, part, target, data_range, alignment, {"limit": PSNR_LIMIT}, PSNR_LIMIT)


def ssim(
    part: Real[np.ndarray, "n channel height width"],
    target: Real[np.ndarray, "n channel height width"],
    data_range: float,
    alignment: Alignment = RAW,
) -> Result:
    """Structural similarity (Wang et al. 2004: Gaussian window, sigma 1.5), mean over images, at most 1.

    Channels are scored apart and averaged. Arguments, chance, interval and errors are those of `psnr`; images must be
    at least 11 pixels high and wide, the width of the window.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).random((20, 1, 16, 16))
    >>> round(ssim(x, x, 1.0).value, 6)  # perfect
    1.0
    >>> ssim(x[::-1].copy(), x, 1.0).value < 0.2  # permuted
    True
    >>> ssim(1 - x, x, 1.0).value < 0  # bad: inverted
    True
    """
    shape = np.shape(target)
    if len(shape) != 4 or min(shape[2:]) < 11:
        raise ValueError(f"expected images [n, channel, height, width] of at least 11 x 11 pixels, got shape {shape}")
    return _similarity("ssim", _ssim, part, target, data_range, alignment, {"sigma": 1.5}, 1.0)


def pixel_correlation(part: Real[np.ndarray, "n *shape"], target: Real[np.ndarray, "n *shape"]) -> Result:
    """Pearson correlation over the pixels of each image, mean over images; blind to scale and offset.

    An image whose part or target is constant counts as 0; `detail["constant"]` says how many there are. `chance` is the
    score of the mean target, shown for every image. `interval` is normal over images.

    Raises:
        ValueError: shapes differ, there are fewer than two images, or a pixel is NaN or infinite.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).random((50, 1, 8, 8))
    >>> round(pixel_correlation(2 * x + 1, x).value, 6)  # perfect
    1.0
    >>> abs(pixel_correlation(x[::-1].copy(), x).value) < 0.1  # permuted
    True
    >>> round(pixel_correlation(-x, x).value, 6)  # bad: inverted
    -1.0
    """
    part, target = image_pair(part, target)
    each = _correlations(part, target)
    mean = np.broadcast_to(target.mean(0), target.shape)
    detail = {
        "constant": int(np.count_nonzero(_flat(part) | _flat(target))),
        "shuffled": float(_correlations(np.roll(part, 1, axis=0), target).mean()),
    }
    chance = float(_correlations(mean, target).mean())
    return _over_images("pixel_correlation", "pearson per image", each, {}, chance, 1.0, detail)


def _similarity(
    metric: str,
    score: Callable[..., Float[np.ndarray, " n"]],
    part: Real[np.ndarray, "n *shape"],
    target: Real[np.ndarray, "n *shape"],
    data_range: float,
    alignment: Alignment,
    settings: dict,
    ceiling: float,
) -> Result:
    part, target = image_pair(part, target)
    if not data_range > 0:
        raise ValueError(f"expected a positive data_range (1 for images in [0, 1]), got {data_range}")
    scale, offset = alignment.fit(part, target)
    other = np.roll(part, 1, axis=0)
    mean = np.broadcast_to(target.mean(0), target.shape)
    detail = {
        "scale": float(scale.mean()),
        "offset": float(offset.mean()),
        "shuffled": float(score(alignment(other, target), target, data_range).mean()),
    }
    each = score(scale * part + offset, target, data_range)
    chance = float(score(alignment(mean, target), target, data_range).mean())
    parameters = {"data_range": data_range, **settings}
    return _over_images(metric, alignment.name, each, parameters, chance, ceiling, detail)


def _over_images(
    metric: str,
    protocol: str,
    each: Float[np.ndarray, " n"],
    parameters: dict,
    chance: float | None,
    ceiling: float | None,
    detail: dict,
) -> Result:
    spread = {"deviation": float(each.std(ddof=1)), "smallest": float(each.min()), "largest": float(each.max())}
    parameters = {**parameters, "images": len(each)}
    interval = mean_interval(each)
    return Result(metric, float(each.mean()), protocol, parameters, chance, ceiling, interval, None, detail | spread)


def _sums(values: Float[np.ndarray, "n *shape"]) -> Float[np.ndarray, " n"]:
    return values.reshape(len(values), -1).sum(1)


def _psnr(
    part: Float[np.ndarray, "n *shape"], target: Float[np.ndarray, "n *shape"], data_range: float
) -> Float[np.ndarray, " n"]:
    error = _sums((part - target) ** 2) / target[0].size
    return -10 * np.log10(np.maximum(error / data_range**2, 10 ** (-PSNR_LIMIT / 10)))


def _ssim(
    part: Float[np.ndarray, "n channel height width"],
    target: Float[np.ndarray, "n channel height width"],
    data_range: float,
) -> Float[np.ndarray, " n"]:
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    pairs = zip(part, target, strict=True)
    return np.array([structural_similarity(a, b, data_range=data_range, channel_axis=0, **window) for a, b in pairs])


def _flat(values: Float[np.ndarray, "n *shape"]) -> Bool[np.ndarray, " n"]:
    rows = values.reshape(len(values), -1)
    return rows.std(1) <= 1e-12 * np.abs(rows).max(1)


def _correlations(
    part: Float[np.ndarray, "n *shape"], target: Float[np.ndarray, "n *shape"]
) -> Float[np.ndarray, " n"]:
    a, b = (values.reshape(len(values), -1) for values in (part, target))
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    constant = _flat(part) | _flat(target)
    norms = np.where(constant, 1, np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return np.where(constant, 0, (a * b).sum(1) / norms)
