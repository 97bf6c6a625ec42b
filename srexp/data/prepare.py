"""What is done to a photograph before anything else (`data.prepare`)."""

from __future__ import annotations

import numpy as np

from srexp.images.quantize import round_8bit
from srexp.images.resize import resize_pillow

PREPARATIONS = ("native", "white_square", "center_crop")


def prepare(image: np.ndarray, how: str, size: int) -> np.ndarray:
    """Prepare one image `[H, W, C]`.

    Args:
        image: In [0, 1].
        how: `native`: as it is. `white_square`: in the middle of a white square as long as its
            longer side, then resized to `size` (the 2018 tutorial; by Pillow's bicubic,
            which the tutorial does not name). `center_crop`: the middle `size` x `size` pixels,
            or all of a side that is shorter.
        size: Pixels; not used by `native`.
    """
    if how == "white_square":
        return _white_square(image, size)
    if how == "center_crop":
        height, width = image.shape[:2]
        top, left = max(0, (height - size) // 2), max(0, (width - size) // 2)
        return image[top : top + size, left : left + size]
    return image


def _white_square(image: np.ndarray, size: int) -> np.ndarray:
    height, width, channels = image.shape
    side = max(height, width)
    square = np.ones((side, side, channels), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = image
    return round_8bit(resize_pillow(square, (size, size), "bicubic", eight_bit=True))
