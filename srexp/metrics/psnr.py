"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math

import numpy as np

from srexp.metrics.differences import differences


def psnr(image: np.ndarray, reference: np.ndarray, *, peak: float) -> float:
    """10 log10(peak² / MSE) in dB, over all pixels and channels.

    Args:
        image: `[H, ...]`, of any number type.
        reference: The same shape.
        peak: The largest value that a pixel can have (255 for 8 bits, 1 for floats in [0, 1]).

    Returns:
        The PSNR in dB; `inf` for identical images, which the caller must count and leave out of
        means rather than cap.

    Raises:
        ValueError: The shapes differ.
    """
    bands = differences(image, reference)
    error = sum(float(np.square(band, out=band).sum()) for band in bands) / image.size
    return math.inf if error == 0 else 10 * math.log10(peak**2 / error)
