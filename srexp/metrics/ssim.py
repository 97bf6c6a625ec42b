"""Structural similarity.

Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli: Image quality assessment: from error
visibility to structural similarity. IEEE Trans. Image Processing 13(4), 2004. Equation 13, with
the authors' window and constants.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

WINDOW = 11
SIGMA = 1.5
K1, K2 = 0.01, 0.03

_EDGE = WINDOW - 1  # rows and columns that the valid region lacks
# Pixels of the map that are computed at a time: what that needs stays in a core's cache.
_TILE = (64, 502)
_STEP = 8  # rows that one matrix product filters; divides the tile's


def window() -> np.ndarray:
    """The Gaussian weights of one axis, `[WINDOW]`, of sum 1."""
    x = np.arange(WINDOW) - (WINDOW - 1) / 2
    weights = np.exp(-(x**2) / (2 * SIGMA**2))
    return weights / weights.sum()


_WEIGHTS = window()
# `_DOWN @ rows` is the filter down the columns of `_STEP + _EDGE` rows: a window in each line.
_DOWN = np.array([np.roll(np.pad(_WEIGHTS, (0, _STEP - 1)), row) for row in range(_STEP)])


def ssim(image: np.ndarray, reference: np.ndarray, *, peak: float) -> float:
    """Mean SSIM: 11x11 Gaussian window with sigma 1.5, valid region only, K1 0.01, K2 0.03.

    Args:
        image: `[H, W, C]`, both sides at least 11, of any number type.
        reference: The same shape.
        peak: The dynamic range L (255 for 8 bits).

    Returns:
        The mean over pixels, then over channels; 1 for identical images.

    Raises:
        ValueError: The shapes differ, or a side is shorter than the window.
    """
    check_sides("ssim", image, reference, WINDOW, "the window")
    return float(similarity(image, reference, peak=peak).mean())


def check_sides(name: str, image: np.ndarray, reference: np.ndarray, least: int, what: str) -> None:
    """Raises ValueError: The shapes differ, or a side is below `least`, which `what` takes."""
    if image.shape != reference.shape:
        raise ValueError(f"{name}: shapes differ: {image.shape} and {reference.shape}")
    if min(image.shape[:2]) < least:
        size = f"{image.shape[1]}x{image.shape[0]}"
        raise ValueError(f"{name}: an image of {size} is smaller than {what} of {least}x{least}")


def similarity(
    image: np.ndarray, reference: np.ndarray, *, peak: float, luminance: bool = True
) -> np.ndarray:
    """Mean SSIM of each channel, tile by tile, so that little memory is needed beside the images.

    Args:
        image: `[H, W, C]`, both sides at least `WINDOW`.
        reference: The same shape.
        peak: The dynamic range.
        luminance: Whether with the factor that compares means, or of contrast and structure alone.

    Returns:
        `[C]`, in float64.
    """
    height, width = (side - _EDGE for side in image.shape[:2])
    sums = np.zeros(image.shape[2])
    # One working memory for all tiles: fresh memory costs more than the sums.
    space = np.empty((2, 4 * (_TILE[0] + _STEP + _EDGE) * (min(_TILE[1], width) + _EDGE)))
    for channel in range(image.shape[2]):
        x, y = image[..., channel], reference[..., channel]
        for top in range(0, height, _TILE[0]):
            for left in range(0, width, _TILE[1]):
                tile = np.s_[top : top + _TILE[0] + _EDGE, left : left + _TILE[1] + _EDGE]
                sums[channel] += _tile_sum(x[tile], y[tile], peak, luminance, space)
    return sums / (height * width)


def _tile_sum(
    x: np.ndarray, y: np.ndarray, peak: float, luminance: bool, space: np.ndarray
) -> float:
    """Sum of the SSIM map of two `[h + 10, w + 10]`.

    With s = x + y and d = x - y, and everything doubled, equation 13 reads

        E[s]² - E[d]² + 2 C1   Var[s] - Var[d] + 2 C2
        -------------------- * ----------------------
        E[s]² + E[d]² + 2 C1   Var[s] + Var[d] + 2 C2

    which takes four filters, and is 1 to the last bit where d is 0.
    """
    (height, width), rows = x.shape, x.shape[0] - _EDGE
    filled = rows + -rows % _STEP  # rows of zeros fill the last step
    stack = _part(space[0], 4, filled + _EDGE, width)
    np.add(x, y, out=stack[0, :height], dtype=np.float64)
    np.subtract(x, y, out=stack[1, :height], dtype=np.float64)
    stack[:2, height:] = 0
    np.multiply(stack[:2], stack[:2], out=stack[2:])
    steps = sliding_window_view(stack, _STEP + _EDGE, axis=1)[:, ::_STEP].swapaxes(2, 3)
    down = _part(space[1], 4, filled, width)
    np.matmul(_DOWN, steps, out=down.reshape(4, -1, _STEP, width))
    # Along the rows as if they were one: what a window sees of two rows is left out below.
    across = _part(space[0], 4, rows * width - _EDGE)
    for plane, out in zip(down[:, :rows].reshape(4, -1), across, strict=True):
        out[:] = np.correlate(plane, _WEIGHTS, "valid")
    mean_s, mean_d, var_s, var_d = across
    squared_s, squared_d = np.square(mean_s, out=mean_s), np.square(mean_d, out=mean_d)
    var_s -= squared_s
    var_d -= squared_d
    similar = _part(space[1], rows, width)
    structure = _ratio(var_s, var_d, 2 * (K2 * peak) ** 2, out=similar.reshape(-1)[:-_EDGE])
    if luminance:
        structure *= _ratio(squared_s, squared_d, 2 * (K1 * peak) ** 2, out=var_s)
    return float(similar[:, :-_EDGE].sum())


def _part(memory: np.ndarray, *shape: int) -> np.ndarray:
    """The beginning of `memory`, in that shape."""
    return memory[: math.prod(shape)].reshape(shape)


def _ratio(a: np.ndarray, b: np.ndarray, constant: float, *, out: np.ndarray) -> np.ndarray:
    """(a - b + constant) / (a + b + constant) into `out`; spends `a`."""
    np.subtract(a, b, out=out)
    out += constant
    a += b
    a += constant
    out /= a
    return out
