"""Transparent pictures: colour and alpha are enlarged apart, and no edge gets darker or lighter."""

from __future__ import annotations

import numpy as np


def fill_clear(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colour with that of pixels which cannot be seen taken from those around that can.

    Whatever a program left in transparent pixels, black mostly, would otherwise be drawn into the
    edge. Means weighted with alpha (of premultiplied colour, that is) over squares of 2, 4, 8, ...
    pixels; of each pixel the smallest square with something in it counts.

    Args:
        colour: `[H, W, C]`, uint8 or float32.
        alpha: `[H, W, 1]`, the same type; 0 is transparent.

    Returns:
        The same shape and type; pixels with any opacity are as they were.
    """
    clear = alpha[..., 0] == 0
    if not clear.any() or clear.all():
        return colour
    filled = _filled(colour.astype(np.float32) * alpha, alpha.astype(np.float32))
    made = np.rint(filled) if colour.dtype == np.uint8 else filled
    return np.where(clear[..., None], made.astype(colour.dtype), colour)


def _filled(weighted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted mean of each pixel, or of the smallest square around it that has weight."""
    mean = weighted / np.maximum(weight, 1e-12)
    if (weight > 0).all() or max(weight.shape[:2]) == 1:
        return mean
    coarser = _filled(_halved(weighted), _halved(weight))
    height, width = weight.shape[:2]
    larger = coarser.repeat(2, axis=0)[:height].repeat(2, axis=1)[:, :width]
    return np.where(weight > 0, mean, larger)


def _halved(image: np.ndarray) -> np.ndarray:
    height, width, channels = image.shape
    image = np.pad(image, [(0, height % 2), (0, width % 2), (0, 0)])
    return image.reshape(-(-height // 2), 2, -(-width // 2), 2, channels).sum(axis=(1, 3))


def within_neighbours(made: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Enlarged alpha, kept between the least and the most of the 3x3 pixels that it lies in.

    So what was opaque is opaque, what was clear is clear, and no edge has a halo.

    Args:
        made: `[H, W, 1]`, uint8 or uint16.
        alpha: `[h, w, 1]` that it was made of, uint8, or float32 in [0, 1].
    """
    top = np.iinfo(made.dtype).max
    levels = alpha if alpha.dtype == made.dtype else np.rint(alpha * np.float64(top))
    low = high = levels[..., 0].astype(made.dtype)
    for axis in (0, 1):
        edge = [(1, 1) if a == axis else (0, 0) for a in (0, 1)]
        ahead, back = ([slice(None)] * 2 for _ in range(2))
        ahead[axis], back[axis] = slice(2, None), slice(None, -2)
        around_low, around_high = np.pad(low, edge, mode="edge"), np.pad(high, edge, mode="edge")
        low = np.minimum(low, np.minimum(around_low[tuple(ahead)], around_low[tuple(back)]))
        high = np.maximum(high, np.maximum(around_high[tuple(ahead)], around_high[tuple(back)]))
    rows, columns = (
        np.arange(large) * small // large
        for large, small in zip(made.shape[:2], alpha.shape[:2], strict=True)
    )
    for row, source in enumerate(rows):
        np.clip(made[row, :, 0], low[source, columns], high[source, columns], out=made[row, :, 0])
    return made
