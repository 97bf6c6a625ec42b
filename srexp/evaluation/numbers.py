"""Numbers as tables show them."""

from __future__ import annotations

import math
from typing import Any

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


def csv_values(values: dict[str, Any]) -> dict[str, Any]:
    """A line of a CSV file: all digits, nothing for NaN, lists with blanks, `true` and `false`."""
    return {key: _csv_value(value) for key, value in values.items()}


def _csv_value(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return value
