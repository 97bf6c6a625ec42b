"""Resizing by two engines: MATLAB's `imresize` (re-implemented) and Pillow.

Both are separable, use the same kernels and, when shrinking, stretch the kernel by the scale
(antialiasing). They differ at the edges: MATLAB mirrors the image there, with the edge pixel
repeated; Pillow drops the taps that fall outside and renormalises the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from srexp.images.bands import bands
from srexp.images.quantize import from_uint8, to_uint8, unpack

ENGINES = ("matlab", "pillow")
INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


def _box(x: np.ndarray) -> np.ndarray:
    return ((x >= -0.5) & (x < 0.5)).astype(np.float64)


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys, 1981, with a = -0.5."""
    a = np.abs(x)
    inner = 1.5 * a**3 - 2.5 * a**2 + 1.0
    outer = -0.5 * a**3 + 2.5 * a**2 - 4.0 * a + 2.0
    return np.where(a <= 1, inner, np.where(a <= 2, outer, 0.0))


def _lanczos3(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


# interpolation -> kernel and its support (full width). MATLAB has no Hamming kernel.
_KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "nearest": (_box, 1.0),
    "box": (_box, 1.0),
    "bilinear": (_triangle, 2.0),
    "bicubic": (_cubic, 4.0),
    "lanczos": (_lanczos3, 6.0),
}
MATLAB_INTERPOLATIONS = tuple(_KERNELS)
# Pixels to each side on which a kernel that is not stretched looks, whatever the engine.
HALF_WIDTHS = {name: width / 2 for name, (_, width) in _KERNELS.items()} | {"hamming": 1.0}


