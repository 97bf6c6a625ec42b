"""Resizing, to the size of LR or by a factor of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from srexp.degradations.engine import check_engine
from srexp.degradations.links.base import Link, draw, shown
from srexp.images.resize import ENGINES, HALF_WIDTHS, INTERPOLATIONS, resize
from srexp.options import OptionError, choice, spread


@dataclass(kw_only=True)
class Resize(Link, name="resize"):
    """Resize by one of the engines of `srexp.images.resize`.

    Attributes:
        factor: Of both sides; None for the size that the chain ends with.
        interpolation: The kernel; a list for one of them, each as likely.
        engine: `matlab` or `pillow`.
        antialias: Stretch the kernel when shrinking; `pillow` always does.
    """

    factor: Any = spread(0.05, 8, optional=True)
    interpolation: Any = choice(*INTERPOLATIONS)
    engine: str = choice(*ENGINES)
    antialias: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self._kernels:
            raise OptionError("interpolation=[]: must name a kernel", "interpolation")
        for kernel in self._kernels:
            check_engine(self.engine, kernel, self.antialias)

    @property
    def _kernels(self) -> list[str]:
        given = self.interpolation
        return given if isinstance(given, list) else [given]

    @classmethod
    def draws(cls, values: Mapping[str, Any]) -> bool:
        return super().draws(values) or isinstance(values.get("interpolation"), list)

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Antialiased where there is nothing to stretch."""
        return {**values, "antialias": True} if values.get("interpolation") == "nearest" else values

    @property
    def smallest(self) -> float | None:
        return min(self.factor) if isinstance(self.factor, list) else self.factor

    def reach(self, factor: float) -> float:
        # One pixel more for sizes that are rounded.
        return max(HALF_WIDTHS[kernel] for kernel in self._kernels) / min(factor, 1) + 1

    @property
    def label(self) -> str:
        by = "" if self.factor is None else f" by {shown(self.factor)}"
        plain = "" if self.usual(vars(self))["antialias"] else " without antialiasing"
        # Of stored pictures the plain form has Pillow work on their 8-bit levels.
        floats = " in floats" if self.engine == "pillow" else ""
        return f"{self.engine} {' or '.join(self._kernels)}{floats}{by}{plain}"

    def __call__(
        self, image: np.ndarray, random: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        if self.factor is not None:
            factor = draw(self.factor, random)
            size = (
                max(1, math.floor(image.shape[0] * factor + 0.5)),
                max(1, math.floor(image.shape[1] * factor + 0.5)),
            )
        kernel = self.interpolation
        if isinstance(kernel, list):
            kernel = kernel[random.integers(len(kernel))]
        return resize(image, size, kernel, self.engine, antialias=self.antialias)
