"""MS-SSIM, against two independent implementations and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from srexp.metrics import ms_ssim, ssim
from srexp.metrics.ms_ssim import MINIMUM_SIDE, WEIGHTS

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def _pair(height, width, channels, noise, seed=0):
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width, :channels][:2]
    waves = np.sin(rows / 3) * np.cos(columns / 5) + np.sin(rows / 40 + columns / 23)
    b = 128 + 50 * waves + random.normal(0, 8, rows.shape)
    a = b * 0.9 + 20 + random.normal(0, noise, b.shape)
    return (np.clip(np.rint(x), 0, 255).astype(np.uint8) for x in (a, b))


def _valid_ssim(a, b, k1):
    _, full = structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        full=True, K1=k1,
    )  # fmt: skip
    return full[5:-5, 5:-5].mean()


def _of_scikit_image(a, b):
    """Equation 7 from scikit-image's SSIM: with an endless C1 the factor of luminance is 1."""
    planes = []
    for c in range(a.shape[2]):
        x, y = a[..., c].astype(float), b[..., c].astype(float)
        product = 1.0
        for weight in (0.0448, 0.2856, 0.3001, 0.2363):
            product *= _valid_ssim(x, y, 1e9) ** weight
            x, y = (
                np.pad(z, [(0, side % 2) for side in z.shape], mode="symmetric") for z in (x, y)
            )
            x, y = (
                z.reshape(z.shape[0] // 2, 2, z.shape[1] // 2, 2).mean(axis=(1, 3)) for z in (x, y)
            )
        planes.append(product * _valid_ssim(x, y, 0.01) ** 0.1333)
    return np.mean(planes)


@pytest.mark.parametrize("shape", [(176, 176, 1), (177, 223, 1), (200, 181, 3)])
@pytest.mark.parametrize("noise", [3, 40])
def test_agrees_with_scikit_image_at_five_scales(shape, noise):
    a, b = _pair(*shape, noise)
    expected = _of_scikit_image(a, b)
    assert 0.5 < expected < 0.999
    assert ms_ssim(a, b, peak=255) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("shape", [(176, 176, 1), (177, 223, 1), (200, 181, 3)])
@pytest.mark.parametrize("noise", [3, 40])
def test_agrees_with_tensorflow(shape, noise):
    """It computes in float32, and that is how near it comes."""
    import tensorflow as tf

    a, b = _pair(*shape, noise)
    expected = float(tf.image.ssim_multiscale(tf.constant(a), tf.constant(b), 255).numpy())
    assert ms_ssim(a, b, peak=255) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("x", "y"), [(0, 255), (100, 110), (0, 1)])
def test_flat_images_differ_in_luminance_alone(x, y):
    # Contrast and structure are 1 at every scale, and luminance counts at the coarsest only.
    flat = np.ones((176, 180, 1))
    luminance = (2 * x * y + C1) / (x**2 + y**2 + C1)
    assert ms_ssim(x * flat, y * flat, peak=255) == pytest.approx(luminance**0.1333, abs=1e-9)


@pytest.mark.parametrize(("size", "weight"), [(1, 0.0448), (2, 0.2856)])
def test_a_chequerboard_is_gone_at_the_scale_that_halves_its_squares(size, weight):
    """Squares of one pixel count at the first scale alone; those of two at the second as well."""
    amplitude = 20
    rows, columns = np.mgrid[:192, :192] // size % 2
    flat = np.full((192, 192, 1), 128.0)
    board = flat + amplitude * (1 - 2 * (rows ^ columns))[..., None]
    taps = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    taps /= taps.sum()
    alternating = (taps * (-1.0) ** np.arange(11)).sum() ** 2  # what a window's mean has of it
    finest = C2 / (amplitude**2 * (1 - alternating**2) + C2)
    if size == 1:
        assert ms_ssim(board, flat, peak=255) == pytest.approx(finest**weight, abs=1e-9)
    else:
        half = board[::2, ::2]
        assert np.abs(np.diff(half[..., 0])).min() == 2 * amplitude
        first = _valid_ssim(board[..., 0], flat[..., 0], 1e9)
        expected = first ** WEIGHTS[0] * finest**weight
        assert ms_ssim(board, flat, peak=255) == pytest.approx(expected, abs=1e-9)


def test_identical_images_score_exactly_one():
    a, _ = _pair(181, 176, 3, 5)
    assert ms_ssim(a, a.copy(), peak=255) == 1


def test_an_inverted_pattern_counts_as_nothing():
    pattern = np.random.default_rng(0).integers(-100, 101, (176, 176, 1))
    assert ssim(128.0 + pattern, 128.0 - pattern, peak=255) < 0
    assert ms_ssim(128.0 + pattern, 128.0 - pattern, peak=255) == 0


def test_eight_bit_images_give_the_same_as_floats():
    a, b = _pair(179, 180, 1, 9)
    assert ms_ssim(a, b, peak=255) == ms_ssim(a.astype(float), b.astype(float), peak=255)
    assert ms_ssim(a / 255, b / 255, peak=1) == pytest.approx(ms_ssim(a, b, peak=255), abs=1e-12)


@pytest.mark.parametrize("shape", [(175, 300, 1), (300, 175, 3)])
def test_a_side_too_short_for_five_scales_is_refused(shape):
    assert MINIMUM_SIDE == 176
    with pytest.raises(ValueError, match=rf"{shape[1]}x{shape[0]} is smaller.* 176x176"):
        ms_ssim(np.zeros(shape), np.zeros(shape), peak=255)


def test_differing_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(180, 180, 1\) and \(180, 181, 1\)"):
        ms_ssim(np.zeros((180, 180, 1)), np.zeros((180, 181, 1)), peak=255)
