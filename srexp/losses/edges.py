"""Losses that compare how images change from pixel to pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from srexp.losses.base import Loss


@dataclass(kw_only=True)
class Gradient(Loss, name="gradient"):
    """Mean absolute error of the differences of neighbours, down and across, summed."""

    @property
    def minimum_side(self) -> int:
        return 2

    def value(self, hr: Any, sr: Any) -> Any:
        from keras import ops

        error = sr - hr  # the difference of differences
        return sum(ops.mean(ops.abs(step)) for step in _steps(error))


@dataclass(kw_only=True)
class Laplacian(Loss, name="laplacian"):
    """Mean absolute error of the four neighbours' sum minus four times the pixel."""

    @property
    def minimum_side(self) -> int:
        return 3

    def value(self, hr: Any, sr: Any) -> Any:
        from keras import ops

        error = sr - hr
        around = error[:, :-2, 1:-1] + error[:, 2:, 1:-1] + error[:, 1:-1, :-2] + error[:, 1:-1, 2:]
        return ops.mean(ops.abs(around - 4 * error[:, 1:-1, 1:-1]))


@dataclass(kw_only=True)
class TotalVariation(Loss, name="total_variation"):
    """Mean absolute difference of neighbours of SR, down and across, summed: the less the smoother.

    Rudin, Osher, Fatemi, 1992, in its anisotropic form.
    """

    @property
    def looks_at_hr(self) -> bool:
        return False

    @property
    def minimum_side(self) -> int:
        return 2

    def value(self, hr: Any, sr: Any) -> Any:
        from keras import ops

        return sum(ops.mean(ops.abs(step)) for step in _steps(sr))


def _steps(image: Any) -> tuple[Any, Any]:
    return image[:, 1:] - image[:, :-1], image[:, :, 1:] - image[:, :, :-1]
