"""How natural a picture looks, without its reference.

A. Mittal, R. Soundararajan, A. C. Bovik: Making a "completely blind" image quality analyzer. IEEE
Signal Processing Letters 20(3), 2013. The natural scene statistics of the picture's blocks are
compared with those of blocks of photographs. The authors' photographs are not ours to have: the
model here is of BSDS200, so its values are not those of their program (`scripts/niqe_model.py`).
"""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from srexp.images.colour import grey_of_rgb
from srexp.images.resize import resize_matlab
from srexp.metrics.base import Metric

BLOCK = 96  # side in pixels; half of it at the second scale
_SIGMA, _RADIUS = 7 / 6, 3  # of the window of local means: 7x7
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))  # to the neighbour that a pixel is multiplied with
_SHAPES = np.arange(0.2, 10.0005, 0.001)  # of the distribution, of which the best is taken
_FLAT = 1e-6  # levels; one level at the corner of a window makes 1.6e-4
_SHARP = 0.75  # of the sharpest block of a photograph: blocks as sharp as this are in the model


@dataclass(frozen=True)
class Natural:
    """What blocks of photographs are like: a normal distribution of their features.

    Attributes:
        mean: `[36]`.
        covariance: `[36, 36]`.
    """

    mean: np.ndarray
    covariance: np.ndarray

    def distance(self, features: np.ndarray) -> float:
        """Equation 10: between this and the distribution of a picture's blocks.

        Args:
            features: `[blocks, 36]`, two blocks at least.
        """
        apart = self.mean - features.mean(axis=0)
        pooled = (self.covariance + np.cov(features, rowvar=False)) / 2
        return float(np.sqrt(apart @ np.linalg.pinv(pooled) @ apart))


def niqe(image: np.ndarray, natural: Natural) -> float:
    """NIQE of one channel; more is worse.

    Args:
        image: `[H, W]` in levels 0..255, with two blocks of 96x96 pixels at least.
        natural: What it is compared with.
    """
    return natural.distance(features(image)[0])


def features(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each block of 96x96 pixels: 18 numbers at each of two scales (table 1 and section 2).

    Args:
        image: `[H, W]` in levels 0..255; what is over at the right and below is left out.

    Returns:
        `[blocks, 36]`, and how sharp each block is, `[blocks]`: its mean local deviation.
    """
    down, across = (side // BLOCK for side in image.shape)
    image = image[: down * BLOCK, : across * BLOCK].astype(np.float64)
    normalised, deviation = _normalised(image)
    size = (image.shape[0] // 2, image.shape[1] // 2)
    half = resize_matlab(image[..., None], size)[..., 0].astype(np.float64)
    scales = [_described(_blocks(x, down, across)) for x in (normalised, _normalised(half)[0])]
    return np.concatenate(scales, axis=1), _blocks(deviation, down, across).mean(axis=(1, 2))


def natural_of(images: list[np.ndarray]) -> Natural:
    """The model of photographs: of their sharp blocks (section 2.2).

    Args:
        images: As of `features`.
    """
    sharp = []
    for image in images:
        found, sharpness = features(image)
        sharp.append(found[sharpness > _SHARP * sharpness.max()])
    rows = np.concatenate(sharp)
    return Natural(rows.mean(axis=0), np.cov(rows, rowvar=False))


def _normalised(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equations 1 to 3: how many local deviations each pixel is off its local mean, and those."""
    mean = _smooth(image)
    deviation = np.sqrt(np.abs(_smooth(image**2) - mean**2))
    off = image - mean
    # Where all is flat, only rounding would say whether a value is above or below 0.
    off[np.abs(off) < _FLAT] = 0
    return off / (deviation + 1), deviation


def _smooth(image: np.ndarray) -> np.ndarray:
    """By the window, with the edges repeated."""
    places = np.arange(-_RADIUS, _RADIUS + 1)
    window = np.exp(-(places**2) / (2 * _SIGMA**2))
    window /= window.sum()
    for axis in (0, 1):
        pad = [(_RADIUS, _RADIUS) if axis == a else (0, 0) for a in (0, 1)]
        padded, length = np.pad(image, pad, mode="edge"), image.shape[axis]
        image = sum(
            weight * np.take(padded, np.arange(k, k + length), axis)
            for k, weight in enumerate(window)
        )
    return image


def _blocks(image: np.ndarray, down: int, across: int) -> np.ndarray:
    """`[blocks, h, w]`."""
    height, width = image.shape[0] // down, image.shape[1] // across
    return image.reshape(down, height, across, width).swapaxes(1, 2).reshape(-1, height, width)


def _described(blocks: np.ndarray) -> np.ndarray:
    """Shape and width of the values, and of their products with each of four neighbours."""
    shape, left, right = _fit(blocks)
    columns = [shape, (left + right) / 2]
    for shift in _SHIFTS:
        shape, left, right = _fit(blocks * np.roll(blocks, shift, axis=(1, 2)))
        mean = (right - left) * _gamma(2 / shape) / _gamma(1 / shape)
        columns += [shape, mean, left, right]
    return np.stack(columns, axis=1)


def _fit(blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The asymmetric generalised Gaussian of each block, by its moments: shape, left, right width.

    Lasmar, Stitou, Berthoumieu, ICIP 2009; equation 4 of the letter.
    """
    flat = blocks.reshape(len(blocks), -1)
    below, above = flat < 0, flat > 0
    square = flat**2
    left, right = (
        np.sqrt((square * side).sum(axis=1) / np.maximum(side.sum(axis=1), 1))
        for side in (below, above)
    )
    ratio = left / np.maximum(right, 1e-300)
    moments = np.abs(flat).mean(axis=1) ** 2 / np.maximum(square.mean(axis=1), 1e-300)
    wanted = moments * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = _SHAPES[np.argmin(np.abs(_ratios() - wanted[:, None]), axis=1)]
    width = np.sqrt(_gamma(1 / shape) / _gamma(3 / shape))
    return shape, left * width, right * width


@cache
def _ratios() -> np.ndarray:
    return _gamma(2 / _SHAPES) ** 2 / (_gamma(1 / _SHAPES) * _gamma(3 / _SHAPES))


def _gamma(values: np.ndarray) -> np.ndarray:
    return np.array([math.gamma(value) for value in values])


@cache
def _bsds200() -> tuple[Natural, str]:
    """The model that comes with srexp, and a digest of its file."""
    file = resources.files("srexp") / "weights" / "niqe_bsds200.npz"
    content = file.read_bytes()
    with np.load(io.BytesIO(content)) as arrays:
        natural = Natural(arrays["mean"], arrays["covariance"])
    return natural, hashlib.sha256(content).hexdigest()[:8]


@dataclass(kw_only=True)
class NIQE(Metric, name="niqe"):
    """`niqe` of a picture's luma; the reference is not looked at."""

    label = "NIQE BSDS200"
    digits = 3
    higher_is_better = False
    minimum_side = 2 * BLOCK

    @property
    def weights(self) -> str:
        return f"bsds200 [{_bsds200()[1]}]"

    @property
    def note(self) -> str:
        return (
            "NIQE with a model of BSDS200, not its authors' photographs: to compare with other "
            "values of this program alone; less is better"
        )

    def prepare(self) -> None:
        _bsds200()

    def __call__(self, image: np.ndarray, reference: np.ndarray) -> float:
        grey = grey_of_rgb(image) if image.shape[2] == 3 else image
        return niqe(grey[..., 0], _bsds200()[0])
