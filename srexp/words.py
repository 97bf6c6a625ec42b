"""Numbers in sentences."""

from __future__ import annotations

import math


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 image`, `3 images`, `12,000 patches`, `2 items were`.

    Args:
        number: How many.
        noun: Of one.
        plural: Of several, where it is not the noun and an s.
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def beside_bicubic(gain: float, digits: int = 2, spread: float | None = None) -> str:
    """A gain: `+1.25 dB over bicubic`, `9.74 dB below bicubic`.

    Args:
        gain: In dB; NaN for none.
        digits: Decimals.
        spread: What stands after a ±, in dB.
    """
    if math.isnan(gain):
        return "no gain over bicubic"
    shown = round(gain, digits)
    about = "" if spread is None else f" ± {spread:.{digits}f}"
    if shown < 0:
        return f"{-shown:.{digits}f}{about} dB below bicubic"
    return f"{abs(shown):+.{digits}f}{about} dB over bicubic"
