"""Resizing, to the size of LR or by a factor of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from srexp.degradations.links.base import Link, draw
from srexp.images.resize import ENGINES, INTERPOLATIONS, MATLAB_INTERPOLATIONS, resize
from srexp.options import OptionError, choice, spread


@dataclass(kw_only=True)
class Resize(Link, name="resize"):
    """Resize by one of the engines of `srexp.images.resize`.

    Attributes:
        factor: Of both sides; None for the size that the chain ends with.
        interpolation: The kernel.
        engine: `matlab` or `pillow`.
        antialias: Stretch the kernel when shrinking; `pillow` always does.
    """

    factor: Any = spread(0.05, 8, optional=True)
    interpolation: str = choice(*INTERPOLATIONS)
    engine: str = choice(*ENGINES)
    antialias: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.engine == "matlab" and self.interpolation not in MATLAB_INTERPOLATIONS:
            raise OptionError(
                f"interpolation={self.interpolation}: engine=matlab has no such kernel; use "
                "engine=pillow",
                "interpolation",
            )
        if self.engine == "pillow" and not self.antialias:
            raise OptionError(
                "antialias=false: engine=pillow always antialiases; use engine=matlab", "antialias"
            )

    def __call__(
        self, image: np.ndarray, random: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        if self.factor is not None:
            factor = draw(self.factor, random)
            size = (
                max(1, math.floor(image.shape[0] * factor + 0.5)),
                max(1, math.floor(image.shape[1] * factor + 0.5)),
            )
        return resize(image, size, self.interpolation, self.engine, antialias=self.antialias)
