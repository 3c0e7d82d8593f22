import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from unbraid.metrics import (
    ALIGNED,
    ALIGNED_PER_IMAGE,
    RAW,
    aligned,
    negative_log_likelihood,
    pixel_correlation,
    psnr,
    squared_error,
    ssim,
)

RNG = np.random.default_rng(0)
TARGET = RNG.random((12, 2, 16, 18))
NOISY = TARGET + 0.2 * RNG.normal(size=TARGET.shape)
BOTH = pytest.mark.parametrize("metric", [psnr, ssim], ids=["psnr", "ssim"])


def test_squared_error_sums_pixels_and_averages_images():
    result = squared_error(TARGET, NOISY)
    each = [((a - b) ** 2).sum() for a, b in zip(TARGET, NOISY, strict=True)]
    assert result.value == pytest.approx(np.mean(each))
    assert result.interval is not None
    assert result.interval[1] - result.value == pytest.approx(1.96 * np.std(each, ddof=1) / np.sqrt(12), rel=1e-4)
    assert squared_error(TARGET, np.broadcast_to(TARGET.mean(0), TARGET.shape)).value == pytest.approx(result.chance)


def test_vectors_are_observations_too():
    assert squared_error(np.zeros((3, 4)), np.ones((3, 4))).value == 4


def test_negative_log_likelihood_is_named_after_its_likelihood():
    result = negative_log_likelihood(np.array([-1.0, -2.0, -6.0]), "bernoulli")
    assert (result.value, result.protocol) == (3, "bernoulli")


def test_psnr_is_the_mean_over_images():
    each = [peak_signal_noise_ratio(a, b, data_range=2.0) for a, b in zip(TARGET, NOISY, strict=True)]
    assert psnr(NOISY, TARGET, 2.0).value == pytest.approx(np.mean(each))


def test_ssim_is_the_mean_over_images():
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    pairs = zip(TARGET, NOISY, strict=True)
    each = [structural_similarity(a, b, data_range=2.0, channel_axis=0, **window) for a, b in pairs]
    assert ssim(NOISY, TARGET, 2.0).value == pytest.approx(np.mean(each))


def test_correlation_is_pearsons():
    each = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(TARGET, NOISY, strict=True)]
    assert pixel_correlation(NOISY, TARGET).value == pytest.approx(np.mean(each))


def test_constant_images_correlate_with_nothing():
    part = NOISY.copy()
    part[:3] = 0.1
    result = pixel_correlation(part, TARGET)
    assert result.detail["constant"] == 3
    assert result.detail["smallest"] == 0
    assert pixel_correlation(0 * part, TARGET).value == 0


@BOTH
def test_equal_images_reach_the_ceiling(metric):
    assert metric(TARGET, TARGET, 1.0).value == pytest.approx(metric(TARGET, TARGET, 1.0).ceiling)


@BOTH
@pytest.mark.parametrize(
    ("alignment", "scale", "offset"),
    [
        (ALIGNED, 0.3, -5.0),
        (ALIGNED_PER_IMAGE, np.linspace(0.1, 3, 12)[:, None, None, None], np.arange(12.0)[:, None, None, None]),
    ],
    ids=["data set", "image"],
)
def test_alignment_forgives_scale_and_offset(metric, alignment, scale, offset):
    result = metric(scale * TARGET + offset, TARGET, 1.0, alignment)
    assert result.value == pytest.approx(result.ceiling, rel=1e-6)
    assert result.protocol == alignment.name
    assert metric(scale * TARGET + offset, TARGET, 1.0, RAW).value < result.value


def test_one_alignment_for_the_data_set_is_the_stricter_reading():
    values = [
        psnr(NOISY * np.linspace(0.5, 2, 12)[:, None, None, None], TARGET, 1.0, a).value
        for a in (RAW, ALIGNED, ALIGNED_PER_IMAGE)
    ]
    assert values == sorted(values)


def test_alignment_is_least_squares():
    design = np.stack([NOISY.ravel(), np.ones(NOISY.size)], axis=1)
    best = np.linalg.lstsq(design, TARGET.ravel(), rcond=None)[0]
    np.testing.assert_allclose(aligned(NOISY, TARGET).ravel(), design @ best)
    np.testing.assert_allclose(aligned(NOISY, TARGET, RAW), NOISY)


@pytest.mark.parametrize("alignment", [ALIGNED, ALIGNED_PER_IMAGE], ids=lambda a: a.name)
@pytest.mark.parametrize("part", [-TARGET, np.full_like(TARGET, 0.1), np.zeros_like(TARGET)], ids=["sign", "flat", "0"])
def test_alignment_never_turns_a_useless_part_into_a_good_one(part, alignment):
    axes = tuple(range(TARGET.ndim)) if alignment is ALIGNED else (1, 2, 3)
    means = np.broadcast_to(TARGET.mean(axes, keepdims=True), TARGET.shape)
    np.testing.assert_allclose(aligned(part, TARGET, alignment), means)


@BOTH
def test_parts_of_other_images_score_below_the_mean_image(metric):
    result = metric(np.roll(TARGET, 1, axis=0), TARGET, 1.0)
    assert result.value < result.chance
    assert metric(TARGET, TARGET, 1.0).detail["shuffled"] == pytest.approx(result.value)


@BOTH
@pytest.mark.parametrize("data_range", [0.0, -1.0, float("nan")])
def test_data_range_must_be_positive(metric, data_range):
    with pytest.raises(ValueError, match="positive data_range"):
        metric(NOISY, TARGET, data_range)


def test_images_smaller_than_the_window_are_refused():
    with pytest.raises(ValueError, match="at least 11 x 11 pixels"):
        ssim(TARGET[..., :10], TARGET[..., :10], 1.0)
