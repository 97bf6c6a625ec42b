"""Large images in bands: the same numbers in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from srexp.images import bands, colour, quantize, resize


def _image(height, width, channels):
    return np.random.default_rng(0).random((height, width, channels), np.float32)


def test_bands_cover_every_row_once():
    for height, width in ((1, 1), (999, 3), (700, bands.PIXELS), (5, 2 * bands.PIXELS)):
        rows = [np.arange(height)[part] for part in bands.bands(height, width)]
        np.testing.assert_array_equal(np.concatenate(rows), np.arange(height))
        assert all(len(part) * width <= max(bands.PIXELS, width) for part in rows)


@pytest.mark.parametrize(
    ("function", "channels"),
    [
        (quantize.to_uint8, 3),
        (quantize.pack, 1),
        (quantize.round_8bit, 3),
        (colour.rgb_to_ycbcr, 3),
        (colour.ycbcr_to_rgb, 3),
        (colour.luma, 3),
        (colour.grey_of_rgb, 3),
    ],
)
def test_bands_change_no_bit(function, channels, monkeypatch):
    image = _image(61, 37, channels)[:, :-1]  # a crop, as the protocols make it
    whole = function(image)
    monkeypatch.setattr(bands, "PIXELS", 100)
    np.testing.assert_array_equal(function(image), whole)


@pytest.mark.parametrize("interpolation", ["nearest", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(30, 18), (122, 74), (20, 150), (150, 20)])
def test_resizing_in_bands_changes_no_bit(size, interpolation, monkeypatch):
    image = _image(61, 37, 2)
    whole = resize.resize_matlab(image, size, interpolation)
    monkeypatch.setattr(bands, "PIXELS", 100)
    np.testing.assert_array_equal(resize.resize_matlab(image, size, interpolation), whole)


def _peak(function, *arguments):
    """Bytes that NumPy has asked for at once, without the result."""
    tracemalloc.start()
    try:
        result = function(*arguments)
        return tracemalloc.get_traced_memory()[1] - result.nbytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (quantize.to_uint8, ()),
        (colour.rgb_to_ycbcr, ()),
        (colour.luma, ()),
        (resize.resize_matlab, ((500, 750),)),
        (resize.resize_matlab, ((2000, 3000),)),
    ],
)
def test_working_memory_is_that_of_a_band(function, arguments):
    image = _image(1000, 1500, 3)
    # In double precision a few bands of 3 channels, and the taps; the image itself takes 36 MB.
    assert _peak(function, image, *arguments) < 12 * bands.PIXELS * 3 * 8
