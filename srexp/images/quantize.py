"""Rounding to 8 bits, the way MATLAB's `uint8()` does it."""

from __future__ import annotations

import numpy as np

from srexp.images.bands import bands, by_rows


@by_rows
def to_uint8(image: np.ndarray) -> np.ndarray:
    """Float [0, 1] to uint8: times 255, rounded half away from zero, clipped.

    NumPy's `round` goes half to even and a plain cast truncates; either would shift scores.
    """
    scaled = np.asarray(image, np.float64) * 255.0
    return np.clip(np.floor(scaled + 0.5), 0, 255).astype(np.uint8)


@by_rows
def truncate_to_uint8(image: np.ndarray) -> np.ndarray:
    """Float [0, 1] to uint8 as a plain cast does it: times 255, clipped, the fraction cut off.

    A level of 8 bits stays as it is: k/255 as float32 is never below k/255.
    """
    return np.clip(np.asarray(image, np.float64) * 255.0, 0, 255).astype(np.uint8)


def from_uint8(image: np.ndarray) -> np.ndarray:
    """uint8 to float32 in [0, 1]."""
    return (image / np.float32(255)).astype(np.float32, copy=False)


def round_8bit(image: np.ndarray) -> np.ndarray:
    """The nearest image that 8 bits can hold, still float32 in [0, 1]."""
    return from_uint8(to_uint8(image))


def pack(image: np.ndarray) -> np.ndarray:
    """The same image as uint8 where that loses nothing (a quarter of the memory), else as it is."""
    packed = to_uint8(image)
    same = all(
        np.array_equal(from_uint8(packed[rows]), image[rows]) for rows in bands(*image.shape[:2])
    )
    return packed if same else image


def unpack(image: np.ndarray) -> np.ndarray:
    """Inverse of `pack`: float32 in [0, 1]."""
    return from_uint8(image) if image.dtype == np.uint8 else image
