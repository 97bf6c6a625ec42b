"""Crops: what the protocols and the patches cut off."""

from __future__ import annotations

import numpy as np


def modcrop(image: np.ndarray, scale: int) -> np.ndarray:
    """Drop the bottom rows and right columns so that both sides divide by `scale`."""
    height, width = (side - side % scale for side in image.shape[:2])
    return image[:height, :width]


def crop_border(image: np.ndarray, border: int) -> np.ndarray:
    """Drop `border` pixels on each side; 0 leaves the image as it is."""
    return image[border:-border, border:-border] if border else image
