"""Luma and chroma as MATLAB's `rgb2ycbcr` defines them (ITU-R BT.601, studio range)."""

from __future__ import annotations

import numpy as np

from srexp.images.bands import by_rows
from srexp.images.quantize import round_8bit

# ITU-R BT.601, 8-bit studio swing: Y in 16..235, Cb and Cr in 16..240, for R, G, B in 0..1.
_MATRIX = np.array(
    [
        [65.481, 128.553, 24.966],
        [-37.797, -74.203, 112.0],
        [112.0, -93.786, -18.214],
    ]
)
_OFFSET = np.array([16.0, 128.0, 128.0])
# The same luma over the full range 0..255, as in JPEG files (JFIF).
_FULL_RANGE = np.array([0.299, 0.587, 0.114])


@by_rows
def rgb_to_ycbcr(image: np.ndarray) -> np.ndarray:
    """RGB `[H, W, 3]` in [0, 1] to YCbCr `[H, W, 3]` over 255, unrounded.

    Y = 16 + 65.481 R + 128.553 G + 24.966 B, so that white is 235/255 and black 16/255.
    """
    return ((image @ _MATRIX.T + _OFFSET) / 255.0).astype(np.float32)


@by_rows
def ycbcr_to_rgb(image: np.ndarray) -> np.ndarray:
    """Inverse of `rgb_to_ycbcr`, clipped to [0, 1]."""
    rgb = (image * 255.0 - _OFFSET) @ np.linalg.inv(_MATRIX).T
    return np.clip(rgb, 0.0, 1.0).astype(np.float32)


@by_rows
def full_range_luma(image: np.ndarray) -> np.ndarray:
    """Y = 0.299 R + 0.587 G + 0.114 B of `[H, W, 3]`, unrounded, `[H, W, 1]`: white is 1."""
    return (image @ _FULL_RANGE)[..., None].astype(np.float32)


def luma(image: np.ndarray, *, full_range: bool = False) -> np.ndarray:
    """Y of an RGB image, rounded to 8 bits as `rgb2ycbcr` of a uint8 image is: `[H, W, 1]`.

    A one-channel image is returned as it is, without the 16..235 mapping: on Set14 (`bridge`)
    mapping it would move the mean PSNR by 0.09 dB.

    Args:
        image: `[H, W, 1 or 3]` in [0, 1].
        full_range: Y in 0..255 as in JPEG and Pillow, not in 16..235.
    """
    if image.shape[2] == 1:
        return image
    return _full_luma(image) if full_range else _luma(image)


@by_rows
def _luma(image: np.ndarray) -> np.ndarray:
    return round_8bit(rgb_to_ycbcr(image)[..., :1])


@by_rows
def _full_luma(image: np.ndarray) -> np.ndarray:
    return round_8bit(full_range_luma(image))


def as_rgb(image: np.ndarray) -> np.ndarray:
    """A one-channel image as three equal channels; RGB as it is."""
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


@by_rows
def grey_of_rgb(image: np.ndarray) -> np.ndarray:
    """One channel of an RGB image whose channels were meant to be equal, `[H, W, 1]`.

    The weights are those of `rgb_to_ycbcr`, normalised, so equal channels come back unchanged.
    """
    weights = _MATRIX[0] / _MATRIX[0].sum()
    return (image @ weights).astype(np.float32)[..., None]
