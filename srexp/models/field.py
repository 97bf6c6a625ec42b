"""What a network looks at: found by asking it, so that no model has to state it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from srexp.models.tiles import Forward

# Lengths of the strips that are tried. A field that fits in none is taken for the whole image.
_LENGTHS = (256, 2048)


@dataclass(frozen=True)
class Field:
    """What one output pixel depends on, in pixels of the network's first input.

    Attributes:
        size: Side of the square of input pixels.
        reach: How many pixels it looks at most to each side of its own.
    """

    size: int
    reach: int


def receptive_field(
    forward: Forward, *, channels: int, factors: Sequence[int], factor: int, multiple: int = 1
) -> Field | None:
    """The receptive field of a network, the larger of the two axes.

    A strip is NaN at one pixel, and whatever depends on that pixel comes out as NaN: in every
    layer, whatever its weights, since 0 times NaN is NaN.

    Args:
        forward: `[N, h, w, C]` for each input -> `[N, h * factor, w * factor, C]`, layer by layer.
        channels: C.
        factors: The size of each input over the first one's.
        factor: The size of the output over the first input's.
        multiple: What the sides of the first input must divide by.

    Returns:
        The field, or None where a layer looks at the whole image (or nearly).
    """
    fields = [
        _along(axis, forward, channels, factors, factor, multiple) for axis in ("rows", "columns")
    ]
    if any(found is None for found in fields):
        return None
    return max((found for found in fields if found is not None), key=lambda found: found.reach)


def _along(
    axis: str, forward: Forward, channels: int, factors: Sequence[int], factor: int, multiple: int
) -> Field | None:
    for length in _LENGTHS:
        length -= length % multiple
        middle = length // 2 - length // 2 % multiple
        reached = []
        for pixel in range(middle, middle + multiple):  # what a pixel reaches may depend on where
            strips = []
            for size in factors:
                strip = np.zeros((1, multiple * size, length * size, channels), np.float32)
                strip[:, :, pixel * size : (pixel + 1) * size] = np.nan
                strips.append(strip if axis == "columns" else strip.swapaxes(1, 2))
            out = np.isnan(forward(*strips)[0]).any(axis=-1)
            reached.append(np.flatnonzero(out.any(axis=0 if axis == "columns" else 1)))
        ends = min(span[0] for span in reached), max(span[-1] for span in reached)
        if ends[0] == 0 or ends[1] == length * factor - 1:
            continue  # it may go on beyond the strip
        offsets = [
            (span // factor) - pixel for pixel, span in enumerate(reached, middle)
        ]  # of the outputs that look at the pixel
        reach = max(int(np.abs(span).max()) for span in offsets)
        if multiple > 1:
            return Field(2 * reach + 1, reach)
        phases = (reached[0][reached[0] % factor == phase] for phase in range(factor))
        size = max(int(np.ptp(phase)) // factor + 1 for phase in phases if phase.size)
        return Field(size, reach)
    return None
