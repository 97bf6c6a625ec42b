"""The sample grid: HR, LR, bicubic, the model, and what each gets wrong, in one picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from srexp.evaluation.scoring import Case, ImageResult
from srexp.images.io import to_picture
from srexp.images.quantize import unpack
from srexp.images.resize import resize_pillow

_GAP = 8
_CAPTION = 40
_TITLE = 28
_INK, _PAPER = (30, 30, 30), (250, 250, 250)


def error_map(image: np.ndarray, hr: np.ndarray, *, full_scale: float) -> np.ndarray:
    """Absolute error averaged over channels, `[H, W, 1]`; white is `full_scale` or more."""
    error = np.abs(image - hr).mean(axis=2, keepdims=True)
    return np.clip(error / full_scale, 0, 1).astype(np.float32)


def worst_window(error: np.ndarray, size: int) -> tuple[int, int]:
    """Top and left of the `size` x `size` window with the largest mean error (`[H, W, 1]`)."""
    integral = np.pad(error[..., 0].astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    sums = (
        integral[size:, size:]
        - integral[:-size, size:]
        - integral[size:, :-size]
        + integral[:-size, :-size]
    )
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(top), int(left)


def sample_grid(
    result: ImageResult,
    case: Case,
    sr: np.ndarray,
    *,
    scale: int,
    method: str,
    title: str,
    panel: int = 256,
    crop: int = 64,
) -> np.ndarray:
    """Compose one image's grid.

    Two rows of six panels (HR, LR enlarged by nearest neighbour, bicubic, the model, and the
    error maps of the last two): the whole image, and the square where bicubic errs most,
    framed in the row above.

    Args:
        result: The scores, for the captions.
        case: HR, LR and bicubic.
        sr: The model's image, `[H, W, C]` in [0, 1].
        scale: HR over LR.
        method: The model's name.
        title: What stands above.
        panel: Longer side of a panel in pixels.
        crop: Side of the square in HR pixels.

    Returns:
        `[height, width, 3]` uint8.
    """
    hr, low, base = unpack(case.hr), unpack(case.lr), unpack(case.bicubic)
    height, width = hr.shape[:2]
    errors = [np.abs(image - hr).mean(axis=2) for image in (base, sr)]
    # One brightness for both maps, set by bicubic, so that darker means better.
    full_scale = max(float(np.quantile(errors[0], 0.995)), 4 / 255)
    maps = [error_map(image, hr, full_scale=full_scale) for image in (base, sr)]
    nearest = np.repeat(np.repeat(low, scale, axis=0), scale, axis=1)
    panels = [hr, np.clip(nearest, 0, 1), base, sr, *maps]

    side = min(crop, height, width)
    top, left = worst_window(errors[0][..., None], side)
    window = (slice(top, top + side), slice(left, left + side))
    shrink = panel / max(height, width)
    small = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    b, s = result.bicubic, result.score
    captions = [
        ("HR", f"{width}x{height}"),
        ("LR", f"{low.shape[1]}x{low.shape[0]}, x{scale}"),
        ("bicubic", f"{b.psnr:.2f} dB, SSIM {b.ssim:.4f}"),
        (method, f"{s.psnr:.2f} dB, SSIM {s.ssim:.4f}"),
        ("error of bicubic", f"white: {full_scale * 255:.0f} of 255"),
        (f"error of {method}", f"gain {result.gain:+.2f} dB"),
    ]
    step = panel + _GAP
    canvas = Image.new(
        "RGB",
        (_GAP + len(panels) * step, _TITLE + small[0] + 2 * _GAP + panel + _CAPTION + _GAP),
        _PAPER,
    )
    draw = ImageDraw.Draw(canvas)
    draw.text((_GAP, 6), title, _INK, font=ImageFont.load_default(15))
    zoom = max(1, panel // side)
    for index, image in enumerate(panels):
        x, y = _GAP + index * step, _TITLE
        canvas.paste(to_picture(np.clip(resize_pillow(image, small, "bicubic"), 0, 1)), (x, y))
        frame = [x + left * shrink, y + top * shrink]
        frame += [frame[0] + side * shrink, frame[1] + side * shrink]
        draw.rectangle(frame, outline=(230, 40, 40), width=2)
        y += small[0] + _GAP
        # Whole-number nearest enlargement: the viewer must see pixels, not our resampling.
        detail = np.repeat(np.repeat(image[window], zoom, axis=0), zoom, axis=1)
        canvas.paste(to_picture(np.clip(detail, 0, 1)), (x, y))
        y += panel + 4
        draw.text((x, y), captions[index][0], _INK, font=ImageFont.load_default(15))
        draw.text((x, y + 18), captions[index][1], _INK, font=ImageFont.load_default(13))
    return np.asarray(canvas)
