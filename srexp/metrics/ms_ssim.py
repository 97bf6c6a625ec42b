"""Multi-scale structural similarity.

Z. Wang, E. P. Simoncelli, A. C. Bovik: Multi-scale structural similarity for image quality
assessment. Asilomar Conference on Signals, Systems and Computers, 2003. Equation 7, with the
authors' five exponents and their way of halving.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from srexp.metrics.base import Metric
from srexp.metrics.ssim import WINDOW, check_sides, similarity

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # from the finest scale to the coarsest
MINIMUM_SIDE = WINDOW * 2 ** (len(WEIGHTS) - 1)


def ms_ssim(image: np.ndarray, reference: np.ndarray, *, peak: float) -> float:
    """MS-SSIM: contrast and structure at five scales, luminance at the coarsest.

    The window and the constants are those of `ssim`. Between scales both images are halved by
    means of 2x2 pixels; an odd side repeats its last row or column.

    Args:
        image: `[H, W, C]`, both sides at least 176 (11 at the coarsest scale).
        reference: The same shape.
        peak: The dynamic range L (255 for 8 bits).

    Returns:
        The mean over channels; 1 for identical images. A scale at which the images are
        anticorrelated counts as 0, since a negative number has no such power.

    Raises:
        ValueError: The shapes differ, or a side is too short.
    """
    check_sides("ms_ssim", image, reference, MINIMUM_SIDE, "the least image")
    product = np.ones(image.shape[2])
    for scale, weight in enumerate(WEIGHTS, 1):
        last = scale == len(WEIGHTS)
        product *= similarity(image, reference, peak=peak, luminance=last).clip(0) ** weight
        if not last:
            image, reference = _halved(image), _halved(reference)
    return float(product.mean())


def _halved(image: np.ndarray) -> np.ndarray:
    """Means of 2x2 pixels; float32 holds those of 8 bits exactly, four times over."""
    if any(side % 2 for side in image.shape[:2]):
        image = np.pad(image, [(0, side % 2) for side in image.shape[:2]] + [(0, 0)], mode="edge")
    half = image[::2, ::2].astype(np.result_type(image.dtype, np.float32))
    for part in (image[::2, 1::2], image[1::2, ::2], image[1::2, 1::2]):
        half += part
    half /= 4
    return half


@dataclass(kw_only=True)
class MSSSIM(Metric, name="ms_ssim"):
    """`ms_ssim` of 8-bit images."""

    label = "MS-SSIM"
    minimum_side = MINIMUM_SIDE

    def __call__(self, image: np.ndarray, reference: np.ndarray) -> float:
        return ms_ssim(image, reference, peak=255)
