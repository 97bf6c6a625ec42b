"""The prominence of a pattern, against its closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from srexp.metrics.checkerboard import Checkerboard, comb_prominence, flat_field


def _grid(period, repeats=20):
    side = 16 * period * repeats // 2
    return np.mgrid[:side, :side]


def _expected(strength, period, sigma):
    """White noise and a pattern whose comb coefficients have `strength` = the sum of |c|²."""
    n = 16 * period
    return 10 * math.log10(1 + strength * (4 * n**2 / 9) / ((period**2 - 1) * sigma**2))


@pytest.mark.parametrize("period", [2, 3, 4])
def test_a_pattern_in_white_noise_has_the_prominence_that_theory_gives(period):
    rows, columns = _grid(period)
    a, sigma = 2.55, 12.75
    noise = np.random.default_rng(period).normal(128, sigma, rows.shape)
    if period == 2:
        pattern, strength = a * (-1.0) ** (rows + columns), a**2
    else:
        pattern, strength = a * np.cos(2 * np.pi * rows / period), a**2 / 2
    assert comb_prominence(noise + pattern, period) == pytest.approx(
        _expected(strength, period, sigma), abs=0.3
    )
    assert comb_prominence(noise, period) == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize("period", [2, 3, 4, 5])
def test_it_is_the_definition_on_the_whole_spectrum(period):
    n = 16 * period
    image = np.random.default_rng(0).normal(100, 20, (n, n))
    one = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    window = one[:, None] * one
    values = (image - np.average(image, weights=window)) * window
    power = np.abs(np.fft.fft2(values)) ** 2 + (window**2).sum() / 12
    total = around = 0.0
    for k in range(period):
        for m in range(period):
            if k or m:
                y, x = k * 16, m * 16
                total += power[y, x]
                around += np.mean([
                    power[(y + i) % n, (x + j) % n]
                    for i in range(-5, 6) for j in range(-5, 6) if max(abs(i), abs(j)) > 2
                ])  # fmt: skip
    assert comb_prominence(image, period) == pytest.approx(10 * math.log10(total / around))


def test_a_flat_image_and_one_without_noise_have_finite_values():
    flat = np.full((64, 64, 1), 128, np.uint8)
    rows, columns = np.mgrid[:64, :64]
    board = (flat[..., 0] + (rows + columns) % 2).astype(np.uint8)[..., None]
    metric = Checkerboard(period=2)
    assert metric(flat, flat) == 0
    assert 20 < metric(board, flat) < 60


def test_a_shift_of_the_pattern_and_a_slope_change_nothing():
    rows, columns = _grid(3)
    noise = np.random.default_rng(1).normal(0, 5, rows.shape)
    pattern = 4 * np.cos(2 * np.pi * columns / 3)
    here = comb_prominence(noise + pattern, 3)
    there = comb_prominence(noise + np.roll(pattern, 1, 1), 3)
    assert here == pytest.approx(there, abs=0.3)
    assert comb_prominence(noise + pattern + 0.5 * columns, 3) == pytest.approx(here, abs=0.1)


def test_rgb_is_judged_by_its_luma_and_small_images_are_not():
    rows, columns = np.mgrid[:40, :40]
    grey = (100 + 5 * ((rows + columns) % 2)).astype(np.uint8)[..., None]
    noise = np.random.default_rng(2).integers(-9, 10, grey.shape)
    image, reference = grey + noise, 100 + noise
    metric = Checkerboard(period=2)
    rgb = metric(*(np.repeat(x, 3, 2).astype(np.uint8) for x in (image, reference)))
    assert rgb == pytest.approx(
        metric(image.astype(np.uint8), reference.astype(np.uint8)), abs=1e-3
    )
    assert metric.minimum_side == 32
    with pytest.raises(ValueError, match="at least 32"):
        comb_prominence(image[:31], 2)


@pytest.mark.parametrize(("size", "expected"), [(3, 0.4843), (4, 0), (2, 0), (5, 0.2857)])
def test_a_flat_field_shows_the_overlap_of_a_strided_kernel(size, expected):
    """Phases of a kernel of ones, stride 2: 4, 2, 2, 1 for 3x3; 9, 6, 6, 4 for 5x5."""
    sums = np.zeros(2 * 12 + size - 2)
    for position in range(12):
        sums[2 * position : 2 * position + size] += 1
    inner = sums[8:18]
    assert flat_field(np.outer(inner, inner), 2) == pytest.approx(expected, abs=5e-5)
    image = np.repeat(np.outer(inner, inner)[..., None], 3, 2)
    assert flat_field(image, 2) == pytest.approx(expected, abs=5e-5)
