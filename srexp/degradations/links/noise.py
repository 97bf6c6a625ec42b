"""Noise of sensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from srexp.degradations.links.base import Link, draw, shown
from srexp.options import spread


@dataclass(kw_only=True)
class GaussianNoise(Link, name="gaussian_noise"):
    """image + n, n ~ N(0, (sigma / 255)²) for each pixel.

    Attributes:
        sigma: Standard deviation in 8-bit levels.
        grey: Whether all channels of a pixel get the same.
    """

    noisy: ClassVar[bool] = True

    sigma: Any = spread(0, 255)
    grey: bool

    def __call__(
        self, image: np.ndarray, random: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        sigma = draw(self.sigma, random) / 255
        shape = (*image.shape[:2], 1 if self.grey else image.shape[2])
        return (image + sigma * random.standard_normal(shape)).astype(np.float32)

    @property
    def label(self) -> str:
        return f"{'grey ' if self.grey else ''}noise {shown(self.sigma)}"


@dataclass(kw_only=True)
class PoissonNoise(Link, name="poisson_noise"):
    """Of a pixel x, k ~ Poisson(255 x / scale), k scale / 255: variance x scale / 255.

    Attributes:
        scale: How strong it is: at 1, a level of 8 bits is one photon.
        grey: Whether all channels of a pixel get the same noise, that of their mean.
    """

    noisy: ClassVar[bool] = True

    scale: Any = spread(0.001, 255)
    grey: bool

    def __call__(
        self, image: np.ndarray, random: np.random.Generator, size: tuple[int, int]
    ) -> np.ndarray:
        photons = 255 / draw(self.scale, random)
        clean = np.clip(image, 0, 1).astype(np.float64)
        if self.grey:
            clean = clean.mean(axis=2, keepdims=True)
        noise = random.poisson(clean * photons) / photons - clean
        return (image + noise).astype(np.float32)

    @property
    def label(self) -> str:
        return f"{'grey ' if self.grey else ''}Poisson noise {shown(self.scale)}"
