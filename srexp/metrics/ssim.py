"""Structural similarity.

Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli: Image quality assessment: from error
visibility to structural similarity. IEEE Trans. Image Processing 13(4), 2004. Equation 13, with
the authors' window and constants.
"""

from __future__ import annotations

import numpy as np

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03


def _gaussian() -> np.ndarray:
    x = np.arange(WINDOW) - (WINDOW - 1) / 2
    weights = np.exp(-(x**2) / (2 * SIGMA**2))
    return weights / weights.sum()


_WEIGHTS = _gaussian()


def _blur_valid(plane: np.ndarray) -> np.ndarray:
    """Separable Gaussian over `[H, W]`, only where the window lies inside: `[H-10, W-10]`."""
    height, width = plane.shape[0] - WINDOW + 1, plane.shape[1] - WINDOW + 1
    half = (WINDOW - 1) // 2
    # The window is symmetric: add the two rows (columns) of equal weight before multiplying.
    rows = plane[half : half + height] * _WEIGHTS[half]
    for k in range(half):
        rows += (
            plane[k : k + height] + plane[WINDOW - 1 - k : WINDOW - 1 - k + height]
        ) * _WEIGHTS[k]
    out = rows[:, half : half + width] * _WEIGHTS[half]
    for k in range(half):
        out += (
            rows[:, k : k + width] + rows[:, WINDOW - 1 - k : WINDOW - 1 - k + width]
        ) * _WEIGHTS[k]
    return out


def ssim(image: np.ndarray, reference: np.ndarray, *, peak: float) -> float:
    """Mean SSIM: 11x11 Gaussian window with sigma 1.5, valid region only, K1 0.01, K2 0.03.

    Args:
        image: `[H, W, C]`, both sides at least 11.
        reference: The same shape.
        peak: The dynamic range L (255 for 8 bits).

    Returns:
        The mean over pixels, then over channels; 1 for identical images.

    Raises:
        ValueError: The shapes differ, or a side is shorter than the window.
    """
    if image.shape != reference.shape:
        raise ValueError(f"ssim: shapes differ: {image.shape} and {reference.shape}")
    if min(image.shape[:2]) < WINDOW:
        size = f"{image.shape[1]}x{image.shape[0]}"
        raise ValueError(
            f"ssim: an image of {size} is smaller than the window of {WINDOW}x{WINDOW}"
        )
    return float(
        np.mean(
            [_ssim_plane(image[..., c], reference[..., c], peak) for c in range(image.shape[2])]
        )
    )


def _ssim_plane(x: np.ndarray, y: np.ndarray, peak: float) -> float:
    x, y = x.astype(np.float64), y.astype(np.float64)
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    mean_x, mean_y = _blur_valid(x), _blur_valid(y)
    # Equation 13 needs the variances only as their sum: one filter fewer.
    squares = _blur_valid(x * x + y * y)
    product = _blur_valid(x * y)
    mean_product = mean_x * mean_y
    mean_squares = mean_x**2 + mean_y**2
    luminance_contrast = (2 * mean_product + c1) * (2 * (product - mean_product) + c2)
    return float(
        np.mean(luminance_contrast / ((mean_squares + c1) * (squares - mean_squares + c2)))
    )
