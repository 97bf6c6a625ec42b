"""Mean absolute error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from srexp.metrics.base import Metric
from srexp.metrics.differences import differences


def mae(image: np.ndarray, reference: np.ndarray) -> float:
    """The mean of |image - reference| over all pixels and channels.

    Args:
        image: `[H, ...]`, of any number type.
        reference: The same shape.

    Returns:
        The error in the images' own unit: levels for 8-bit images.

    Raises:
        ValueError: The shapes differ.
    """
    bands = differences(image, reference)
    return sum(float(np.abs(band, out=band).sum()) for band in bands) / image.size


@dataclass(kw_only=True)
class MAE(Metric, name="mae"):
    """`mae` in 8-bit levels, 0 to 255."""

    label = "MAE"
    digits = 3
    higher_is_better = False

    @property
    def note(self) -> str:
        return "mean absolute error in 8-bit levels, less is better"

    def __call__(self, image: np.ndarray, reference: np.ndarray) -> float:
        return mae(image, reference)
