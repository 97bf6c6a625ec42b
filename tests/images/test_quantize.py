"""Rounding to 8 bits, and packing."""

from __future__ import annotations

import numpy as np
import pytest

from srexp.images.quantize import from_uint8, pack, round_8bit, to_uint8, unpack


def test_halves_are_rounded_away_from_zero():
    # MATLAB: uint8([0.5 1.5 2.5 3.5 253.5 254.5]) is [1 2 3 4 254 255]; half to even gives 0 2 2 4.
    halves = np.array([0.5, 1.5, 2.5, 3.5, 253.5, 254.5])
    np.testing.assert_array_equal(to_uint8(halves / 255), [1, 2, 3, 4, 254, 255])


def test_values_between_are_rounded_and_not_truncated():
    values = np.array([0.49, 0.51, 99.4, 99.6, 254.9])
    np.testing.assert_array_equal(to_uint8(values / 255), [0, 1, 99, 100, 255])


def test_values_outside_are_clipped():
    values = np.array([-10.0, -0.002, 1.002, 3.0], np.float32)
    np.testing.assert_array_equal(to_uint8(values), [0, 0, 255, 255])


def test_every_eight_bit_value_comes_back():
    levels = np.arange(256, dtype=np.uint8)
    floats = from_uint8(levels)
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, np.arange(256) / 255, atol=3e-8)
    np.testing.assert_array_equal(to_uint8(floats), levels)
    np.testing.assert_array_equal(round_8bit(floats), floats)


def test_round_8bit_moves_to_the_nearest_level():
    image = np.random.default_rng(0).random((7, 9, 3)).astype(np.float32)
    rounded = round_8bit(image)
    assert np.abs(rounded - image).max() <= 0.5 / 255 + 1e-7
    np.testing.assert_allclose(rounded * 255, np.rint(rounded * 255), atol=1e-4)


def test_packing_an_eight_bit_image_loses_nothing_and_saves_memory():
    image = from_uint8(np.arange(240, dtype=np.uint8).reshape(8, 10, 3))
    packed = pack(image)
    assert packed.nbytes * 4 == image.nbytes
    np.testing.assert_array_equal(unpack(packed), image)
    assert unpack(packed).dtype == np.float32


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(12345 / 65535, id="16 bits"),
        pytest.param(-0.01, id="undershoot"),
        pytest.param(1.01, id="overshoot"),
    ],
)
def test_what_eight_bits_cannot_hold_is_not_packed(value):
    image = np.zeros((4, 4, 1), np.float32)
    image[2, 1, 0] = value
    assert pack(image).dtype == np.float32
    np.testing.assert_array_equal(unpack(pack(image)), image)


def test_rounding_leaves_its_input_alone():
    image = np.array([0.1234, 2.0, -1.0], np.float32)
    before = image.copy()
    round_8bit(image)
    pack(image)
    np.testing.assert_array_equal(image, before)
