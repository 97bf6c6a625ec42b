"""Numbers as tables show them."""

from __future__ import annotations

import math

NONE = "-"


def number(value: float, digits: int, sign: str = "") -> str:
    """A cell of a table.

    Args:
        value: Any; NaN where there is none.
        digits: Decimals.
        sign: `+` to say that of positive ones too.

    Returns:
        `33.66`; `inf` where it is infinite, `-` where there is none.
    """
    return NONE if math.isnan(value) else f"{value:{sign}.{digits}f}"
