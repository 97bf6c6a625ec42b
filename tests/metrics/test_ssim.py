"""SSIM, against scikit-image and closed forms."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from srexp.metrics import ssim


def _reference(a, b, peak):
    # The settings under which scikit-image follows Wang et al. (its documentation says so). The
    # valid region is what is left of the map without half a window on each side.
    _, full = structural_similarity(
        a,
        b,
        data_range=peak,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2,
        full=True,
    )
    return full[5:-5, 5:-5].mean(axis=(0, 1)).mean()


def _pair(height, width, channels, noise, seed=0):
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width, :channels][:2]
    b = 128 + 90 * np.sin(rows / 3) * np.cos(columns / 5) + random.normal(0, 8, rows.shape)
    a = b + random.normal(0, noise, b.shape)
    return (np.clip(np.rint(x), 0, 255) for x in (a, b))


@pytest.mark.parametrize(
    ("height", "width", "channels"),
    [(11, 11, 1), (12, 31, 1), (40, 33, 1), (11, 20, 3), (37, 45, 3), (90, 530, 1)],
)
@pytest.mark.parametrize("noise", [2, 25])
def test_agrees_with_scikit_image(height, width, channels, noise):
    a, b = _pair(height, width, channels, noise)
    expected = _reference(a, b, 255)
    assert 0.05 < expected < 0.999
    assert ssim(a, b, peak=255) == pytest.approx(expected, abs=1e-6)


def test_colour_is_the_mean_over_channels():
    a, b = _pair(24, 24, 3, 20)
    a[..., 2] = b[..., 2]
    planes = [_reference(a[..., c : c + 1], b[..., c : c + 1], 255) for c in range(3)]
    assert planes[2] == 1
    assert ssim(a, b, peak=255) == pytest.approx(np.mean(planes), abs=1e-6)


def test_eight_bit_images_give_the_same_as_floats():
    a, b = _pair(20, 20, 1, 20)
    stored = ssim(a.astype(np.uint8), b.astype(np.uint8), peak=255)
    assert stored == ssim(a, b, peak=255)
    assert stored == pytest.approx(_reference(a, b, 255), abs=1e-6)


def test_the_peak_sets_the_scale():
    a, b = _pair(20, 20, 1, 20)
    assert ssim(a / 255, b / 255, peak=1) == pytest.approx(ssim(a, b, peak=255), abs=1e-12)
    assert ssim(a / 255, b / 255, peak=255) > 0.999  # the wrong range hides every difference


@pytest.mark.parametrize(("x", "y"), [(0, 255), (100, 110), (255, 250), (0, 1)])
def test_flat_images_in_closed_form(x, y):
    # No variance: only the luminance term (2xy + C1) / (x^2 + y^2 + C1), C1 = (0.01 * 255)^2.
    c1 = 2.55**2
    expected = (2 * x * y + c1) / (x**2 + y**2 + c1)
    flat = np.ones((13, 12, 1))
    assert ssim(x * flat, y * flat, peak=255) == pytest.approx(expected, abs=1e-9)


def test_an_inverted_pattern_is_negative():
    random = np.random.default_rng(0)
    pattern = random.integers(-100, 101, (30, 30, 1))
    expected = _reference(128.0 + pattern, 128.0 - pattern, 255)
    assert expected < -0.9
    assert ssim(128 + pattern, 128 - pattern, peak=255) == pytest.approx(expected, abs=1e-6)


def test_identical_images_score_exactly_one():
    a, _ = _pair(15, 19, 3, 5)
    assert ssim(a, a.copy(), peak=255) == 1


def test_it_does_not_matter_which_is_the_reference():
    a, b = _pair(16, 16, 1, 10)
    assert ssim(a, b, peak=255) == ssim(b, a, peak=255)


@pytest.mark.parametrize("shape", [(10, 40, 1), (40, 10, 3)])
def test_a_side_shorter_than_the_window_is_refused(shape):
    with pytest.raises(ValueError, match=rf"{shape[1]}x{shape[0]} is smaller.*11x11"):
        ssim(np.zeros(shape), np.zeros(shape), peak=255)


def test_differing_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(12, 12, 1\) and \(12, 13, 1\)"):
        ssim(np.zeros((12, 12, 1)), np.zeros((12, 13, 1)), peak=255)


@pytest.mark.parametrize("tile", [(8, 1), (8, 7), (16, 30), (64, 20), (96, 502)])
def test_tiles_give_the_same_as_the_whole(tile, monkeypatch):
    a, b = _pair(75, 63, 2, 10)
    whole = ssim(a, b, peak=255)
    monkeypatch.setattr(sys.modules["srexp.metrics.ssim"], "_TILE", tile)
    assert ssim(a, b, peak=255) == pytest.approx(whole, abs=1e-12)


@pytest.mark.parametrize("sigma", [2, 12, 60])
def test_noise_on_a_flat_image(sigma):
    """Its variance is known, the other one's is 0: C2 / (Var + C2), to the second order."""
    noise = np.random.default_rng(0).normal(0, sigma, (400, 400, 1))
    flat = np.full(noise.shape, 128.0)
    _, full = structural_similarity(
        (flat + noise)[..., 0], flat[..., 0], data_range=255, gaussian_weights=True,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    got = ssim(flat + noise, flat, peak=255)
    assert got == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-9)
    squares = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)
    squares = ((squares / squares.sum()) ** 2).sum() ** 2  # of the window's weights
    bottom = sigma**2 * (1 - squares) + 7.65**2
    scatter = 2 * sigma**4 * squares  # of the variances in the windows
    expected = 7.65**2 / bottom * (1 + scatter / bottom**2)
    assert got == pytest.approx(expected, rel=0.02)


def test_floats_of_32_bits_are_filtered_in_64():
    a, b = (x.astype(np.float32) + np.float32(0.3) for x in _pair(30, 30, 1, 4))
    expected = _reference(a.astype(np.float64), b.astype(np.float64), 255)
    assert ssim(a, b, peak=255) == pytest.approx(expected, abs=1e-12)
