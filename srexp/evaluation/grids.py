"""The sample grid: HR, LR, bicubic, the model, and what each gets wrong, in one picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from srexp.evaluation.scoring import Case, ImageResult
from srexp.images.io import to_picture
from srexp.images.quantize import unpack
from srexp.images.resize import resize_pillow

_GAP = 8
_CAPTION = 48
_TITLE = 28
_INK, _PAPER, _FRAME = (30, 30, 30), (250, 250, 250), (230, 40, 40)


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
    panel: int = 320,
    crop: int = 64,
) -> np.ndarray:
    """Compose one image's grid.

    Three columns, HR, bicubic and the model; below them LR (enlarged by nearest neighbour) and the
    error maps of the two. Each panel is the whole image and under it, enlarged, the square where
    bicubic errs most, which is framed above. About as high as wide, since that is the shape in
    which MLflow shows pictures.

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
    bicubic_error = np.abs(base - hr).mean(axis=2, keepdims=True)
    # One brightness for both maps, set by bicubic, so that darker means better.
    full_scale = max(float(np.quantile(bicubic_error, 0.995)), 4 / 255)
    nearest = np.clip(np.repeat(np.repeat(low, scale, axis=0), scale, axis=1), 0, 1)
    b, s = result.bicubic, result.score
    panels = [
        [
            _Panel(hr, "HR", f"{width}x{height}"),
            _Panel(base, "bicubic", f"{b.psnr:.2f} dB, SSIM {b.ssim:.4f}"),
            _Panel(sr, method, f"{s.psnr:.2f} dB, SSIM {s.ssim:.4f}"),
        ],
        [
            _Panel(nearest, "LR", f"{low.shape[1]}x{low.shape[0]}, enlarged x{scale}"),
            _Panel(
                error_map(base, hr, full_scale=full_scale),
                "error of bicubic",
                f"white: {full_scale * 255:.0f} of 255",
            ),
            _Panel(
                error_map(sr, hr, full_scale=full_scale),
                f"error of {method}",
                f"gain {result.gain:+.2f} dB",
            ),
        ],
    ]
    side = min(crop, height, width)
    top, left = worst_window(bicubic_error, side)
    shrink = panel / max(height, width)
    whole = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    row_height = whole[0] + _GAP + panel + _CAPTION
    canvas = Image.new(
        "RGB",
        (_GAP + len(panels[0]) * (panel + _GAP), _TITLE + len(panels) * row_height),
        _PAPER,
    )
    draw = ImageDraw.Draw(canvas)
    draw.text((_GAP, 6), title, _INK, font=ImageFont.load_default(13))
    zoom = max(1, panel // side)
    for row, line in enumerate(panels):
        for column, part in enumerate(line):
            x, y = _GAP + column * (panel + _GAP), _TITLE + row * row_height
            overview = resize_pillow(part.image, whole, "bicubic")
            canvas.paste(to_picture(np.clip(overview, 0, 1)), (x, y))
            corner = (x + left * shrink, y + top * shrink)
            frame = (*corner, corner[0] + side * shrink, corner[1] + side * shrink)
            draw.rectangle(frame, outline=_FRAME, width=2)
            y += whole[0] + _GAP
            # Whole-number enlargement: the viewer must see pixels, not our resampling.
            detail = part.image[top : top + side, left : left + side]
            detail = np.repeat(np.repeat(detail, zoom, axis=0), zoom, axis=1)
            canvas.paste(to_picture(np.clip(detail, 0, 1)), (x, y))
            y += panel + 2
            draw.text((x, y), part.name, _INK, font=ImageFont.load_default(15))
            draw.text((x, y + 18), part.caption, _INK, font=ImageFont.load_default(13))
    return np.asarray(canvas)


@dataclass(frozen=True)
class _Panel:
    image: np.ndarray
    name: str
    caption: str
