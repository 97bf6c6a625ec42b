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
    finish: Callable[[np.ndarray], np.ndarray] = lambda part: part,
    whole: int | None = None,
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
        finish: Done to each part of the result, `[H, W, C]` -> `[H, W, C']`; it sees every pixel
            once.
        whole: Pixels of a result that is not taken apart; None for `WHOLE`.

    Returns:
        `[h * factor, w * factor, C']`, of the type that `finish` gives.
    """
    shape = images[0].shape
    sizes = [image.shape[0] // shape[0] for image in images]
    images = [_fill(image, multiple * size) for image, size in zip(images, sizes, strict=True)]
    height, width = images[0].shape[:2]
    out_shape = (shape[0] * factor, shape[1] * factor)
    most = WHOLE if whole is None else whole
    overlap = reach() if height * width * factor**2 > most else None
    if overlap is None:
        result = forward(*(image[None] for image in images))[0]
        return finish(result[: out_shape[0], : out_shape[1]])
    overlap += -overlap % multiple
    side = max(1, TILE // factor)
    side += -side % multiple
    out: np.ndarray | None = None
    for rows, seen_rows in _spans(height, side, overlap):
        for columns, seen_columns in _spans(width, side, overlap):
            inputs = [
                image[None, _scaled(seen_rows, size), _scaled(seen_columns, size)]
                for image, size in zip(images, sizes, strict=True)
            ]
            # What was filled in to divide by `multiple` is dropped.
            into = tuple(
                _scaled(slice(span.start, min(span.stop, side)), factor)
                for span, side in ((rows, shape[0]), (columns, shape[1]))
            )
            if into[0].start >= out_shape[0] or into[1].start >= out_shape[1]:
                continue
            kept = tuple(
                slice(span.start - seen.start * factor, span.stop - seen.start * factor)
                for span, seen in zip(into, (seen_rows, seen_columns), strict=True)
            )
            part = finish(forward(*inputs)[0][kept])
            if out is None:
                out = np.empty((*out_shape, part.shape[2]), part.dtype)
            out[into] = part
    assert out is not None
    return out


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


def _scaled(span: slice, factor: int) -> slice:
    return slice(span.start * factor, span.stop * factor)
