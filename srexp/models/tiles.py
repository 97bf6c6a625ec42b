"""A network on a large image, tile by tile: the same image in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

Forward = Callable[[np.ndarray], np.ndarray]

# Output pixels that go through a network at once; 64 channels of it in float32 take 256 MiB.
WHOLE = 2**20
# Side of a tile in output pixels, without what it overlaps.
TILE = 512


def forward_in_tiles(
    forward: Forward, image: np.ndarray, *, factor: int, reach: Callable[[], int]
) -> np.ndarray:
    """Run a network on an image, in tiles where the image is large.

    A tile overlaps its neighbours by half the receptive field, and of its result only the part
    is kept that no edge but the image's own has touched.

    Args:
        forward: `[N, h, w, C]` -> `[N, h * factor, w * factor, C]`.
        image: `[h, w, C]`.
        factor: Of the size of the output over the input.
        reach: Gives how many input pixels an output pixel looks at to each side of its own.

    Returns:
        `[h * factor, w * factor, C]` float32.
    """
    height, width = image.shape[:2]
    if height * width * factor**2 <= WHOLE:
        return forward(image[None])[0]
    out: np.ndarray | None = None
    overlap, side = reach(), max(1, TILE // factor)
    for rows, seen_rows in _spans(height, side, overlap):
        for columns, seen_columns in _spans(width, side, overlap):
            part = forward(image[None, seen_rows, seen_columns])[0]
            if out is None:
                out = np.empty((height * factor, width * factor, part.shape[2]), part.dtype)
            kept = (
                _scaled(rows, factor, seen_rows.start),
                _scaled(columns, factor, seen_columns.start),
            )
            out[_scaled(rows, factor), _scaled(columns, factor)] = part[kept]
    assert out is not None
    return out


def _spans(length: int, side: int, overlap: int) -> Iterator[tuple[slice, slice]]:
    """Of each tile along one axis: what it is for, and what it must see."""
    for start in range(0, length, side):
        stop = min(start + side, length)
        yield (
            slice(start, stop),
            slice(max(0, start - overlap), min(length, stop + overlap)),
        )


def _scaled(span: slice, factor: int, origin: int = 0) -> slice:
    return slice((span.start - origin) * factor, (span.stop - origin) * factor)
