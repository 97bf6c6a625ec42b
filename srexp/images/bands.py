"""Large images in bands of rows, so that working memory does not grow with the image."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

# Of one band: less than a megabyte in double precision, so that it also stays in a cache.
PIXELS = 2**15


def bands(height: int, width: int = 1) -> list[slice]:
    """The rows of an image in slices of about `PIXELS` pixels."""
    rows = max(1, PIXELS // max(1, width))
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]


def by_rows(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Make a function of each pixel alone, `[H, W, C]` -> `[H, W, C']`, work band by band."""

    @functools.wraps(function)
    def banded(image: np.ndarray, **options: Any) -> np.ndarray:
        if image.ndim < 3 or image.shape[0] * image.shape[1] <= PIXELS:
            return function(image, **options)
        out: np.ndarray | None = None
        for rows in bands(*image.shape[:2]):
            part = function(image[rows], **options)
            if out is None:
                out = np.empty((image.shape[0], *part.shape[1:]), part.dtype)
            out[rows] = part
        assert out is not None
        return out

    return banded
