"""The picture of docs/upscaling.md: bicubic and both kinds of bundled networks on a JPEG.

    python scripts/kinds_picture.py docs/images/kinds.png

A part of scikit-learn's photograph `china` (by danielbuechele, CC BY 2.0; no bundled network was
trained on it, or chosen by it), half as large, as a JPEG of quality 60; then x2 by each. Pixels are
shown twice as large.
"""

from __future__ import annotations

import io
import sys

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

import srexp
from srexp.upscaling import bundled

ROWS, COLUMNS = slice(40, 232), slice(100, 292)


def main() -> None:
    part = Image.fromarray(load_sample_image("china.jpg")[ROWS, COLUMNS])
    height, width = part.height, part.width
    squeezed = io.BytesIO()
    part.resize((width // 2, height // 2), Image.Resampling.BICUBIC).save(
        squeezed, "JPEG", quality=60
    )
    with Image.open(squeezed) as lr:
        made = [np.asarray(lr.resize((width, height), Image.Resampling.BICUBIC))]
        for kind in bundled.KINDS:
            made.append(np.asarray(srexp.load("tiny", scale=2, kind=kind).upscale(lr)))
    gap = np.full((height, 4, 3), 255, np.uint8)
    beside = np.concatenate([made[0], gap, made[1], gap, made[2]], axis=1)
    Image.fromarray(beside.repeat(2, 0).repeat(2, 1)).save(sys.argv[1])


if __name__ == "__main__":
    main()
