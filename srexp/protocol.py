"""How a result is scored: the protocol, a named value that stands beside every number.

Most disagreement in super-resolution is about protocol, not about models: the same network scores
2 dB apart in RGB and in Y. A protocol says what image the degradation works on, whether the LR
image is rounded to 8 bits, what is compared and what is cropped. It is also what makes the
training pairs, so that a network is trained on what it is scored on.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from srexp.degradations.base import NO_DRAW, Degradation, Draw
from srexp.images.colour import as_rgb, full_range_luma, luma, rgb_to_ycbcr
from srexp.images.geometry import crop_border, modcrop
from srexp.images.quantize import from_uint8, round_8bit, to_uint8, truncate_to_uint8
from srexp.metrics import psnr, ssim
from srexp.metrics.base import Metric
from srexp.metrics.ssim import WINDOW
from srexp.options import (
    OptionError,
    Options,
    additions,
    bounded,
    choice,
    each_nested,
    nested,
)


@dataclass(kw_only=True)
class Protocol(Options, group="protocol", name="protocol"):
    """One way of scoring.

    Attributes:
        degrade: What the degradation works on: `y` (luma, 8 bits) or `rgb`.
        lr_8bit: Whether LR is rounded to 8 bits, as a stored picture is, or kept in floats,
            where the degradation does not say it.
        compare: What the metrics see: `y` or `rgb` (PSNR over all channels, SSIM per channel).
        border: Pixels dropped on each side before comparing; None for `scale`.
        luma: What Y is: `studio`, 16..235 as MATLAB's `rgb2ycbcr` gives it, or `full`, 0..255 as
            in JPEG files: 1.2 to 1.3 dB lower.
        rounding: How a result becomes 8 bits: to the `nearest` level, by `truncate` (a cast), or
            `none`: neither rounded nor clipped. The last two are faults of other programs, whose
            numbers are found again by them.
    """

    degrade: str = choice("y", "rgb")
    lr_8bit: bool
    compare: str = choice("y", "rgb")
    border: int | None = bounded(0, 64)
    luma: str = choice("studio", "full", default="studio")
    rounding: str = choice("nearest", "truncate", "none", default="nearest")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.luma != "studio" and (self.degrade, self.compare) == ("rgb", "rgb"):
            raise OptionError(f"luma={self.luma}: has no effect in RGB", "luma")
        if (self.degrade, self.compare) == ("y", "rgb"):
            raise OptionError(
                "compare=rgb: with degrade=y there is luma alone to compare; use compare=y, or "
                "degrade=rgb",
                "compare",
            )

    @property
    def channels(self) -> int:
        """Of the images that the degradation works on."""
        return 1 if self.degrade == "y" else 3

    def pair(
        self,
        image: np.ndarray,
        degradation: Degradation,
        *,
        draw: Draw = NO_DRAW,
        given: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """A photograph to its HR and LR image.

        Args:
            image: `[H, W, 1 or 3]` in [0, 1], at least `minimum_side` on both sides.
            degradation: HR -> LR; its scale decides the crop.
            draw: For random degradations.
            given: An LR image to take instead of making one; of as many channels as `image`, and
                of the size that the degradation would make.

        Returns:
            HR `[H', W', C]`, cropped so that the scale divides its sides, and LR
            `[H'/scale, W'/scale, C]`, C = `channels`.
        """
        hr = self.works_on(modcrop(image, degradation.scale))
        if given is None:
            return hr, self.degraded(hr, degradation, draw)
        return hr, self._stored_lr(self.works_on(given), degradation)

    def degraded(self, hr: np.ndarray, degradation: Degradation, draw: Draw) -> np.ndarray:
        """LR of an image that the degradation can work on (`works_on`), or of a part of it."""
        lr = degradation(hr, draw=draw, eight_bit=self.has_8bit_lr(degradation))
        return self._stored_lr(lr, degradation)

    def has_8bit_lr(self, degradation: Degradation) -> bool:
        """Whether LR is rounded to 8 bits."""
        if degradation.stored:
            return True
        return self.lr_8bit if degradation.lr_8bit is None else degradation.lr_8bit

    def _stored_lr(self, lr: np.ndarray, degradation: Degradation) -> np.ndarray:
        return round_8bit(lr) if self.has_8bit_lr(degradation) else lr

    def works_on(self, image: np.ndarray) -> np.ndarray:
        """Of a picture `[H, W, 1 or 3]`: its luma, or its 8-bit RGB, `[H, W, channels]`."""
        return self._y(image) if self.degrade == "y" else round_8bit(as_rgb(image))

    def result(self, sr: np.ndarray) -> np.ndarray:
        """An image `[H, W, C]` as a model made it, as it is stored and scored: rounded, clipped."""
        return sr if self.rounding == "none" else from_uint8(self._stored(sr))

    def score(
        self,
        sr: np.ndarray,
        hr: np.ndarray,
        scale: int,
        metrics: Mapping[str, Metric] | None = None,
    ) -> tuple[float, float, dict[str, float]]:
        """Score a result.

        Args:
            sr: `[H, W, C]`; it and `hr` are made what is compared here: levels of 8 bits, as
                `rounding` says, or left between them where it is `none`; then cropped.
            hr: The same shape.
            scale: Decides the crop where `border` is None.
            metrics: What is wanted beside PSNR and SSIM.

        Returns:
            PSNR in dB, SSIM, and the values of `metrics`: NaN where the image is too small.
        """
        border = scale if self.border is None else self.border
        a, b = (crop_border(self._compared(image), border) for image in (sr, hr))
        side = min(a.shape[:2])
        further = {
            name: metric(a, b) if side >= metric.minimum_side else math.nan
            for name, metric in (metrics or {}).items()
        }
        return psnr(a, b, peak=255), ssim(a, b, peak=255), further

    def _compared(self, image: np.ndarray) -> np.ndarray:
        """Levels 0..255 of what is compared."""
        to_y = self.compare == "y" and image.shape[2] == 3
        if self.rounding == "none":
            full = self.luma == "full"
            y = (
                (full_range_luma(image) if full else rgb_to_ycbcr(image)[..., :1])
                if to_y
                else image
            )
            return y.astype(np.float64) * 255
        stored = self._stored(image)
        return to_uint8(self._y(from_uint8(stored))) if to_y else stored

    def _stored(self, image: np.ndarray) -> np.ndarray:
        return truncate_to_uint8(image) if self.rounding == "truncate" else to_uint8(image)

    def _y(self, image: np.ndarray) -> np.ndarray:
        return luma(image, full_range=self.luma == "full")

    def degrading(self, degrade: str) -> Protocol:
        """The same with another `degrade`, to make pairs by; not to score by: it compares Y."""
        return replace(self, degrade=degrade, compare="y")

    def at_scale(self, scale: int) -> Protocol:
        """The same protocol with no `border` of its own where that is the scale."""
        return replace(self, border=None) if self.border == scale else self

    def minimum_side(self, scale: int) -> int:
        """The smallest side of an image that can be scored: the SSIM window inside the border."""
        border = scale if self.border is None else self.border
        least = WINDOW + 2 * border
        return least + -least % scale


def digest(value: Any, digits: int = 8) -> str:
    """Hexadecimal digits that stand for plain data, equal for equal data."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def options_digest(options: Options) -> str:
    """`digest` of an option: its name and values, without what changes nothing (`usual`).

    Of the options inside it likewise; with the versions that they declare (`code_version`).
    """

    def named(option: Options) -> list[Any]:
        version = type(option).code_version
        return [type(option).name, told(option), *([version] if version else [])]

    def told(option: Options) -> dict[str, Any]:
        added, inner = additions(type(option)), nested(type(option))
        values = option.usual({field.name: getattr(option, field.name) for field in fields(option)})
        return {
            key: each_nested(value, named) if key in inner else value
            for key, value in values.items()
            if key not in added or value != added[key]
        }

    return digest(named(options))
