"""Crops."""

from __future__ import annotations

import numpy as np
import pytest

from srexp.images.geometry import crop_border, modcrop


@pytest.mark.parametrize(
    ("scale", "shape"), [(2, (10, 12)), (3, (9, 12)), (4, (8, 12)), (5, (10, 10)), (8, (8, 8))]
)
def test_modcrop_drops_the_bottom_and_the_right(scale, shape):
    image = np.arange(11 * 13, dtype=np.float32).reshape(11, 13, 1)
    np.testing.assert_array_equal(modcrop(image, scale), image[: shape[0], : shape[1]])


def test_modcrop_leaves_sides_that_divide():
    image = np.arange(6 * 9 * 3, dtype=np.float32).reshape(6, 9, 3)
    np.testing.assert_array_equal(modcrop(image, 3), image)


def test_crop_border_drops_as_much_on_each_side():
    image = np.arange(5 * 6, dtype=np.float32).reshape(5, 6, 1)
    np.testing.assert_array_equal(crop_border(image, 2)[..., 0], [[14, 15]])
    np.testing.assert_array_equal(crop_border(image, 0), image)
