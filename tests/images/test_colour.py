"""Luma and chroma, against the published matrix in whole numbers."""

from __future__ import annotations

import numpy as np
import pytest

from srexp.images.colour import as_rgb, grey_of_rgb, luma, rgb_to_ycbcr, ycbcr_to_rgb


def _pixel(*rgb):
    return np.array([[rgb]], np.float32)


# MATLAB's documentation of rgb2ycbcr: Y in 16..235, Cb and Cr in 16..240, from the matrix
# [65.481 128.553 24.966; -37.797 -74.203 112; 112 -93.786 -18.214] and the offset 16, 128, 128.
@pytest.mark.parametrize(
    ("rgb", "ycbcr"),
    [
        ((1, 1, 1), (235, 128, 128)),
        ((0, 0, 0), (16, 128, 128)),
        ((1, 0, 0), (81.481, 90.203, 240)),
        ((0, 1, 0), (144.553, 53.797, 34.214)),
        ((0, 0, 1), (40.966, 240, 109.786)),
        ((0.5, 0.5, 0.5), (125.5, 128, 128)),
    ],
)
def test_known_colours(rgb, ycbcr):
    np.testing.assert_allclose(rgb_to_ycbcr(_pixel(*rgb))[0, 0] * 255, ycbcr, atol=2e-5)


@pytest.mark.parametrize(
    ("rgb", "y"),
    [((255, 255, 255), 235), ((0, 0, 0), 16), ((255, 0, 0), 81), ((0, 255, 0), 145),
     ((0, 0, 255), 41)],
)  # fmt: skip
def test_luma_of_known_colours_is_a_whole_number(rgb, y):
    assert luma(_pixel(*rgb) / 255)[0, 0, 0] == np.float32(y) / np.float32(255)


def test_luma_of_all_colours_is_the_exact_value_rounded():
    # In whole numbers: 255000 (Y - 16) = 65481 R + 128553 G + 24966 B. Exact halves, some 200 in
    # 16.7 million, are left out: there MATLAB's own result hangs on its floats.
    green, blue = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    for red in range(0, 256, 5):
        exact = 65481 * red + 128553 * green + 24966 * blue
        expected = 16 + (exact + 127500) // 255000
        halves = (exact + 127500) % 255000 == 0
        image = np.stack([np.full_like(green, red), green, blue], axis=2).astype(np.float32)
        got = luma(image / np.float32(255))[..., 0] * 255
        assert np.abs(got - expected)[~halves].max() < 1e-3


def test_ycbcr_and_back():
    image = np.random.default_rng(0).random((9, 7, 3)).astype(np.float32)
    np.testing.assert_allclose(ycbcr_to_rgb(rgb_to_ycbcr(image)), image, atol=2e-6)


def test_colours_that_do_not_exist_are_clipped():
    # Y = 255 lies above white, Y = 0 below black.
    ycbcr = np.array([[[255, 128, 128], [0, 128, 128]]], np.float32) / 255
    np.testing.assert_array_equal(ycbcr_to_rgb(ycbcr), [[[1, 1, 1], [0, 0, 0]]])


def test_luma_of_one_channel_is_left_alone():
    # Not even rounded, and never mapped to 16..235.
    grey = np.array([[[0.0], [0.12345], [1.0]]], np.float32)
    np.testing.assert_array_equal(luma(grey), grey)


def test_grey_as_rgb_has_three_equal_channels():
    grey = np.random.default_rng(1).random((4, 5, 1)).astype(np.float32)
    rgb = as_rgb(grey)
    assert rgb.shape == (4, 5, 3)
    np.testing.assert_array_equal(rgb, np.stack([grey[..., 0]] * 3, axis=2))
    np.testing.assert_array_equal(as_rgb(rgb), rgb)


def test_grey_of_equal_channels_is_that_channel():
    grey = np.random.default_rng(2).random((40, 50, 1)).astype(np.float32) * 1.2 - 0.1
    np.testing.assert_array_equal(grey_of_rgb(as_rgb(grey)), grey)


def test_grey_of_unequal_channels_weighs_them_as_luma_does():
    weights = np.array([65.481, 128.553, 24.966]) / 219
    for channel in range(3):
        pure = np.zeros((1, 1, 3), np.float32)
        pure[..., channel] = 1
        assert grey_of_rgb(pure)[0, 0, 0] == pytest.approx(weights[channel], abs=1e-7)
