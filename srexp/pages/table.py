"""A table as a value, and a writer for each format."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from srexp.pages.page import render

if TYPE_CHECKING:
    from rich.table import Table as RichTable
    from rich.text import Text

_FOLDED = 4  # the least that a folded column needs
# Characters of a row that a column of an `article` in two columns has room for.
_NARROW = 50


@dataclass(frozen=True)
class CellPart:
    """A piece of a cell: its text, and whether it is the best or the second best of its column."""

    text: str
    mark: Literal["", "best", "second"] = ""


Cell = str | tuple[CellPart, ...]


def parts(cell: Cell) -> tuple[CellPart, ...]:
    """A cell as pieces."""
    return (CellPart(cell),) if isinstance(cell, str) else cell


def plain(cell: Cell) -> str:
    """A cell without its marks."""
    return "".join(part.text for part in parts(cell))


@dataclass(frozen=True)
class Table:
    """Text in rows and columns.

    Attributes:
        head: Of each column.
        rows: As many cells each.
        words: How many columns, the first ones, hold words; the others hold numbers.
        firm: How many of those are not broken within a word on a terminal, if there is room.
        spare: Columns that a narrow terminal goes without, this one first.
        groups: What stands over neighbouring columns, and over how many; none, or one for all.
        rules: Rows that a rule stands above.
        best: Which row is set in bold in a page; None for none.
        caption: What it shows.
        notes: What a reader must know to read it right.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: int = 1
    firm: int = 1
    spare: Sequence[int] = ()
    groups: Sequence[tuple[str, int]] = ()
    rules: Sequence[int] = ()
    best: int | None = None
    caption: str = ""
    notes: Sequence[str] = ()

    @property
    def heads(self) -> list[str]:
        """Of each column in one line: `set5 x2`."""
        over = [title for title, count in self.groups for _ in range(count)] or [""] * len(
            self.head
        )
        return [" ".join(filter(None, both)) for both in zip(over, self.head, strict=True)]


# For a terminal.


def to_text(table: Table) -> list[str]:
    """Aligned lines, the header first, as wide as they must be; of thousands of rows at once."""
    from rich.cells import cell_len

    rows = [table.heads, *([plain(cell) for cell in row] for row in table.rows)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]

    def line(row: list[str]) -> str:
        cells = []
        for column, (text, width) in enumerate(zip(row, widths, strict=True)):
            room = " " * (width - cell_len(text))
            cells.append(text + room if column < table.words else room + text)
        return "  ".join(cells).rstrip()

    return [line(row) for row in rows]


def to_rich(table: Table, width: int) -> RichTable:
    """The same for a terminal that is too narrow for it: words are folded, no number is broken."""
    table = _spared(table, width)
    return _rich(table, _widths(table, width), box=False)


def to_rich_box(table: Table) -> RichTable:
    """In a frame, with the marks of its cells, and its caption above."""
    return _rich(table, [None] * len(table.head), box=True)


def _rich(table: Table, widths: Sequence[int | None], *, box: bool) -> RichTable:
    from rich.box import HEAVY_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(
        box=HEAVY_HEAD if box else None,
        pad_edge=box,
        padding=(0, 1) if box else (0, 1, 0, 0),
        title=Text(table.caption) if box and table.caption else None,
        title_justify="left",
    )
    for column, (name, room) in enumerate(zip(table.heads, widths, strict=True)):
        justify = "left" if column < table.words else "right"
        drawn.add_column(Text(name), justify=justify, overflow="fold", width=room)  # type: ignore[arg-type]
    for index, row in enumerate(table.rows):
        drawn.add_row(*map(_rich_cell, row), end_section=index + 1 in table.rules)
    return drawn


def _rich_cell(cell: Cell) -> Text:
    from rich.text import Text

    styles = {"": "", "best": "bold", "second": "underline"}
    return Text.assemble(*((part.text, styles[part.mark]) for part in parts(cell)))


def _spared(table: Table, width: int) -> Table:
    """Without as many spare columns as a terminal has no room for."""
    left_out: set[int] = set()
    columns = list(zip(table.heads, *(map(plain, row) for row in table.rows), strict=True))
    words = [max(map(_longest_word, cells)) for cells in columns]
    for column in (None, *table.spare):
        left_out |= set() if column is None else {column}
        kept = [i for i in range(len(columns)) if i not in left_out]
        if sum(words[i] for i in kept) + len(kept) - 1 <= width:
            break
    return Table(
        [table.heads[i] for i in kept],
        [[row[i] for i in kept] for row in table.rows],
        sum(i < table.words for i in kept),
        sum(i < table.firm for i in kept),
    )


def _widths(table: Table, width: int) -> list[int]:
    """Of the columns: the widest ones give way, down to their longest word if it matters."""
    columns = list(zip(table.heads, *(map(plain, row) for row in table.rows), strict=True))
    widths = [max(map(len, cells)) for cells in columns]
    words = [max(map(_longest_word, cells)) for cells in columns]
    numbers = range(table.words, len(columns))
    available = width - len(columns) + 1
    for firm in ({*range(table.firm), *numbers}, {*numbers}):
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


def _longest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)


# Markdown.


def to_markdown(table: Table) -> str:
    """As GitHub and MLflow read it, with its caption and notes; ends in an empty line."""
    sides = ["---" if i < table.words else "---:" for i in range(len(table.head))]
    lines = [f"**{escape_markdown(table.caption)}**", ""] if table.caption else []
    lines += [
        f"| {' | '.join(map(escape_markdown, table.heads))} |",
        f"| {' | '.join(sides)} |",
        *(f"| {' | '.join(map(_markdown_cell, row))} |" for row in table.rows),
    ]
    return "\n".join([*lines, *([""] if table.notes else []), *markdown_lines(table.notes), ""])


