"""Shrinking alone: the degradation of the classic papers and of the tutorial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from srexp.degradations.base import NO_DRAW, Degradation, Draw
from srexp.degradations.engine import check_engine
from srexp.images.resize import resize


@dataclass(kw_only=True)
class Downscale(Degradation, name="downscale"):
    """LR = resize(HR, 1/scale).

    Attributes:
        antialias: Stretch the kernel by the scale (MATLAB's and Pillow's way). Without it the
            kernel samples between pixels, as TensorFlow and OpenCV do by default: another
            degradation, decibels away. `engine=pillow` always antialiases; for `nearest` it makes
            no difference.
    """

    antialias: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        check_engine(self.engine, self.interpolation, self.antialias)

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Antialiased where there is nothing to stretch."""
        return {**values, "antialias": True} if values["interpolation"] == "nearest" else values

    def __call__(
        self, hr: np.ndarray, *, draw: Draw = NO_DRAW, eight_bit: bool = False
    ) -> np.ndarray:
        size = (hr.shape[0] // self.scale, hr.shape[1] // self.scale)
        return resize(
            hr,
            size,
            self.interpolation,
            self.engine,
            antialias=self.antialias,
            eight_bit=eight_bit,
        )

    @property
    def label(self) -> str:
        plain = "" if self.usual(vars(self))["antialias"] else " without antialiasing"
        return f"x{self.scale} {self.engine} {self.interpolation}{plain}{self.storage_label}"
