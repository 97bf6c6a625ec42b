"""A large image in tiles is the image as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from srexp.models import tiles
from srexp.models.tiles import forward_in_tiles


def _sums(reach, factor=1):
    """A network of one layer: sums over a square, zeros past the edge, then enlarged."""
    calls = []

    def forward(x):
        calls.append(x.shape)
        padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
        view = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1,) * 2, axis=(1, 2))
        return view.sum(axis=(-2, -1)).repeat(factor, 1).repeat(factor, 2)

    return forward, calls


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(tiles, "WHOLE", 400)
    monkeypatch.setattr(tiles, "TILE", 12)


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("reach", [0, 1, 3])
@pytest.mark.parametrize(("height", "width"), [(40, 41), (12, 50), (13, 37)])
def test_tiles_make_the_same_image(height, width, reach, factor, small):
    # Whole numbers, so that no rounding hides a missing pixel.
    image = np.random.default_rng(1).integers(0, 9, (height, width, 2)).astype(np.float32)
    forward, calls = _sums(reach, factor)
    whole = forward(image[None])[0]
    calls.clear()
    got = forward_in_tiles(forward, [image], factor=factor, reach=lambda: reach)
    np.testing.assert_array_equal(got, whole)
    assert len(calls) > 1
    side = 12 // factor + 2 * reach
    assert all(h <= side and w <= side for _, h, w, _ in calls)


def test_too_small_an_overlap_shows(small):
    image = np.random.default_rng(1).integers(0, 9, (40, 41, 1)).astype(np.float32)
    forward, _ = _sums(3)
    got = forward_in_tiles(forward, [image], factor=1, reach=lambda: 2)
    assert np.any(got != forward(image[None])[0])


def test_a_small_image_goes_through_at_once(small):
    forward, calls = _sums(1)
    forward_in_tiles(forward, [np.zeros((20, 20, 1), np.float32)], factor=1, reach=lambda: 1)
    forward_in_tiles(forward, [np.zeros((10, 10, 1), np.float32)], factor=2, reach=lambda: 1)
    assert calls == [(1, 20, 20, 1), (1, 10, 10, 1)]
    # What counts is the output.
    larger, calls = _sums(1, 2)
    forward_in_tiles(larger, [np.zeros((10, 11, 1), np.float32)], factor=2, reach=lambda: 1)
    assert len(calls) > 1
