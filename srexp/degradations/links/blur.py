"""Blur by a Gaussian kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from srexp.degradations.links.base import Link, draw, shown
from srexp.options import OptionError, bounded, spread


@dataclass(kw_only=True)
class GaussianBlur(Link, name="gaussian_blur"):
    """exp(-x' S^-1 x / 2), S = R diag(sigma², (sigma ratio)²) R', cut to a square, of sum 1.

    The kernel of BD (7x7, sigma 1.6) and, with a ratio, of blind super-resolution (Zhang et al.,
    SRMD, CVPR 2018, section 3.2). Edges are mirrored, the edge pixel repeated.

    Attributes:
        sigma: Standard deviation in pixels, along the first axis of the kernel.
        ratio: Of the second axis over the first; 1 for a round kernel.
        angle: Of the first axis, in degrees from the horizontal, anticlockwise.
        size: Side of the kernel in pixels, odd.
    """

    sigma: Any = spread(0.01, 50)
    ratio: Any = spread(0.01, 1)
    angle: Any = spread(-180, 180)
    size: int = bounded(1, 101)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % 2 == 0:
            raise OptionError(f"size={self.size}: must be odd", "size")

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Without the angle of a round kernel."""
        return {**values, "angle": None} if values.get("ratio") == 1 else values

    def reach(self, factor: float) -> float:
        return self.size // 2

    @property
    def label(self) -> str:
        flat = f" ratio {shown(self.ratio)} angle {shown(self.angle)}" if self.ratio != 1 else ""
        return f"blur {shown(self.sigma)}{flat} ({self.size}x{self.size})"

    def __call__(
        self, image: np.ndarray, random: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        from scipy.ndimage import convolve, convolve1d  # a quarter of a second

        sigma, ratio, angle = (draw(v, random) for v in (self.sigma, self.ratio, self.angle))
        kernel = gaussian_kernel(self.size, sigma, sigma * ratio, np.deg2rad(angle))
        # Mirrored with the edge pixel repeated is SciPy's `reflect`.
        if ratio == 1:  # one axis after the other is the same, and faster
            line = kernel.sum(axis=0)
            return convolve1d(convolve1d(image, line, 0, mode="reflect"), line, 1, mode="reflect")
        return convolve(image, kernel[..., None].astype(np.float32), mode="reflect")


def gaussian_kernel(size: int, first: float, second: float, angle: float) -> np.ndarray:
    """`[size, size]` of sum 1.

    Args:
        size: Odd.
        first: Standard deviation along the first axis, in pixels.
        second: Along the second one.
        angle: Of the first axis, in radians, anticlockwise as the image is seen.
    """
    offsets = np.arange(size) - size // 2
    x, y = np.meshgrid(offsets, -offsets)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    kernel = np.exp(-((along / first) ** 2 + (across / second) ** 2) / 2)
    return kernel / kernel.sum()
