"""Differences of two images, in float64 and band by band."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_BAND = 1 << 17  # numbers: 1 MB, which stays in the cache


def differences(image: np.ndarray, reference: np.ndarray) -> Iterator[np.ndarray]:
    """`image - reference` in bands of rows that together hold every number once.

    Args:
        image: `[H, ...]`, of any number type; 8-bit values do not wrap around.
        reference: The same shape.

    Yields:
        float64 `[rows, ...]`, the caller's until the next one is asked for: one array serves all.

    Raises:
        ValueError: The shapes differ.
    """
    if image.shape != reference.shape:
        raise ValueError(f"shapes differ: {image.shape} and {reference.shape}")
    rows = max(1, _BAND * len(image) // max(1, image.size))
    band = np.empty((min(rows, len(image)), *image.shape[1:]))
    for top in range(0, len(image), rows):
        part = band[: len(image) - top]
        yield np.subtract(
            image[top : top + rows], reference[top : top + rows], out=part, dtype=np.float64
        )
