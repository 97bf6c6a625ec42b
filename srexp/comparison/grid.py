"""Tables of text, for a terminal and as Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

_FOLDED = 4  # the least that a folded column needs


@dataclass(frozen=True)
class Grid:
    """Attributes:
    header: Names of the columns.
    rows: Their cells.
    words: How many columns, the first ones, hold words; the others hold numbers.
    firm: How many of those are not broken within a word, if there is room.
    """

    header: list[str]
    rows: list[list[str]]
    words: int
    firm: int = 1


def to_text(grid: Grid) -> list[str]:
    """Aligned lines, the header first, as wide as they must be; of thousands of rows at once."""
    from rich.cells import cell_len

    rows = [grid.header, *grid.rows]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]

    def line(row: list[str]) -> str:
        cells = []
        for column, (text, width) in enumerate(zip(row, widths, strict=True)):
            room = " " * (width - cell_len(text))
            cells.append(text + room if column < grid.words else room + text)
        return "  ".join(cells).rstrip()

    return [line(row) for row in rows]


def to_rich(grid: Grid, width: int) -> Table:
    """The same for a terminal that is too narrow for it: words are folded, no number is broken."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for column, (name, room) in enumerate(zip(grid.header, _widths(grid, width), strict=True)):
        justify = "left" if column < grid.words else "right"
        drawn.add_column(Text(name), justify=justify, overflow="fold", width=room)  # type: ignore[arg-type]
    for row in grid.rows:
        drawn.add_row(*map(Text, row))
    return drawn


def _widths(grid: Grid, width: int) -> list[int]:
    """Of the columns: the widest ones give way, down to their longest word if it matters."""
    columns = list(zip(grid.header, *grid.rows, strict=True))
    widths = [max(map(len, cells)) for cells in columns]
    words = [max(len(word) for cell in cells for word in (*cell.split(), "")) for cells in columns]
    numbers = range(grid.words, len(columns))
    available = width - len(columns) + 1
    for firm in ({*range(grid.firm), *numbers}, {*numbers}):
        least = [words[i] if i in firm else _FOLDED for i in range(len(columns))]
        if sum(least) <= available:
            break
    while sum(widths) > available:
        spare = [have - needed for have, needed in zip(widths, least, strict=True)]
        if max(spare) <= 0:
            break
        widest = max((i for i in range(len(columns)) if spare[i] > 0), key=lambda i: widths[i])
        widths[widest] -= 1
    return widths


def to_markdown(grid: Grid) -> list[str]:
    """Lines as GitHub reads them."""
    sides = ["---" if i < grid.words else "---:" for i in range(len(grid.header))]
    return [
        f"| {' | '.join(map(escape_markdown, grid.header))} |",
        f"| {' | '.join(sides)} |",
        *(f"| {' | '.join(map(escape_markdown, row))} |" for row in grid.rows),
    ]


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*|<>])", r"\\\1", text)
