"""Mean absolute error, in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from srexp.metrics import mae
from srexp.metrics.mae import MAE


@pytest.mark.parametrize("difference", [0, 1, 5, 255])
def test_a_constant_difference(difference):
    reference = np.zeros((4, 5, 3))
    assert mae(reference + difference, reference) == difference


def test_errors_of_both_signs_do_not_cancel_and_large_ones_are_not_squared():
    reference = np.full((2, 3, 1), 100, np.uint8)
    image = reference.copy()
    image[0, 0], image[0, 1] = 90, 102
    assert mae(image, reference) == 2
    assert mae(reference, image) == 2


def test_the_option_counts_8_bit_levels():
    black, white = np.zeros((3, 3, 1), np.uint8), np.full((3, 3, 1), 255, np.uint8)
    assert MAE()(black, white) == MAE()(white, black) == 255


def test_gaussian_noise():
    # E|x| of a normal x is sigma sqrt(2/pi); the mean of a million has a deviation of 0.0005.
    noise = np.random.default_rng(0).normal(0, 3, (1000, 1000, 1))
    assert mae(100 + noise, np.full(noise.shape, 100.0)) == pytest.approx(
        3 * math.sqrt(2 / math.pi), abs=0.01
    )


def test_images_of_several_bands():
    random = np.random.default_rng(1)
    a, b = (random.integers(0, 256, (611, 401, 3), np.uint8) for _ in range(2))
    expected = np.abs(a.astype(int) - b).mean()
    assert mae(a, b) == pytest.approx(expected, rel=1e-13)


def test_differing_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 4, 1\) and \(4, 4, 3\)"):
        mae(np.zeros((4, 4, 1)), np.zeros((4, 4, 3)))
