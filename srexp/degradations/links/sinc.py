"""Ringing: what sharpening and strong compression leave around edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from srexp.degradations.links.base import Link, draw, shown
from srexp.degradations.links.filtering import check_odd, filtered
from srexp.options import bounded, spread


@dataclass(kw_only=True)
class Sinc(Link, name="sinc"):
    """The ideal low-pass filter that is the same in all directions, cut to a square.

    w J1(w r) / (2 pi r), w² / (4 pi) in the middle, then of sum 1: Real-ESRGAN (Wang et al., ICCV
    workshops 2021), equation 7. Edges are mirrored, the edge pixel repeated.

    Attributes:
        cutoff: w, in radians a pixel: pi is the highest frequency along an axis.
        size: Side of the kernel in pixels, odd.
    """

    cutoff: Any = spread(0.1, 3.1416)
    size: int = bounded(3, 101)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_odd(self.size)

    def reach(self, factor: float) -> float:
        return self.size // 2

    @property
    def label(self) -> str:
        return f"sinc {shown(self.cutoff)} ({self.size}x{self.size})"

    def __call__(
        self, image: np.ndarray, random: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        return filtered(image, sinc_kernel(self.size, draw(self.cutoff, random)))


def sinc_kernel(size: int, cutoff: float) -> np.ndarray:
    """`[size, size]`, as the formula gives it.

    Args:
        size: Odd.
        cutoff: In radians a pixel.
    """
    from scipy.special import j1  # not where nothing is filtered

    offsets = np.arange(size) - size // 2
    radius = np.hypot(*np.meshgrid(offsets, offsets))
    middle = radius == 0
    radius[middle] = 1
    return np.where(
        middle, cutoff**2 / (4 * np.pi), cutoff * j1(cutoff * radius) / (2 * np.pi * radius)
    )
