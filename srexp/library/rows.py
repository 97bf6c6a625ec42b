"""Rows of named values: printed as a table, shown in a notebook, handed to pandas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from srexp.pages.table import Table, fragment, to_text

if TYPE_CHECKING:
    import pandas

_DIGITS = {"ssim": 4, "ssim_bicubic": 4}


class Rows(list[dict[str, Any]]):
    """A list of dictionaries with the same keys."""

    def __init__(self, rows: Sequence[dict[str, Any]] = (), words: int = 1) -> None:
        """Args:
        rows: The dictionaries.
        words: How many of the first keys hold words.
        """
        super().__init__(rows)
        self._words = words

    @property
    def table(self) -> Table:
        """As text; numbers rounded as tables of papers have them."""
        head = list(dict.fromkeys(key for row in self for key in row))
        cells = [[_text(key, row.get(key)) for key in head] for row in self]
        return Table(head, cells, self._words)

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame, one row each, all digits."""
        import pandas

        return pandas.DataFrame(list(self))

    def __repr__(self) -> str:
        return "\n".join(to_text(self.table)) if self else "nothing"

    def _repr_html_(self) -> str:
        return fragment(self.table) if self else "<p>nothing</p>"


def _text(key: str, value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.{_DIGITS.get(key, 2)}f}"
    return str(value)
