"""How much a regular pattern stands out of a picture, such as a strided deconvolution's.

A. Odena, V. Dumoulin, C. Olah: Deconvolution and checkerboard artifacts. Distill, 2016, shows what
it is. A pattern that repeats every s pixels has all its power in s² - 1 frequencies, k/s by l/s;
what is measured is by how much these stand above their surroundings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from srexp.images.colour import grey_of_rgb
from srexp.metrics.base import Metric
from srexp.options import bounded

_WINDOW = (
    16  # its side over the period: there are 16 frequencies from one of the pattern to the next
)
_NEAR, _FAR = 3, 5  # of the surroundings; a Hann window spreads a frequency over its neighbours
_ROUNDING = 1 / 12  # variance of the error of rounding, in levels²


def comb_prominence(image: np.ndarray, period: int) -> float:
    """Power at the frequencies of a pattern over that around them, in dB.

    The mean power spectrum of square windows of 16 periods, half overlapping, without their mean
    and under a Hann window. The surroundings of a frequency are those at a Chebyshev distance of
    3 to 5 of it. As much white noise as rounding makes is added, so that a flat image has 0 dB.

    White noise of standard deviation σ has 0 dB too, and `a (-1)^(i + j)` in it, with period 2,
    10 log10(1 + a² (4 n² / 9) / (3 σ²)) for windows of side n.

    Args:
        image: `[H, W]` or `[H, W, 1]`, in levels, both sides at least 16 periods.
        period: Of the pattern, in pixels; at least 2.

    Raises:
        ValueError: The image is too small.
    """
    n = _WINDOW * period
    plane = image.reshape(image.shape[:2])
    if min(plane.shape) < n:
        raise ValueError(f"comb_prominence: {plane.shape}: both sides must be at least {n}")
    window = _hann(n)
    power = np.zeros((n, n // 2 + 1))
    count = 0
    for square in _squares(plane, n):
        # What is left of the mean would leak from frequency 0 into its neighbours alone.
        values = square - (square * window).sum() / window.sum()
        power += np.abs(np.fft.rfft2(values * window)) ** 2
        count += 1
    power = power / count + _ROUNDING * (window**2).sum()
    comb, floor = _bins(n, period)
    return float(10 * np.log10((power * comb).sum() / (power * floor).sum()))


def _squares(plane: np.ndarray, n: int) -> Iterator[np.ndarray]:
    for top in range(0, len(plane) - n + 1, n // 2):
        for left in range(0, plane.shape[1] - n + 1, n // 2):
            yield plane[top : top + n, left : left + n].astype(np.float64)


@cache
def _hann(n: int) -> np.ndarray:
    one = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    return np.outer(one, one)


@cache
def _bins(n: int, period: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each number of `rfft2` counts for the pattern, and for its surroundings."""
    comb, floor = np.zeros((n, n)), np.zeros((n, n))
    shifts = range(-_FAR, _FAR + 1)
    around = [(y, x) for y in shifts for x in shifts if max(abs(y), abs(x)) >= _NEAR]
    for row in range(0, n, n // period):
        for column in range(0, n, n // period):
            if row or column:
                comb[row, column] = 1
                for y, x in around:
                    floor[(row + y) % n, (column + x) % n] += 1 / len(around)
    return _half(comb), _half(floor)


def _half(weights: np.ndarray) -> np.ndarray:
    """Weights of a real image's whole spectrum, for the half of it that `rfft2` gives."""
    n = len(weights)
    mirrored = np.roll(weights[::-1, ::-1], 1, (0, 1))
    half = (weights + mirrored)[:, : n // 2 + 1]
    half[:, [0, n // 2]] /= 2  # these columns hold their own mirror images
    return half


def flat_field(image: np.ndarray, period: int) -> float:
    """How uneven a network's enlargement of a flat image is: its pattern, from the weights alone.

    The standard deviation of the means of the period² phases over the mean of all. A transposed
    convolution with a kernel of ones, 3x3 with stride 2, has 0.4843; 4x4 has 0.

    Args:
        image: `[H, W]` or `[H, W, C]`, the enlarged image without its edges; mean not 0.
        period: Of the pattern, in pixels: the scale.
    """
    phases = [
        image[row::period, column::period].mean(dtype=np.float64)
        for row in range(period)
        for column in range(period)
    ]
    return float(np.std(phases) / abs(np.mean(phases)))


@dataclass(kw_only=True)
class Checkerboard(Metric, name="checkerboard"):
    """`comb_prominence` of the image minus that of the reference, of their luma.

    Attributes:
        period: Of the pattern, in pixels: the scale.
    """

    label = "Comb dB"
    digits = 2
    higher_is_better = False

    period: int = bounded(2, 16)

    @property
    def minimum_side(self) -> int:
        """A whole window."""
        return _WINDOW * self.period

    @property
    def note(self) -> str:
        return (
            f"a pattern of {self.period}x{self.period} pixels in dB over its surroundings, "
            "beyond the reference's; less is better"
        )

    def __call__(self, image: np.ndarray, reference: np.ndarray) -> float:
        of, beyond = (
            comb_prominence(grey_of_rgb(x) if x.shape[2] == 3 else x, self.period)
            for x in (image, reference)
        )
        return of - beyond
