"""A network on a large image, tile by tile: the same image in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

# `[N, h, w, C]` of each input -> `[N, H, W, C]`.
Forward = Callable[..., np.ndarray]

# Output pixels that go through a network at once; 64 channels of it in float32 take 256 MiB.
WHOLE = 2**20
# Side of a tile in output pixels, without what it overlaps.
TILE = 512


def forward_in_tiles(
    forward: Forward,
    images: Sequence[np.ndarray],
    *,
    factor: int,
    reach: Callable[[], int | None],
    multiple: int = 1,
) -> np.ndarray:
    """Run a network on an image, in tiles where the image is large.

    A tile overlaps its neighbours by half the receptive field, and of its result only the part
    is kept that no edge but the image's own has touched.

    Args:
        forward: The network.
        images: Its inputs, `[h, w, C]` each; the sides of all are multiples of the first one's.
        factor: Of the size of the output over the first input.
        reach: Gives how many pixels of the first input an output pixel looks at to each side of
            its own; None for all of them.
        multiple: What the sides of the first input must divide by.

    Returns:
        `[h * factor, w * factor, C]` float32.
    """
    shape = images[0].shape
    sizes = [image.shape[0] // shape[0] for image in images]
    images = [_fill(image, multiple * size) for image, size in zip(images, sizes, strict=True)]
    height, width = images[0].shape[:2]
    out_shape = (shape[0] * factor, shape[1] * factor)
    overlap = reach() if height * width * factor**2 > WHOLE else None
    if overlap is None:
        whole = forward(*(image[None] for image in images))[0]
        return whole[: out_shape[0], : out_shape[1]]
    overlap += -overlap % multiple
    side = max(1, TILE // factor)
    side += -side % multiple
    out: np.ndarray | None = None
    for rows, seen_rows in _spans(height, side, overlap):
        for columns, seen_columns in _spans(width, side, overlap):
            seen = [
                image[None, _scaled(seen_rows, size), _scaled(seen_columns, size)]
                for image, size in zip(images, sizes, strict=True)
            ]
            part = forward(*seen)[0]
            if out is None:
                out = np.empty((height * factor, width * factor, part.shape[2]), part.dtype)
            kept = (
                _scaled(rows, factor, seen_rows.start),
                _scaled(columns, factor, seen_columns.start),
            )
            out[_scaled(rows, factor), _scaled(columns, factor)] = part[kept]
    assert out is not None
    return out[: out_shape[0], : out_shape[1]]


def _fill(image: np.ndarray, multiple: int) -> np.ndarray:
    """Mirrored at its lower and right edge until both sides divide by `multiple`."""
    missing = [-side % multiple for side in image.shape[:2]]
    if not any(missing):
        return image
    return np.pad(image, [(0, missing[0]), (0, missing[1]), (0, 0)], mode="symmetric")


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
