"""Leaderboards as tables for people, and as CSV and JSON for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from srexp.comparison.leaderboard import Board, RankedRun
from srexp.comparison.results import is_special, weights_kind
from srexp.comparison.tasks import VALIDATION
from srexp.evaluation.cost import HEIGHT, WIDTH
from srexp.evaluation.document import strict_json
from srexp.evaluation.numbers import NONE, csv_values, number
from srexp.evaluation.statistics import CONFIDENCE, Interval
from srexp.pages.table import Table
from srexp.words import count

_FORMAT = 1
# Bicubic of one digest is one number, to the fourth decimal at least.
_SAME_DB = 5e-5


_CSV_COLUMNS = (
    "set", "scale", "degradation", "protocol", "digest", "images", "run", "title", "method",
    "weights", "gain", "low", "high", "psnr", "ssim", "psnr_bicubic", "ssim_bicubic", "parameters",
    "multiply_adds", "ms_per_megapixel", "device", "minutes",
)  # fmt: skip


def to_csv(boards: Sequence[Board], limit: int) -> str:
    """One line a run and task, with all digits; each says what its numbers belong to."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for board in boards:
        about = {**vars(board.task), "set": board.task.images, "images": _counted(board)}
        for row in _top(board, limit):
            writer.writerow(csv_values({**about, **_values(row)}))
    return text.getvalue()


def to_json(boards: Sequence[Board], remarks: Sequence[str], limit: int) -> str:
    """All of it, strictly JSON: a number that is none is null."""
    data = {
        "format": _FORMAT,
        "confidence": CONFIDENCE,
        "boards": [
            {
                **{**vars(board.task), "set": board.task.images, "images": _counted(board)},
                "left_out": list(board.left_out),
                "runs": len(board.rows),
                "rows": [_values(row) for row in _top(board, limit)],
                "notes": notes(board, limit),
            }
            for board in boards
        ],
        "remarks": list(remarks),
    }
    return json.dumps(strict_json(data), allow_nan=False) + "\n"


def notes(board: Board, limit: int) -> list[str]:
    """What a reader must know to read the table right."""
    n, shown, lines = _counted(board), _top(board, limit), []
    if len(shown) < len(board.rows):
        lines.append(f"{len(shown)} of {count(len(board.rows), 'run')} (--limit)")
    if board.task.images == VALIDATION:
        lines.append("these images chose the weights: their scores flatter")
    if board.left_out:
        lines.append(
            f"left out for every run, identical to HR for one (PSNR infinite): "
            f"{len(board.left_out)} of {count(board.images, 'image')}: {', '.join(board.left_out)}"
        )
    lines.append(
        f"[low, high]: 95 % interval of the mean over n = {n} images (Student's t)"
        if n > 1
        else f"n = {n}: no interval"
    )
    bicubic = [row.summary.psnr_bicubic for row in board.rows]
    if (apart := max(bicubic) - min(bicubic)) > _SAME_DB:
        lines.append(
            f"bicubic itself differs between these runs, by up to {apart:.4f} dB: they were scored "
            "by different versions; score them again"
        )
    lines.append(f"mult-adds: for an SR image of {WIDTH}x{HEIGHT}; min: minutes of training")
    kinds: dict[str, list[str]] = {}
    for row in shown:
        kinds.setdefault(weights_kind(row.summary.weights), []).append(row.run)
    if len(kinds) > 1 or any(is_special(kind) for kind in kinds):
        counted = (f"{kind}: {len(runs)}" for kind, runs in kinds.items() if kind)
        lines.append(f"weights (runs): {'; '.join(counted)}; the CSV says which is which")
    devices = sorted({row.summary.timing.device for row in shown if row.summary.timing})
    if devices:
        also = "; not one device, so do not rank by it" if len(devices) > 1 else ""
        lines.append(f"ms/MP: per megapixel of output, on {'; '.join(devices)}{also}")
    return lines


def amount(value: float) -> str:
    """Three digits and a unit: 48.0K, 1.37M, 44.1G."""
    if math.isnan(value):
        return NONE
    for unit in ("", "K", "M", "G"):
        if value < 999.5:
            digits = 0 if unit == "" else max(0, 2 - int(math.log10(max(value, 1.0))))
            return f"{value:.{digits}f}{unit}"
        value /= 1000
    return f"{value:.3g}T"


def make_table(board: Board, limit: int) -> Table:
    """The table of a board: its first `limit` rows, 0 for all, and bicubic."""
    rows = _top(board, limit)
    titled = any(row.title for row in board.rows)
    several = len({row.summary.method for row in board.rows}) > 1
    words = ["run", *(["title"] if titled else []), *(["method"] if several else [])]
    header = [*words, "gain dB", "PSNR", "SSIM", "params", "mult-adds", "ms/MP", "min"]
    first = board.rows[0].summary
    bicubic = ["bicubic", *[""] * (len(words) - 1), NONE]
    bicubic += [number(first.psnr_bicubic, 2), number(first.ssim_bicubic, 4), *[NONE] * 4]
    cells = [
        [
            row.run,
            *([row.title] if titled else []),
            *([row.summary.method] if several else []),
            _interval(row.summary.gain),
            number(row.summary.psnr, 2),
            number(row.summary.ssim, 4),
            amount(row.parameters),
            amount(row.multiply_adds),
            NONE if math.isnan(row.ms_per_megapixel) else f"{row.ms_per_megapixel:.3g}",
            number(row.minutes, 1),
        ]
        for row in rows
    ]
    spare = [header.index(name) for name in ("min", "ms/MP", "SSIM", "mult-adds")]
    return Table(
        header,
        [*cells, bicubic],
        len(words),
        spare=[*spare, *range(1, len(words))],
        caption=board.label,
        notes=notes(board, limit),
    )


def _top(board: Board, limit: int) -> list[RankedRun]:
    return board.rows[:limit] if limit else board.rows


def _counted(board: Board) -> int:
    return board.images - len(board.left_out)


def _interval(gain: Interval) -> str:
    mean, low, high = (number(value, 3, "+") for value in (gain.mean, gain.low, gain.high))
    return mean if gain.n < 2 else f"{mean} [{low}, {high}]"


def _values(row: RankedRun) -> dict[str, Any]:
    summary = row.summary
    return {
        "run": row.run,
        "title": row.title,
        "method": summary.method,
        "weights": summary.weights,
        "gain": summary.gain.mean,
        "low": summary.gain.low,
        "high": summary.gain.high,
        "psnr": summary.psnr,
        "ssim": summary.ssim,
        "psnr_bicubic": summary.psnr_bicubic,
        "ssim_bicubic": summary.ssim_bicubic,
        "parameters": row.parameters,
        "multiply_adds": row.multiply_adds,
        "ms_per_megapixel": row.ms_per_megapixel,
        "device": summary.timing.device if summary.timing else None,
        "minutes": row.minutes,
    }
