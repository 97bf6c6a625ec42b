"""What a picture file holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Frame:
    """One picture, or one of an animation.

    Attributes:
        colour: `[H, W, 1 or 3]`, uint8, or float32 in [0, 1] where the file has more than 8 bits.
        alpha: `[H, W, 1]` of the same type, not multiplied into the colour; None where all of it is
            opaque.
        milliseconds: How long it is shown, in an animation.
    """

    colour: np.ndarray
    alpha: np.ndarray | None = None
    milliseconds: float = 0


@dataclass(frozen=True)
class Beside:
    """What a file holds beside its pixels.

    Attributes:
        exif: As `Image.getexif().tobytes()`: upright, without a thumbnail. Empty for none.
        profile: Of its colours (ICC). Empty for none: sRGB.
        dpi: Dots per inch, across and down; None where it does not say.
        loops: How often an animation is shown, 0 for without end; None where it does not say.
    """

    exif: bytes = b""
    profile: bytes = b""
    dpi: tuple[float, float] | None = None
    loops: int | None = None


@dataclass(frozen=True)
class Picture:
    """A picture file that is open.

    Attributes:
        format: As Pillow calls it: `PNG`, `JPEG`, `WEBP`, `TIFF`, `BMP`, `GIF` or `AVIF`.
        width: Pixels, upright.
        height: Likewise.
        bits: A channel, 8 or more.
        count: Of frames.
        frames: Read them, one after the other; each is upright and as large as all others.
        beside: What else is in the file.
        remarks: What a person should know of how it is read.
    """

    format: str
    width: int
    height: int
    bits: int
    count: int
    frames: Callable[[], Iterator[Frame]]
    beside: Beside = Beside()
    remarks: list[str] = field(default_factory=list)

    @property
    def deep(self) -> bool:
        """More than 8 bits a channel."""
        return self.bits > 8
