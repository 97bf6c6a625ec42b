"""What the configured degradation makes of photographs: HR and LR side by side, in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from srexp import words
from srexp.data.sets import ImageSet
from srexp.degradations.base import Degradation, Draw
from srexp.evaluation.grids import worst_window
from srexp.images.io import to_picture
from srexp.images.quantize import round_8bit
from srexp.images.resize import resize_pillow
from srexp.models.upscaler import bicubic
from srexp.options import OptionError
from srexp.protocol import Protocol

_GAP = 8
_TITLE = 32
_CAPTION = 24
_INK, _PAPER, _FRAME = (30, 30, 30), (250, 250, 250), (230, 40, 40)


@dataclass(frozen=True)
class DegradedPhoto:
    """A photograph, degraded.

    Attributes:
        name: Of the photograph.
        hr: `[H, W, C]` in [0, 1].
        lr: `[H/scale, W/scale, C]`, as the network will get it.
        bicubic: `[H, W, C]`, LR enlarged.
    """

    name: str
    hr: np.ndarray
    lr: np.ndarray
    bicubic: np.ndarray


def degrade(
    name: str, images: ImageSet, degradation: Degradation, protocol: Protocol
) -> DegradedPhoto:
    """HR, LR and bicubic of a photograph, as training makes or gets them."""
    hr, lr = protocol.pair(
        images.images[name],
        degradation,
        draw=Draw(images.pixel_digests[name]),
        given=images.lr[name] if images.lr is not None else None,
    )
    enlarged = bicubic(degradation)(lr, eight_bit=protocol.has_8bit_lr(degradation))
    return DegradedPhoto(name, hr, lr, round_8bit(enlarged))


def sheet_of(
    images: ImageSet, degradation: Degradation, protocol_name: str, protocol: Protocol, count: int
) -> tuple[str, np.ndarray]:
    """Some photographs of a set, of its whole length, degraded; see `preview`.

    Args:
        images: With or without LR of their own.
        degradation: What makes LR where there is none.
        protocol_name: Of the protocol.
        protocol: How pairs are made.
        count: How many photographs, at most.

    Returns:
        What is shown, in words, and the picture.

    Raises:
        DataError, OptionError: Nothing can be shown at this scale.
    """
    scale = degradation.scale
    images.check_scale(scale)
    names = [name for name, shape in images.images.shapes.items() if min(shape[:2]) >= scale]
    if not names:
        raise OptionError(f"degradation.scale={scale}: all training images are smaller")
    shown = names[:: max(1, len(names) // count)][:count]
    samples = [degrade(name, images, degradation, protocol) for name in shown]
    made = degradation.label if images.lr is None else f"x{scale} LR as given"
    part = f"{len(shown)} of {words.count(len(names), 'image')}"
    title = f"{made}, protocol {protocol_name}, {part}"
    return title, preview(samples, scale=scale, title=title)


def preview(
    samples: Sequence[DegradedPhoto], *, scale: int, title: str, panel: int = 288, crop: int = 48
) -> np.ndarray:
    """One line a photograph: HR, and of the square where bicubic errs most HR, LR and bicubic.

    Args:
        samples: What is shown.
        scale: HR over LR.
        title: What stands above.
        panel: Side of a panel in pixels.
        crop: Side of the square in HR pixels, at most; whole LR pixels are shown.

    Returns:
        `[height, width, 3]` uint8.
    """
    row = panel + _CAPTION + _GAP
    size = (_GAP + 4 * (panel + _GAP), _TITLE + len(samples) * row)
    canvas = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((_GAP, 8), title, _INK, font=ImageFont.load_default(15))
    for index, sample in enumerate(samples):
        _draw_row(canvas, draw, sample, _TITLE + index * row, scale, panel, crop)
    return np.asarray(canvas)


def _draw_row(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, sample: DegradedPhoto, y: int, scale: int,
    panel: int, crop: int,
) -> None:  # fmt: skip
    height, width = sample.hr.shape[:2]
    low_height, low_width = sample.lr.shape[:2]
    side = max(1, min(crop // scale, low_height, low_width))  # of the square, in LR pixels
    error = np.abs(sample.bicubic - sample.hr).mean(axis=2, keepdims=True)
    top, left = (place // scale for place in worst_window(error, side * scale))
    top, left = min(top, low_height - side), min(left, low_width - side)

    def cut(image: np.ndarray, pixel: int) -> np.ndarray:
        """The square, each of its pixels a square too: a viewer must not see our resampling."""
        part = image[top * pixel :, left * pixel :][: side * pixel, : side * pixel]
        zoom = max(1, panel // (side * scale)) * scale // pixel
        return np.repeat(np.repeat(part, zoom, axis=0), zoom, axis=1)

    shrink = panel / max(height, width)
    whole = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    name = sample.name if len(sample.name) <= 28 else f"...{sample.name[-25:]}"
    at = f"{side * scale}x{side * scale} of it"
    panels = [
        (np.clip(resize_pillow(sample.hr, whole, "bicubic"), 0, 1), f"{name} {width}x{height}"),
        (cut(sample.hr, scale), f"HR, {at}"),
        (cut(sample.lr, 1), f"LR {low_width}x{low_height}, {side}x{side} of it"),
        (cut(sample.bicubic, scale), f"bicubic, {at}"),
    ]
    for column, (image, caption) in enumerate(panels):
        x = _GAP + column * (panel + _GAP)
        canvas.paste(to_picture(np.clip(image, 0, 1)), (x, y))
        draw.text((x, y + panel + 4), caption, _INK, font=ImageFont.load_default(13))
    corner = (_GAP + left * scale * shrink, y + top * scale * shrink)
    length = side * scale * shrink
    draw.rectangle((*corner, corner[0] + length, corner[1] + length), outline=_FRAME, width=2)
