"""SSIM, against scikit-image and closed forms."""

from __future__ import annotations

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
    [(11, 11, 1), (12, 31, 1), (40, 33, 1), (11, 20, 3), (37, 45, 3)],
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


def test_inputs_are_left_alone():
    a, b = _pair(14, 14, 3, 10)
    before = a.copy(), b.copy()
    a.flags.writeable = b.flags.writeable = False
    ssim(a, b, peak=255)
    np.testing.assert_array_equal((a, b), before)
