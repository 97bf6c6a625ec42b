"""Blur by a kernel with elliptic contours: Gaussian, generalised Gaussian or plateau."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from srexp.degradations.links.base import Link, draw, shown
from srexp.degradations.links.filtering import check_odd, filtered
from srexp.options import bounded, spread


@dataclass(kw_only=True)
class EllipticBlur(Link):
    """A kernel that is a function of q = x' S^-1 x alone, S = R diag(sigma², (sigma ratio)²) R'.

    Cut to a square, of sum 1. Edges are mirrored, the edge pixel repeated.

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
        check_odd(self.size)

    @classmethod
    def usual(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Without the angle of a round kernel."""
        return {**values, "angle": None} if values.get("ratio") == 1 else values

    def reach(self, factor: float) -> float:
        return self.size // 2

    @property
    def label(self) -> str:
        return f"blur {self._shape}"

    @property
    def _shape(self) -> str:
        flat = f" ratio {shown(self.ratio)} angle {shown(self.angle)}" if self.ratio != 1 else ""
        return f"{shown(self.sigma)}{flat} ({self.size}x{self.size})"

    def _axes(self, random: np.random.Generator) -> tuple[float, float, float]:
        """The two standard deviations in pixels, and the angle in radians."""
        sigma, ratio, angle = (draw(v, random) for v in (self.sigma, self.ratio, self.angle))
        return sigma, sigma * ratio, np.deg2rad(angle)


@dataclass(kw_only=True)
class GaussianBlur(EllipticBlur, name="gaussian_blur"):
    """exp(-q / 2).

    The kernel of BD (7x7, sigma 1.6) and, with a ratio, of blind super-resolution (Zhang et al.,
    SRMD, CVPR 2018, section 3.2).
    """

    def __call__(
        self, image: np.ndarray, random: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        from scipy.ndimage import convolve, convolve1d  # a quarter of a second

        first, second, angle = self._axes(random)
        kernel = gaussian_kernel(self.size, first, second, angle)
        # Mirrored with the edge pixel repeated is SciPy's `reflect`.
        if first == second:  # one axis after the other is the same, and faster
            line = kernel.sum(axis=0)
            return convolve1d(convolve1d(image, line, 0, mode="reflect"), line, 1, mode="reflect")
        return convolve(image, kernel[..., None].astype(np.float32), mode="reflect")


@dataclass(kw_only=True)
class GeneralizedBlur(EllipticBlur, name="generalized_blur"):
    """exp(-q^beta / 2): sharper than a Gaussian in the middle below 1, flatter above.

    Real-ESRGAN (Wang et al., ICCV workshops 2021), section 3.2.

    Attributes:
        beta: The shape; at 1 the Gaussian.
    """

    beta: Any = spread(0.1, 20)

    @property
    def label(self) -> str:
        return f"generalised blur {self._shape} beta {shown(self.beta)}"

    def __call__(
        self, image: np.ndarray, random: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        contours = squared_distance(self.size, *self._axes(random))
        return filtered(image, np.exp(-(contours ** draw(self.beta, random)) / 2))


@dataclass(kw_only=True)
class PlateauBlur(EllipticBlur, name="plateau_blur"):
    """1 / (1 + q^beta). Real-ESRGAN (Wang et al., ICCV workshops 2021), section 3.2.

    Attributes:
        beta: The shape: the larger, the flatter the middle and the steeper its edge.
    """

    beta: Any = spread(0.1, 20)

    @property
    def label(self) -> str:
        return f"plateau blur {self._shape} beta {shown(self.beta)}"

    def __call__(
        self, image: np.ndarray, random: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        contours = squared_distance(self.size, *self._axes(random))
        return filtered(image, 1 / (1 + contours ** draw(self.beta, random)))


def squared_distance(size: int, first: float, second: float, angle: float) -> np.ndarray:
    """The q = x' S^-1 x of each pixel of a kernel, `[size, size]`.

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
    return (along / first) ** 2 + (across / second) ** 2


def gaussian_kernel(size: int, first: float, second: float, angle: float) -> np.ndarray:
    """`[size, size]` of sum 1; see `squared_distance`."""
    kernel = np.exp(-squared_distance(size, first, second, angle) / 2)
    return kernel / kernel.sum()
