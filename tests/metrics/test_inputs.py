"""What holds of every metric: inputs are left alone, and memory is bounded."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from srexp.metrics import mae, ms_ssim, psnr, ssim

METRICS = {
    "psnr": lambda a, b: psnr(a, b, peak=255),
    "ssim": lambda a, b: ssim(a, b, peak=255),
    "ms_ssim": lambda a, b: ms_ssim(a, b, peak=255),
    "mae": mae,
}


def _pair(shape, dtype):
    random = np.random.default_rng(0)
    return [random.integers(0, 256, shape).astype(dtype) for _ in range(2)]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("name", METRICS)
def test_inputs_are_left_alone(name, dtype):
    images = _pair((181, 190, 3), dtype)
    before = [image.tobytes() for image in images]
    for image in images:
        image.flags.writeable = False
    METRICS[name](*images)
    assert [image.tobytes() for image in images] == before


@pytest.mark.parametrize("name", METRICS)
def test_views_give_the_same_as_copies(name):
    """Crops, flips and transposed images come without a copy."""
    wholes = _pair((200, 213, 3), np.uint8)
    views = [np.swapaxes(whole, 0, 1)[200:10:-1, 7:-5] for whole in wholes]
    expected = METRICS[name](*(np.ascontiguousarray(view) for view in views))
    assert METRICS[name](*views) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(("name", "megabytes"), [("psnr", 2), ("ssim", 8), ("mae", 2)])
def test_memory_does_not_grow_with_the_image(name, megabytes):
    a, b = _pair((1500, 2000, 1), np.uint8)
    assert _peak(METRICS[name], a, b) < megabytes


def test_ms_ssim_needs_no_more_than_halved_images():
    a, b = _pair((1500, 2000, 1), np.uint8)
    assert _peak(METRICS["ms_ssim"], a, b) < 8 + 1.4 * 2 * 4 * a.size / 4 / 1e6


def _peak(metric, *images):
    """Megabytes."""
    metric(*(image[:200, :200] for image in images))
    tracemalloc.start()
    metric(*images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6
