"""The usual table of papers: methods as rows, image sets times scales as columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from srexp.comparison.results import TaskKey
from srexp.comparison.tables import MethodRow, TaskTable
from srexp.comparison.tasks import options_of
from srexp.evaluation.numbers import NONE, number
from srexp.pages.table import Cell, CellPart, Table
from srexp.words import count

Over = Literal["images", "seeds"]
# As papers have them; others come after.
_SETS = ("set5", "set14", "bsd100", "urban100", "manga109")
_DIGITS = {"psnr": 2, "ssim": 4}
# Of more columns the scales go into rows of their own.
_MOST_COLUMNS = 6
_OVER = {
    "images": "±: half the 95 % interval, over images, of the mean gain over bicubic",
    "seeds": "±: half the 95 % interval over seeds (Student's t)",
}


def standard_tables(tables: Sequence[TaskTable], over: Over | None = None) -> list[Table]:
    """Tables to be printed in a paper; one for each protocol and degradation.

    Numbers stand in one column only if they are of one digest: a task is a column.

    The best of a column is set in bold, the second underlined, once rounded, PSNR and SSIM each.

    Args:
        tables: Of each task, with the methods that were scored on it.
        over: What ± is taken over; None for means alone.
    """
    return [_table(group, over) for group in _groups(tables)]


def _groups(tables: Sequence[TaskTable]) -> list[list[TaskTable]]:
    """What may stand side by side: one protocol with the same settings, one degradation."""
    groups: list[list[TaskTable]] = []
    for table in sorted(tables, key=_place):
        for group in groups:
            if _fits(table, group):
                group.append(table)
                break
        else:
            groups.append([table])
    return groups


def _place(table: TaskTable) -> tuple[int, int]:
    images = table.task.images
    return _SETS.index(images) if images in _SETS else len(_SETS), table.task.scale


def _fits(table: TaskTable, group: Sequence[TaskTable]) -> bool:
    task, settings = table.task, _settings(table)
    for other in group:
        known, theirs = other.task, _settings(other)
        if (task.images, task.scale) == (known.images, known.scale):
            return False
        if (task.protocol, degradation(task)) != (known.protocol, degradation(known)):
            return False
        if any(settings[key] != theirs[key] for key in settings.keys() & theirs.keys()):
            return False
    return True


def _settings(table: TaskTable) -> dict[str, Any]:
    """Of protocol and degradation but the scale, as far as they are noted."""
    method = next((row.method for row in table.rows if row.method is not None), None)
    if method is None:
        return {}
    results = method.files or method.replicates[0]
    options = options_of(results, results.evaluations[table.task])
    return {key: value for key, value in options.items() if key != "degradation.scale"}


def degradation(task: TaskKey) -> str:
    """In words, without the scale: `matlab bicubic`."""
    return task.degradation.removeprefix(f"x{task.scale} ")


def _table(tables: Sequence[TaskTable], over: Over | None) -> Table:
    sets = list(dict.fromkeys(table.task.images for table in tables))
    scales = sorted({table.task.scale for table in tables})
    at = {(table.task.images, table.task.scale): table for table in tables}
    names = dict.fromkeys(row.name for table in tables for row in table.rows)
    cells = {place: _column(table, over) for place, table in at.items()}
    caption, notes = _words(tables, sets, scales, over)
    if len(scales) > 1 and len(tables) > _MOST_COLUMNS:
        rows: list[list[Cell]] = []
        rules = []
        for scale in scales:
            rules.append(len(rows))
            here = [cells.get((name, scale), {}) for name in sets]
            rows += [
                [name, f"x{scale}", *(column.get(name, NONE) for column in here)]
                for name in names
                if any(name in column for column in here)
            ]
        head = ["method", "scale", *sets]
        return Table(head, rows, 2, rules=rules[1:], caption=caption, notes=notes)
    places = [(name, scale) for name in sets for scale in scales if (name, scale) in at]
    rows = [[name, *(cells[place].get(name, NONE) for place in places)] for name in names]
    counts = [(name, sum(place[0] == name for place in places)) for name in sets]
    head = ["method", *(f"x{scale}" for _, scale in places)]
    return Table(head, rows, groups=[("", 1), *counts], caption=caption, notes=notes)


def flat_table(tables: Sequence[TaskTable], over: Over | None = None) -> Table:
    """The same numbers for a spreadsheet: one table, each number in a column of its own."""
    groups = _groups(tables)
    columns: dict[str, None] = {}
    rows: list[dict[str, str]] = []
    for group in groups:
        found: dict[str, dict[str, str]] = {}
        for table in group:
            for row in table.rows:
                cells = found.setdefault(row.name, {})
                for metric, digits in _DIGITS.items():
                    name = f"{table.task.images} x{table.task.scale} {metric.upper()}"
                    cells[name] = number(getattr(row, metric), digits)
                    columns[name] = None
                    if over is not None:
                        cells[f"{name} ±"] = _half(row, metric, over)
                        columns[f"{name} ±"] = None
        task = group[0].task
        about = {"protocol": task.protocol, "degradation": degradation(task)}
        rows += [{**about, "method": name, **cells} for name, cells in found.items()]
    head = ["protocol", "degradation", "method", *columns]
    return Table(head, [[row.get(name, "") for name in head] for row in rows], 3)


def _column(table: TaskTable, over: Over | None) -> dict[str, Cell]:
    """Name of a method -> its cell."""
    texts = {
        metric: [number(getattr(row, metric), digits) for row in table.rows]
        for metric, digits in _DIGITS.items()
    }
    ranks = {
        metric: sorted({float(text) for text in found if text != NONE}, reverse=True)[:2]
        for metric, found in texts.items()
    }

    def part(metric: str, index: int) -> CellPart:
        text, best = texts[metric][index], ranks[metric]
        place = best.index(float(text)) if text != NONE and float(text) in best else 2
        half = _half(table.rows[index], metric, over)
        return CellPart(f"{text} ± {half}" if half else text, ("best", "second", "")[place])  # type: ignore[arg-type]

    return {
        row.name: (part("psnr", index), CellPart("/"), part("ssim", index))
        for index, row in enumerate(table.rows)
    }


def _half(row: MethodRow, metric: str, over: Over | None) -> str:
    value = row.halves.get(over, (math.nan, math.nan))[metric == "ssim"] if over else math.nan
    return "" if math.isnan(value) else number(value, _DIGITS[metric])


def _words(
    tables: Sequence[TaskTable], sets: Sequence[str], scales: Sequence[int], over: Over | None
) -> tuple[str, list[str]]:
    """What it shows, and what a reader must know."""
    first = tables[0].task
    listed = ", ".join(f"x{scale}" for scale in scales)
    caption = (
        f"Mean PSNR in dB / SSIM on {', '.join(sets)}, {listed} ({degradation(first)}, protocol "
        f"{first.protocol}). Best in bold, second best underlined."
    )
    if over is not None:
        caption += f" {_OVER[over]}."
    notes = [
        f"{table.task.images} x{table.task.scale}: {count(len(table.images), 'image')} "
        f"[{table.task.digest}]"
        + (f", without {', '.join(table.left_out)} (PSNR infinite)" if table.left_out else "")
        for table in tables
    ]
    seeds = {row.name: len(row.method.seeds) for table in tables for row in table.rows
             if row.method is not None and row.method.seeds}  # fmt: skip
    if max(seeds.values(), default=1) > 1:
        same = len(set(seeds.values())) == 1
        counts = ", ".join(f"{name}: {count}" for name, count in seeds.items())
        notes.append(f"means over seeds ({next(iter(seeds.values())) if same else counts})")
    return caption, notes
