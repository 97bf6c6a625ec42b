"""Losses that compare pixel by pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from srexp.losses.base import Loss
from srexp.options import bounded


@dataclass(kw_only=True)
class MSE(Loss, name="mse"):
    """Mean squared error: what PSNR measures."""

    def value(self, hr: Any, sr: Any) -> Any:
        from keras import ops

        return ops.mean(ops.square(sr - hr))


@dataclass(kw_only=True)
class MAE(Loss, name="mae"):
    """Mean absolute error (L1)."""

    def value(self, hr: Any, sr: Any) -> Any:
        from keras import ops

        return ops.mean(ops.abs(sr - hr))


@dataclass(kw_only=True)
class Charbonnier(Loss, name="charbonnier"):
    """sqrt(error² + epsilon²): L1 with a round bottom. Lai et al., LapSRN, 2017, section 3.3."""

    epsilon: float = bounded(above=0)

    def value(self, hr: Any, sr: Any) -> Any:
        from keras import ops

        return ops.mean(ops.sqrt(ops.square(sr - hr) + self.epsilon**2))


@dataclass(kw_only=True)
class LogCosh(Loss, name="log_cosh"):
    """log(cosh(error / width)) width²: error²/2 near 0, width |error| beyond it.

    Attributes:
        width: Where the one goes over into the other, on images in [0, 1].
    """

    width: float = bounded(above=0)

    def value(self, hr: Any, sr: Any) -> Any:
        from keras import ops

        error = ops.abs(sr - hr) / self.width
        # log(cosh(x)) = |x| + log(1 + e^(-2 |x|)) - log(2), which does not overflow.
        log_cosh = error + ops.softplus(-2 * error) - math.log(2)
        return self.width**2 * ops.mean(log_cosh)


@dataclass(kw_only=True)
class Huber(Loss, name="huber"):
    """error²/2 up to delta, delta (|error| - delta/2) beyond it. Huber, 1964."""

    delta: float = bounded(above=0)

    def value(self, hr: Any, sr: Any) -> Any:
        from keras import ops

        error = ops.abs(sr - hr)
        inner = ops.minimum(error, self.delta)
        return ops.mean(inner * (error - 0.5 * inner))