@lru_cache(maxsize=256)
def _contributions(
    in_size: int, out_size: int, factor: float, interpolation: str, antialias: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Taps of one axis: indices and weights, each `[out_size, taps]`.

    Output pixel i (from 1) looks at input coordinate i/factor + 0.5 (1 - 1/factor).
    """
    kernel, width = _KERNELS[interpolation]
    stretch = 1.0
    if factor < 1 and antialias and interpolation != "nearest":
        stretch = factor
        width = width / factor
    centre = np.arange(1, out_size + 1) / factor + 0.5 * (1 - 1 / factor)
    left = np.floor(centre - width / 2)
    taps = int(np.ceil(width)) + 2
    index = left[:, None] + np.arange(taps)
    weight = stretch * kernel(stretch * (centre[:, None] - index))
    weight /= weight.sum(axis=1, keepdims=True)
    # Past the edge: mirrored, the edge pixel repeated (1 2 3 -> ... 2 1 | 1 2 3 | 3 2 ...).
    mirror = np.concatenate([np.arange(in_size), np.arange(in_size)[::-1]])
    index = mirror[(index.astype(np.int64) - 1) % (2 * in_size)]
    used = np.any(weight != 0, axis=0)
    return index[:, used], weight[:, used]


def _resize_axis(image: np.ndarray, axis: int, index: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`[H, W, C]` float64 by the taps of one axis, summed in their order."""
    from scipy import sparse  # a tenth of a second

    count, taps = index.shape
    # A row of the matrix may name a pixel twice, where the image is mirrored; both count.
    ends = np.arange(0, count * taps + 1, taps)
    of_axis = (count, image.shape[axis])
    matrix = sparse.csr_array((weight.ravel(), index.ravel(), ends), shape=of_axis)
    swapped = image if axis == 0 else image.swapaxes(0, 1)
    lines = np.ascontiguousarray(swapped).reshape(len(swapped), -1)
    result = (matrix @ lines).reshape(count, *swapped.shape[1:])
    return result if axis == 0 else result.swapaxes(0, 1)


def resize_matlab(
    image: np.ndarray,
    size: tuple[int, int],
    interpolation: str = "bicubic",
    *,
    antialias: bool = True,
    factor: float | None = None,
) -> np.ndarray:
    """`imresize(image, ...)` of MATLAB, in double precision inside.

    Args:
        image: `[H, W, C]`, any range.
        size: Height and width of the result.
        interpolation: One of `MATLAB_INTERPOLATIONS`.
        antialias: Stretch the kernel when shrinking (MATLAB's default; never for `nearest`).
        factor: The scale as a number, as in `imresize(image, factor)`. Without it the scale of
            each axis follows from the sizes, as in `imresize(image, [rows columns])`.

    Returns:
        `[*size, C]` float32, not clipped: bicubic and Lanczos overshoot.
    """
    factors = [factor or size[axis] / image.shape[axis] for axis in (0, 1)]
    taps = [
        _contributions(image.shape[axis], size[axis], factors[axis], interpolation, antialias)
        for axis in (0, 1)
    ]
    # The axis with the smaller factor goes first, as in MATLAB; rows first on a tie.
    order = sorted((0, 1), key=lambda axis: factors[axis])
    out = np.empty((*size, image.shape[2]), np.float32)
    for rows in bands(size[0], max(size[1], image.shape[1])):
        index, weight = (array[rows] for array in taps[0])
        first = index.min()
        part = image[first : index.max() + 1].astype(np.float64)
        for axis in order:
            part = _resize_axis(part, axis, *((index - first, weight), taps[1])[axis])
        out[rows] = part
    return out


def resize_pillow(
    image: np.ndarray,
    size: tuple[int, int],
    interpolation: str = "bicubic",
    *,
    eight_bit: bool = False,
) -> np.ndarray:
    """Pillow's `Image.resize`, channel by channel.

    Args:
        image: `[H, W, C]`; any range, in [0, 1] with `eight_bit`.
        size: Height and width of the result.
        interpolation: One of `INTERPOLATIONS`.
        eight_bit: Work on 8-bit values, as Pillow does on `L` and `RGB` pictures: rounded after
            each axis. Otherwise in its float mode `F`. (Set5 x2 in RGB: 31.787 and 31.798 dB.)

    Returns:
        `[*size, C]` float32; not clipped unless `eight_bit`.
    """
    method = Image.Resampling[interpolation.upper()]
    height, width = size
    source = to_uint8(image) if eight_bit else image.astype(np.float32, copy=False)
    result = np.empty((height, width, image.shape[2]), source.dtype)
    for channel in range(image.shape[2]):
        plane = Image.fromarray(np.ascontiguousarray(source[..., channel]))
        result[..., channel] = plane.resize((width, height), method)
    return from_uint8(result) if eight_bit else result


def resize(
    image: np.ndarray,
    size: tuple[int, int],
    interpolation: str = "bicubic",
    engine: str = "matlab",
    *,
    antialias: bool = True,
    eight_bit: bool = False,
) -> np.ndarray:
    """Resize `[H, W, C]` to `[*size, C]` by the named engine. See the two functions above.

    `eight_bit` concerns Pillow alone: MATLAB's kernel is applied in floats, and rounding is left
    to the caller.
    """
    if engine == "pillow":
        if not antialias:
            raise ValueError("engine=pillow always antialiases; antialias=False needs matlab")
        return resize_pillow(image, size, interpolation, eight_bit=eight_bit)
    return resize_matlab(image, size, interpolation, antialias=antialias)


def enlarge(
    image: np.ndarray, scale: int, interpolation: str, engine: str, *, eight_bit: bool = False
) -> np.ndarray:
    """LR `[h, w, C]` to `[h * scale, w * scale, C]`: what a classical resampler does."""
    size = (image.shape[0] * scale, image.shape[1] * scale)
    return resize(image, size, interpolation, engine, eight_bit=eight_bit)


@dataclass(frozen=True, eq=False)
class Enlarged:
    """`enlarge` by MATLAB's engine, of which the windows are made that are asked for.

    Bit for bit what stands there in the whole image: the taps are those of the whole.

    Attributes:
        base: LR `[h, w, C]`, packed (`quantize.pack`).
        scale: As for `enlarge`.
        interpolation: Likewise.
    """

    base: np.ndarray
    scale: int
    interpolation: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole."""
        height, width, channels = self.base.shape
        return height * self.scale, width * self.scale, channels

    @property
    def nbytes(self) -> int:
        """What it takes."""
        return self.base.nbytes

    def __getitem__(self, window: tuple[slice, slice]) -> np.ndarray:
        """Rows and columns of the whole, float32."""
        places, taps = [], []
        for axis in (0, 1):
            size = self.base.shape[axis]
            index, weight = (
                of_all[window[axis]]
                for of_all in _contributions(
                    size, size * self.scale, float(self.scale), self.interpolation, True
                )
            )
            first = int(index.min())
            places.append(slice(first, int(index.max()) + 1))
            taps.append((index - first, weight))
        part = unpack(self.base[places[0], places[1]]).astype(np.float64)
        for axis in (0, 1):
            part = _resize_axis(part, axis, *taps[axis])
        return part.astype(np.float32)
