"""A network that takes LR and gives SR, whatever runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from srexp.images.colour import as_rgb, grey_of_rgb, rgb_to_ycbcr, ycbcr_to_rgb
from srexp.images.quantize import from_uint8, to_uint8
from srexp.images.resize import enlarge
from srexp.models.tiles import forward_in_tiles

# What follows a network: `[H, W, C]` floats, not clipped -> as they are kept.
Finish = Callable[[np.ndarray], np.ndarray]

# The shortest side that a kernel of four taps finds all its mirrored neighbours for.
_LEAST = 4


def as_float(image: np.ndarray) -> np.ndarray:
    """uint8 or float32 -> float32 in [0, 1]."""
    return from_uint8(image) if image.dtype == np.uint8 else image


def to_uint16(image: np.ndarray) -> np.ndarray:
    """Float [0, 1] to uint16: times 65535, rounded half up, clipped."""
    return np.clip(np.floor(image * np.float64(65535) + 0.5), 0, 65535).astype(np.uint16)


def to_float(image: np.ndarray) -> np.ndarray:
    """Clipped to [0, 1]."""
    return np.clip(image, 0, 1).astype(np.float32, copy=False)


FINISH: dict[str, Finish] = {"uint8": to_uint8, "uint16": to_uint16, "float32": to_float}


@dataclass(frozen=True)
class Network:
    """LR in, SR out.

    Attributes:
        scale: SR over LR.
        channels: 3 (RGB) or 1 (Y).
        reach: LR pixels to each side of its own that an SR pixel depends on; None for all of them.
        multiple: What both sides of LR must divide by.
        forward: `[1, h, w, channels]` float32 in [0, 1] -> `[1, h * scale, w * scale, channels]`.
        tiled: Also take apart what fits into memory: smaller tiles are faster.
    """

    scale: int
    channels: int
    reach: int | None
    multiple: int
    forward: Callable[[np.ndarray], np.ndarray]
    tiled: bool = True

    def __call__(self, lr: np.ndarray, finish: Finish = to_float) -> np.ndarray:
        """Enlarge one image, in tiles where its receptive field allows it.

        A Y network given a picture takes its Y and leaves Cb and Cr to bicubic; an RGB network
        given a grey image gets it as three equal channels. Sides below 4 pixels are continued
        mirrored up to that.

        Args:
            lr: `[h, w, 1 or 3]`, uint8 or float32 in [0, 1].
            finish: What is done to each part of the result: one of `FINISH`, for instance.

        Returns:
            `[h * scale, w * scale, 1 or 3]`, of the type that `finish` gives.
        """
        height, width, channels = lr.shape
        small = [(0, max(0, _LEAST - side)) for side in (height, width)]
        if any(more for _, more in small):
            lr = np.pad(lr, [*small, (0, 0)], mode="symmetric")
        if channels == 3 and self.channels == 1:
            whole = finish(self._luma_alone(as_float(lr)))
        else:
            grey = channels < self.channels
            whole = self._in_tiles(lr, (lambda part: finish(grey_of_rgb(part))) if grey else finish)
        return whole[: height * self.scale, : width * self.scale]

    def _in_tiles(self, lr: np.ndarray, finish: Finish) -> np.ndarray:
        def forward(part: np.ndarray) -> np.ndarray:
            given = as_float(part[0])
            return self.forward((as_rgb(given) if self.channels == 3 else given)[None])

        return forward_in_tiles(
            forward,
            [lr],
            factor=self.scale,
            reach=lambda: self.reach,
            multiple=self.multiple,
            finish=finish,
            whole=0 if self.tiled else None,
        )

    def _luma_alone(self, lr: np.ndarray) -> np.ndarray:
        colours = rgb_to_ycbcr(lr)
        luma = self._in_tiles(colours[..., :1], lambda part: part)
        others = enlarge(colours[..., 1:], self.scale, "bicubic", "matlab")
        return ycbcr_to_rgb(np.concatenate([luma, others], axis=2))
