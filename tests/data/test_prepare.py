"""Preparations of photographs, where the result is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from srexp.data.prepare import prepare


def _numbered(height, width):
    return (np.arange(height * width, dtype=np.float32) / 4096).reshape(height, width, 1)


def test_native_is_the_image_itself():
    image = _numbered(7, 9)
    np.testing.assert_array_equal(prepare(image, "native", 16), image)


@pytest.mark.parametrize("shape", [(20, 20, 3), (9, 31, 1), (40, 13, 3)])
def test_white_stays_white(shape):
    prepared = prepare(np.ones(shape, np.float32), "white_square", 24)
    np.testing.assert_array_equal(prepared, np.ones((24, 24, shape[2]), np.float32))


def test_a_wide_black_picture_gets_a_white_band_above_and_below():
    # Already as long as the square: nothing is resized, so every pixel is known.
    expected = np.ones((32, 32, 3), np.float32)
    expected[8:24] = 0
    wide = prepare(np.zeros((16, 32, 3), np.float32), "white_square", 32)
    np.testing.assert_array_equal(wide, expected)
    tall = prepare(np.zeros((32, 16, 3), np.float32), "white_square", 32)
    np.testing.assert_array_equal(tall, expected.transpose(1, 0, 2))


def test_bands_are_symmetrical_after_shrinking():
    prepared = prepare(np.zeros((60, 120, 1), np.float32), "white_square", 30)[..., 0]
    np.testing.assert_array_equal(prepared, prepared[::-1])
    np.testing.assert_array_equal(prepared[:5], 1)
    np.testing.assert_array_equal(prepared[10:20], 0)


def test_of_an_odd_margin_the_larger_half_lies_below():
    prepared = prepare(np.zeros((4, 7, 1), np.float32), "white_square", 7)[:, 0, 0]
    np.testing.assert_array_equal(prepared, [1, 0, 0, 0, 0, 1, 1])


def test_white_square_is_pillows_bicubic_of_a_picture_on_white():
    levels = np.random.default_rng(0).integers(0, 256, (40, 25, 3), np.uint8)
    square = Image.new("RGB", (40, 40), "white")
    square.paste(Image.fromarray(levels), (7, 0))
    expected = np.asarray(square.resize((16, 16), Image.Resampling.BICUBIC))
    got = prepare(levels / np.float32(255), "white_square", 16)
    np.testing.assert_allclose(got * 255, expected, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "size", "rows", "columns"),
    [
        ((8, 10), 4, slice(2, 6), slice(3, 7)),
        ((9, 8), 4, slice(2, 6), slice(2, 6)),  # odd: the extra row goes below
        ((3, 10), 4, slice(0, 3), slice(3, 7)),  # a short side stays whole
        ((4, 4), 4, slice(0, 4), slice(0, 4)),
        ((3, 2), 4, slice(0, 3), slice(0, 2)),
    ],
)
def test_center_crop(shape, size, rows, columns):
    image = _numbered(*shape)
    np.testing.assert_array_equal(prepare(image, "center_crop", size), image[rows, columns])


@pytest.mark.parametrize("how", ["native", "white_square", "center_crop"])
def test_preparing_leaves_the_photograph_alone(how):
    image = _numbered(20, 30)
    before = image.copy()
    prepare(image, how, 16)
    np.testing.assert_array_equal(image, before)
