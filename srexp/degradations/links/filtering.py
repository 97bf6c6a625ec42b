"""An image under a kernel of any shape."""

from __future__ import annotations

import numpy as np

from srexp.options import OptionError


def check_odd(size: int) -> None:
    """Raises OptionError: a kernel of that side has no middle."""
    if size % 2 == 0:
        raise OptionError(f"size={size}: must be odd", "size")


def filtered(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve by Fourier transform, edges mirrored with the edge pixel repeated.

    Args:
        image: `[H, W, C]` float32.
        kernel: `[K, K]`, K odd; it is divided by its sum.
    """
    from scipy import fft  # not where nothing is filtered

    reach = kernel.shape[0] // 2
    wide = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="symmetric")
    sides = [fft.next_fast_len(side, real=True) for side in wide.shape[:2]]
    weights = (kernel / kernel.sum()).astype(np.float32)[..., None]
    product = fft.rfft2(wide, sides, axes=(0, 1)) * fft.rfft2(weights, sides, axes=(0, 1))
    made = fft.irfft2(product, sides, axes=(0, 1))
    inside = tuple(slice(2 * reach, 2 * reach + side) for side in image.shape[:2])
    return np.ascontiguousarray(made[inside], np.float32)