def markdown_lines(lines: Sequence[str]) -> list[str]:
    """Each on a line of its own."""
    return [f"{escape_markdown(line)}  " for line in lines]


def _markdown_cell(cell: Cell) -> str:
    around = {"": ("", ""), "best": ("**", "**"), "second": ("<ins>", "</ins>")}
    return "".join(escape_markdown(part.text).join(around[part.mark]) for part in parts(cell))


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    # Within a word `_` says nothing; `[` says something before `(` alone.
    special = r"([\\`*|<>~$&]|(?<!\w)_|_(?!\w)|\](?=[(\[])|^[#+-](?=\s))"
    return re.sub(special, r"\\\1", " ".join(text.split()))


# LaTeX.

# Letters that pdflatex has as they are, beside ASCII and what is made of it with an accent.
_LETTERS = "ßæœøåÆŒØÅłŁ"
_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c"
_LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "±": r"$\pm$", "×": r"$\times$", "−": "$-$", "…": r"\ldots{}", "–": "--", "—": "---",
    "µ": r"$\mu$", "°": r"$^\circ$", **{c: f"\\{c}" for c in "&%$#_{}"},
}  # fmt: skip


def latex_document(tables: Sequence[Table], comments: Sequence[str] = ()) -> str:
    """Floats for the packages booktabs and graphicx, in an article of one or two columns.

    A table that is too wide is made smaller to fit, one that would be too wide for one of two
    columns spans both. Notes stand in comments.
    """
    lines = ["% needs \\usepackage{booktabs,graphicx}", *(f"% {line}" for line in comments)]
    return "\n".join([*lines, *(f"\n{to_latex(table)}" for table in tables)]) + "\n"


def to_latex(table: Table) -> str:
    """A float: see `latex_document`."""
    columns = "l" * table.words + "r" * (len(table.head) - table.words)
    if table.groups:
        columns = "l" * table.words + "c" * (len(table.head) - table.words)
    body = [" & ".join(map(_latex_cell, row)) + r" \\" for row in table.rows]
    for row in sorted(table.rules, reverse=True):
        body.insert(row, r"\midrule")
    widest = max(sum(len(plain(cell)) + 2 for cell in row) for row in (table.heads, *table.rows))
    kind = "table" if widest <= _NARROW else "table*"
    caption = [f"\\caption{{{escape_latex(table.caption)}}}", r"\medskip"] if table.caption else []
    return "\n".join([
        *(f"% {' '.join(note.split())}" for note in table.notes),
        f"\\begin{{{kind}}}[tbp]",
        r"\centering",
        *caption,
        r"\small",
        f"\\sbox0{{\\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *_latex_head(table),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}%",
        r"\ifdim\wd0>\linewidth \resizebox{\linewidth}{!}{\usebox0}\else \usebox0\fi",
        f"\\end{{{kind}}}",
    ])  # fmt: skip


def _latex_head(table: Table) -> list[str]:
    lines = []
    if table.groups:
        cells, rules, column = [], [], 1
        for title, count in table.groups:
            one = count == 1 and not title
            cells.append("" if one else f"\\multicolumn{{{count}}}{{c}}{{{escape_latex(title)}}}")
            if title:
                rules.append(f"\\cmidrule(lr){{{column}-{column + count - 1}}}")
            column += count
        lines = [" & ".join(cells) + r" \\", "".join(rules)]
    return [*lines, " & ".join(map(escape_latex, table.head)) + r" \\"]


def _latex_cell(cell: Cell) -> str:
    around = {"": "{}", "best": r"\textbf{{{}}}", "second": r"\underline{{{}}}"}
    return "".join(around[part.mark].format(escape_latex(part.text)) for part in parts(cell))


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it is; what pdflatex has no letter for, the others print."""
    text = "".join(map(_latex_character, unicodedata.normalize("NFC", " ".join(text.split()))))
    # A hyphen is no minus sign; -0.1 and 1.0e-05 are numbers.
    return re.sub(r"(?<![\w.:/-])([+-]\d[\d.]*)(?![\w-])", r"$\1$", text)


def _latex_character(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    base, *accents = list(unicodedata.normalize("NFD", character))
    known = base.isascii() and base.isprintable() and all(a in _ACCENTS for a in accents)
    if (known and len(accents) <= 1) or character in _LETTERS:
        return character
    return f"\\ifdefined\\Umathchar {character}\\else ?\\fi{{}}" if base.isprintable() else " "


# CSV and HTML.


def to_csv(table: Table) -> str:
    """What stands in the cells, without marks."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([table.heads, *([plain(cell) for cell in row] for row in table.rows)])
    return text.getvalue()


def to_html(title: str, tables: Sequence[Table], remarks: Sequence[str] = ()) -> str:
    """A page of tables. All text is escaped."""
    return render(
        Path(__file__).parent, "tables.html.jinja", title=title, tables=tables, remarks=remarks
    )


def fragment(*tables: Table, remarks: Sequence[str] = ()) -> str:
    """Tables as a piece of a page, such as a cell of a notebook. All text is escaped."""
    return render(
        Path(__file__).parent, "fragment.html.jinja", tables=tables, remarks=list(remarks)
    )


# What `--format` may be where tables are for people, and who writes it.
DOCUMENTS: dict[str, Callable[[str, Sequence[Table], Sequence[str]], str]] = {
    "markdown": lambda title, tables, remarks: (
        "\n".join(
            [*map(to_markdown, tables), *markdown_lines([f"note: {r}" for r in remarks])]
        ).rstrip()
        + "\n"
    ),
    "latex": lambda title, tables, remarks: latex_document(
        tables, [f"note: {remark}" for remark in remarks]
    ),
    "html": to_html,
}
