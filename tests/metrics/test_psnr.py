"""PSNR, against closed forms and scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from srexp.metrics import psnr


@pytest.mark.parametrize("difference", [1, 5, 16, 255])
def test_a_constant_difference_in_closed_form(difference):
    reference = np.zeros((4, 5, 3))
    expected = 20 * math.log10(255 / difference)
    assert psnr(reference + difference, reference, peak=255) == pytest.approx(expected, abs=1e-12)


def test_one_level_of_eight_bits_is_48_13_db():
    image = np.full((2, 2, 1), 7, np.uint8)
    assert psnr(image, image + np.uint8(1), peak=255) == pytest.approx(48.1308, abs=5e-5)


def test_a_difference_at_a_quarter_of_the_pixels():
    # MSE = 0.1^2 / 4, so 20 dB + 10 log10(4).
    reference = np.full((4, 4, 1), 0.5)
    image = reference.copy()
    image[:2, :2] += 0.1
    assert psnr(image, reference, peak=1) == pytest.approx(20 + 10 * math.log10(4), abs=1e-9)


def test_channels_are_taken_together_and_not_one_by_one():
    # Differences 0, 0 and 3 in three channels: MSE 3. A mean over channels would be infinite.
    reference = np.zeros((6, 6, 3), np.uint8)
    image = reference + np.array([0, 0, 3], np.uint8)
    assert psnr(image, reference, peak=255) == pytest.approx(10 * math.log10(255**2 / 3), abs=1e-9)


def test_eight_bit_values_do_not_wrap_around():
    black, white = np.zeros((3, 3, 1), np.uint8), np.full((3, 3, 1), 255, np.uint8)
    assert psnr(black, white, peak=255) == 0
    assert psnr(white, black, peak=255) == 0


@pytest.mark.parametrize(("peak", "dtype"), [(255, np.uint8), (1, np.float32)])
def test_agrees_with_scikit_image(peak, dtype):
    random = np.random.default_rng(0)
    a, b = (random.random((13, 17, 3)) for _ in range(2))
    a, b = ((x * peak).astype(dtype) for x in (a, b))
    expected = peak_signal_noise_ratio(b.astype(float), a.astype(float), data_range=peak)
    assert psnr(a, b, peak=peak) == pytest.approx(expected, abs=1e-6)


def test_images_of_several_bands_agree_with_scikit_image():
    random = np.random.default_rng(0)
    a, b = (random.integers(0, 256, (611, 401, 3), np.uint8) for _ in range(2))
    expected = peak_signal_noise_ratio(b, a, data_range=255)
    assert psnr(a, b, peak=255) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("sigma", [1, 10])
def test_gaussian_noise_has_the_psnr_of_its_variance(sigma):
    # The mean square of a million has a relative deviation of 0.0014: 0.006 dB.
    noise = np.random.default_rng(0).normal(0, sigma, (1000, 1000, 1))
    expected = 20 * math.log10(255 / sigma)
    assert psnr(100 + noise, np.full(noise.shape, 100.0), peak=255) == pytest.approx(
        expected, abs=0.03
    )


def test_identical_images_are_infinite_and_not_capped():
    image = np.random.default_rng(0).random((5, 5, 3))
    assert psnr(image, image.copy(), peak=1) == math.inf


def test_a_difference_in_the_last_bit_is_finite():
    image = np.full((8, 8, 1), 0.5)
    nearly = image.copy()
    nearly[3, 3] = np.nextafter(0.5, 1)
    assert 300 < psnr(nearly, image, peak=1) < math.inf


def test_differing_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 4, 1\) and \(4, 4, 3\)"):
        psnr(np.zeros((4, 4, 1)), np.zeros((4, 4, 3)), peak=1)
