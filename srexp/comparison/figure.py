"""The figure of a paper: one square of an image, enlarged, from HR, bicubic and each method."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from srexp.evaluation.grids import worst_window
from srexp.images.io import to_picture
from srexp.images.resize import resize_pillow

# In pixels: at 300 dots to the inch, three cells and the whole image fill a page's width.
_CELL = 384
_GAP = 16
_CAPTION = 76
_NAME, _SCORES, _SMALLEST = 30, 26, 20  # of the letters
_LINE = 34
_INK, _PAPER, _FRAME = (20, 20, 20), (255, 255, 255), (230, 40, 40)
_WIDEST = 2.0  # of the whole image, over its height

Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Shown:
    """One method's image.

    Attributes:
        name: For the caption.
        image: `[H, W, 1 or 3]` in [0, 1].
        psnr: Of the whole image in dB; `inf` for an identical one.
        ssim: Likewise.
    """

    name: str
    image: np.ndarray
    psnr: float
    ssim: float


def automatic_crop(hr: np.ndarray, shown: Sequence[Shown], *, side: int = 64) -> Box:
    """The square that shows most: left, top, width and height.

    Args:
        hr: `[H, W, C]` in [0, 1].
        shown: Bicubic first, then the methods.
        side: Of the square in HR pixels; less where the image is smaller.

    Returns:
        Of two methods or more, where their errors are farthest apart; else where bicubic errs most.
    """
    side = min(side, *hr.shape[:2])
    errors = [np.abs(one.image - hr).mean(axis=2, keepdims=True) for one in shown]
    methods = errors[1:]
    apart = np.max(methods, axis=0) - np.min(methods, axis=0) if methods else errors[0]
    if apart.max() < 1e-4:  # one method, or such that agree in every pixel
        apart = errors[0]
    top, left = worst_window(apart, side)
    return left, top, side, side


def paper_figure(hr: np.ndarray, shown: Sequence[Shown], *, title: str, crop: Box) -> np.ndarray:
    """Compose the figure.

    On the left the whole HR image, on which the square is framed; beside it, in one row or two, the
    square from HR and each method, enlarged by a whole number, so that the viewer sees pixels and
    not a resampling of ours. The name of the highest PSNR is set in bold.

    Args:
        hr: `[H, W, 1 or 3]` in [0, 1].
        shown: Bicubic first, then the methods; one or more, of the size of `hr`.
        title: What stands below the whole image.
        crop: Left, top, width and height in pixels, within the image.

    Returns:
        `[height, width, 3]` uint8.
    """
    left, top, width, height = crop
    best = max((one.psnr for one in shown), default=math.nan)
    cells = [_Cell(hr, "HR", "PSNR / SSIM", False)]
    cells += [
        _Cell(one.image, one.name, f"{one.psnr:.2f} dB / {one.ssim:.4f}", one.psnr == best)
        for one in shown
    ]
    zoom = max(1, _CELL // max(width, height))
    cell_width, cell_height = max(zoom * width, _CELL), zoom * height
    rows = 1 if len(cells) <= 3 else 2
    columns = -(-len(cells) // rows)
    for lines in range(max(len(_wrapped(cell.name, cell_width)) for cell in cells), 9):
        caption = _CAPTION + (lines - 1) * _LINE
        canvas_height = rows * (cell_height + caption) + (rows - 1) * _GAP
        whole_height = canvas_height - caption
        ratio = min(hr.shape[1] / hr.shape[0], _WIDEST)
        whole_width = round(whole_height * ratio)
        if len(_wrapped(title, whole_width)) <= lines:
            break
    canvas = Image.new("RGB", (whole_width + columns * (_GAP + cell_width), canvas_height), _PAPER)
    draw = ImageDraw.Draw(canvas)
    _draw_whole(canvas, hr, (whole_width, whole_height), crop)
    _write(draw, (0, whole_height), whole_width, title, f"{hr.shape[1]}x{hr.shape[0]} pixels")
    for index, cell in enumerate(cells):
        row, column = divmod(index, columns)
        x = whole_width + _GAP + column * (_GAP + cell_width)
        y = row * (cell_height + caption + _GAP)
        detail = cell.image[top : top + height, left : left + width]
        detail = np.repeat(np.repeat(detail, zoom, axis=0), zoom, axis=1)
        canvas.paste(to_picture(np.clip(detail, 0, 1)), (x + (cell_width - zoom * width) // 2, y))
        _write(draw, (x, y + cell_height), cell_width, cell.name, cell.scores, bold=cell.best)
    return np.asarray(canvas)


@dataclass(frozen=True, eq=False)
class _Cell:
    image: np.ndarray
    name: str
    scores: str
    best: bool


def _draw_whole(canvas: Image.Image, hr: np.ndarray, room: tuple[int, int], crop: Box) -> None:
    """The whole image at the bottom left of its room, the square framed."""
    shrink = min(room[0] / hr.shape[1], room[1] / hr.shape[0])
    size = (max(1, round(hr.shape[0] * shrink)), max(1, round(hr.shape[1] * shrink)))
    x, y = (room[0] - size[1]) // 2, room[1] - size[0]
    canvas.paste(to_picture(np.clip(resize_pillow(hr, size, "bicubic"), 0, 1)), (x, y))
    left, top, width, height = (value * shrink for value in crop)
    frame = (x + left, y + top, x + left + width, y + top + height)
    ImageDraw.Draw(canvas).rectangle(frame, outline=_FRAME, width=4)


def _wrapped(name: str, width: int) -> list[str]:
    """A name in as many lines as it needs; nothing is cut, so that no two become alike."""
    length = ImageFont.load_default(_SMALLEST).getlength(name)
    return (
        textwrap.wrap(name, max(1, int(len(name) * width / length))) if length > width else [name]
    )


def _write(
    draw: ImageDraw.ImageDraw,
    corner: tuple[int, int],
    width: int,
    name: str,
    below: str,
    *,
    bold: bool = False,
) -> None:
    """A name and a line below it, centred, smaller or broken where there is no room for them."""
    names = _wrapped(name, width)
    down = 6
    for text, size in (*((part, _NAME) for part in names), (below, _SCORES)):
        font = ImageFont.load_default(size)
        while draw.textlength(text, font) > width and size > _SMALLEST:
            size -= 1
            font = ImageFont.load_default(size)
        middle = corner[0] + width / 2, corner[1] + down
        draw.text(middle, text, _INK, font=font, anchor="ma", stroke_width=0.6 if bold else 0)
        down += _LINE
