"""Ours beside theirs: for the terminal, as CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from srexp.evaluation.alternatives import Alternative, Explanation
from srexp.evaluation.numbers import number
from srexp.evaluation.published import Measured
from srexp.pages.table import escape_markdown
from srexp.words import count

_FORMAT = 1


def verdict(measured: Measured) -> str:
    """`pass`, or what misses: `miss (PSNR)`, `miss (both)`."""
    psnr, ssim = measured.row.psnr_fits(measured.psnr), measured.row.ssim_fits(measured.ssim)
    if psnr and ssim:
        return "pass"
    return f"miss ({'SSIM' if psnr else 'PSNR' if ssim else 'both'})"


def counts(measured: Sequence[Measured]) -> tuple[int, int]:
    """How many published values ours were compared with, and how many of them miss."""
    values = missed = 0
    for m in measured:
        values += 1 if m.row.ssim is None else 2
        missed += (not m.row.psnr_fits(m.psnr)) + (not m.row.ssim_fits(m.ssim))
    return values, missed


_COLUMNS = (
    "scored on", "method", "PSNR", "published", "off by", "SSIM", "published", "off by", "verdict",
    "digest",
)  # fmt: skip


def _cells(m: Measured) -> list[str]:
    row = m.row
    return [
        f"{row.set} x{row.scale}",
        row.method,
        number(m.psnr, 4),
        f"{row.psnr:.2f}",
        number(m.psnr_difference, 4, "+"),
        number(m.ssim, 4),
        "-" if row.ssim is None else f"{row.ssim:.4f}",
        number(m.ssim_difference, 5, "+"),
        verdict(m),
        m.task.digest,
    ]


def table(title: str, measured: Sequence[Measured]) -> Table:
    """One row a published row; `sources` belongs under it."""
    drawn = Table(title=Text(title), title_justify="left")
    for name in _COLUMNS:
        left = name in ("scored on", "method", "verdict")
        drawn.add_column(
            name, justify="left" if left else "right", no_wrap=name in ("verdict", "digest")
        )
    for m in measured:
        drawn.add_row(*(Text(cell) for cell in _cells(m)))
    return drawn


def sources(measured: Sequence[Measured]) -> list[str]:
    """Where the values stand, and how far ours may be from them."""
    rows: dict[str, list[str]] = {}
    for m in measured:
        ssim = "" if m.row.ssim is None else f" and {m.row.ssim_tolerance:g}"
        words = f"{m.row.source}, {m.row.protocol}; within {m.row.psnr_tolerance:g} dB{ssim}"
        rows.setdefault(words, []).append(f"{m.row.set} x{m.row.scale}")
    return [f"published in {words}: {', '.join(found)}" for words, found in rows.items()]


def to_markdown(title: str, measured: Sequence[Measured], notes: Sequence[str]) -> str:
    """The same table, and what was said below it."""
    cells = [[escape_markdown(cell) for cell in _cells(m)] for m in measured]
    rows = [_COLUMNS, ["---"] * len(_COLUMNS), *cells]
    lines = [f"# {escape_markdown(title)}", "", *(f"| {' | '.join(row)} |" for row in rows)]
    lines += ["", *(f"- {escape_markdown(line)}" for line in (*sources(measured), *notes))]
    return "\n".join(lines).rstrip() + "\n"


def rows_of(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """Plain data, full precision; NaN and infinities as None."""
    return [
        {
            "row": m.key,
            "set": m.row.set,
            "scale": m.row.scale,
            "method": m.row.method,
            "degradation": m.task.degradation.label,
            "protocol": m.task.protocol_name,
            "digest": m.task.digest,
            "images": m.images,
            "infinite": " ".join(m.infinite),
            "psnr": m.psnr if math.isfinite(m.psnr) else None,
            "psnr_published": m.row.psnr,
            "psnr_tolerance": m.row.psnr_tolerance,
            "ssim": m.ssim if math.isfinite(m.ssim) else None,
            "ssim_published": m.row.ssim,
            "ssim_tolerance": m.row.ssim_tolerance,
            "pass": m.passes,
            "paper": m.row.paper,
            "table": m.row.number,
            "protocol_published": m.row.protocol,
            "run": m.run,
            "weights": m.weights,
        }
        for m in measured
    ]


def to_csv(measured: Sequence[Measured]) -> str:
    """One line a published row."""
    text = io.StringIO()
    rows = rows_of(measured)
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_json(name: str, measured: Sequence[Measured], notes: Sequence[str]) -> str:
    """Strict JSON: the table's name, whether all pass, the rows, and what was said below them."""
    content = {
        "format": _FORMAT,
        "table": name,
        "pass": all(m.passes for m in measured),
        "rows": rows_of(measured),
        "notes": list(notes),
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def explanation_lines(found: Explanation, measured: Sequence[Measured]) -> list[str]:
    """What a search for the setting came to, in words."""
    missed = [m for m in measured if not m.passes]
    if found.whole:
        several = len(found.whole) > 1
        change = "any one of these changes, the nearest first," if several else "this change"
        first = f"explained: with {change} every row of bicubic would pass"
        return [first, *(_words(a, missed[0]) for a in found.whole)]
    lines = [
        "not explained: no change of one or two settings (range of Y, antialiasing, rounding, "
        "border, edges, LR in 8 bits, RGB) gives all of the published values"
    ]
    by_key = {m.key: m for m in missed}
    for a in found.partial[:3]:
        would = f"; {len(a.broken)} that pass would miss" if a.broken else ""
        lines.append(
            f"{_words(a, by_key[a.explained[0]])}, and in all gives {len(a.explained)} of the "
            f"{count(len(missed), 'row that misses', 'rows that miss')}{would}"
        )
    if not found.partial:
        lines.append("so look at the published values themselves, and at the images")
    return lines


def _words(alternative: Alternative, example: Measured) -> str:
    name = example.task.protocol_name
    words = " and ".join(setting.words for setting in alternative.settings)
    typed = " ".join(setting.typed(name) for setting in alternative.settings)
    psnr, ssim = alternative.scores[example.key]
    row = f"{example.row.set} x{example.row.scale}"
    return f"{words} ({typed}) gives {row} {psnr:.4f} dB and {ssim:.4f}"
