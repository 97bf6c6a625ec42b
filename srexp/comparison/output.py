"""Comparisons as tables for people, and as CSV and JSON for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from srexp.comparison.methods import BICUBIC
from srexp.comparison.report import Section
from srexp.comparison.results import is_special
from srexp.comparison.tables import EVERY_TWO, MethodRow, Pair, TaskTable
from srexp.comparison.tasks import VALIDATION
from srexp.evaluation.document import strict_json
from srexp.evaluation.numbers import NONE, csv_values, number
from srexp.evaluation.statistics import CONFIDENCE, RESAMPLES, Interval, PairedDifference
from srexp.pages import plots
from srexp.pages.table import Table, to_rich_box, to_text
from srexp.words import count

if TYPE_CHECKING:
    from rich.console import RenderableType

_FORMAT = 1
# All pairs of more methods are no table for a person: then only those with the best are shown.
_MOST_METHODS = 10
_MOST_ROWS = 200
_LEVEL = 0.05
_UNITS = {"psnr": "dB", "ssim": "SSIM"}


def to_rich(tables: Sequence[Table], remarks: Sequence[str]) -> list[RenderableType]:
    """For a terminal."""
    from rich.text import Text

    parts: list[RenderableType] = []
    for table in tables:
        if len(table.rows) > _MOST_ROWS:  # drawing borders would take longer than all the rest
            parts += map(Text, [*filter(None, [table.caption]), *to_text(table)])
        else:
            parts.append(to_rich_box(table))
        if table.notes:
            parts += [*map(Text, table.notes), Text("")]
    return parts + [Text(f"note: {line}") for line in remarks]


def statistics_tables(table: TaskTable) -> list[Table]:
    """A task's methods, and the differences of each two; what must be known stands in the last."""
    tables = [replace(_methods(table), caption=table.label)]
    tables += [_pairs(table)] if table.pairs else []
    return [*tables[:-1], replace(tables[-1], notes=notes(table))]


def to_sections(tables: Sequence[TaskTable]) -> list[Section]:
    """Tables and intervals for a page; pictures are for others to add."""
    return [
        Section(
            table.task.name,
            table.label,
            replace(_methods(table), best=_best(table)),
            pairs=_pairs(table) if table.pairs else None,
            differences=[
                plots.ForestLine(f"{pair.first}\n− {pair.second}", i.mean, i.low, i.high)
                for pair in _shown(table)
                if not math.isnan((i := pair.result.difference).mean)
            ],
            unit=f"difference in {_UNITS[table.metric]}, 95 % interval",
            remarks=notes(table),
        )
        for table in tables
    ]


def _best(table: TaskTable) -> int:
    """The row with the highest mean."""
    values = [getattr(row, table.metric) for row in table.rows]
    return max(range(len(values)), key=lambda i: -math.inf if math.isnan(values[i]) else values[i])


CSV_COLUMNS = (
    "set", "scale", "degradation", "protocol", "digest", "metric", "method", "against", "images",
    "seeds", "psnr", "ssim", "difference", "low", "high", "wins", "ties", "losses", "p", "p_holm",
    "smallest_p", "exact", "seeds_sd", "seeds_low", "seeds_high", "weights", "runs",
)  # fmt: skip


def to_csv(tables: Sequence[TaskTable]) -> str:
    """One line a method against bicubic, then one a pair, with all digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in to_rows(tables):
        writer.writerow(csv_values(row))
    return text.getvalue()


def to_rows(tables: Sequence[TaskTable]) -> list[dict[str, Any]]:
    """One row a method against bicubic, then one a pair, with all digits."""
    return [
        {**_about(table), **values}
        for table in tables
        for values in (*map(_row_values, table.rows), *map(_pair_values, table.pairs))
    ]


def to_json(tables: Sequence[TaskTable], remarks: Sequence[str]) -> str:
    """All of it, strictly JSON: a number that is none is null."""
    data = {
        "format": _FORMAT,
        "confidence": CONFIDENCE,
        "resamples": RESAMPLES,
        "tables": [
            {
                **_about(table),
                "images": list(table.images),
                "left_out": list(table.left_out),
                "smallest_p": table.smallest_p,
                "smallest_p_holm": table.smallest_p_holm,
                "methods": [_row_values(row) for row in table.rows],
                "pairs": [_pair_values(pair) for pair in table.pairs],
                "notes": notes(table),
            }
            for table in tables
        ],
        "remarks": list(remarks),
    }
    # One line: with thousands of pairs, indenting takes longer than everything else.
    return json.dumps(strict_json(data), allow_nan=False) + "\n"


def notes(table: TaskTable) -> list[str]:
    """What a reader must know to read the table right."""
    n, lines = len(table.images), []
    if table.task.images == VALIDATION:
        lines.append("these images chose the weights: their scores flatter")
    if table.left_out:
        lines.append(
            f"left out for every method, identical to HR for one (PSNR infinite): "
            f"{len(table.left_out)} of {count(n + len(table.left_out), 'image')}: "
            f"{', '.join(table.left_out)}"
        )
    lines.append(
        f"[low, high]: 95 % interval of the mean over n = {n} images (Student's t)"
        if n > 1
        else f"n = {n}: no interval"
    )
    if any(row.over_seeds is not None for row in table.rows):
        lines.append(
            "of several seeds, an image's score is its mean over them; sd: of the mean gain from "
            "seed to seed; ±: 95 % interval of its mean over seeds"
        )
    if table.pairs:
        lines += _about_tests(table)
        if any(row.method and len(row.method.seeds) == 1 for row in table.rows):
            lines.append(
                "intervals and p are over images; where a method has one seed, another seed of it "
                "may score otherwise"
            )
    trained = [row for row in table.rows if row.method is not None and row.method.replicates]
    kinds = {row.weights for row in trained}
    if len(kinds) > 1 or any(" / " in kind for kind in kinds):
        listed = "; ".join(f"{row.name}: {row.weights}" for row in trained)
        lines.append(f"weights are not of one kind: {listed}")
    elif any(is_special(kind) for kind in kinds):
        lines.append(f"weights: {kinds.pop()}")
    return lines


def _about_tests(table: TaskTable) -> list[str]:
    n, count = len(table.images), table.tests
    if n == 0:
        return []
    exact = table.pairs[0].result.exact
    way = f"all {2**n:,} sign choices" if exact else f"{RESAMPLES:,} drawn sign choices, seed 0"
    lines = [
        f"p: sign-flip permutation test of the mean difference ({way})"
        + (f"; p Holm: for all {count} pairs together" if count > 1 else "")
    ]
    if table.smallest_p_holm > _LEVEL:
        least = f"no p-value below {p_text(table.smallest_p)} is possible"
        if count > 1:
            least += f", and none below {p_text(table.smallest_p_holm)} after Holm's correction"
        cause = f"n = {n}" + (f" and {count} pairs" if count > 1 else "")
        lines.append(f"{cause}: {least}; a large p says nothing here")
    methods = len(table.rows) - 1
    if methods > EVERY_TWO:
        lines.append(
            f"more than {EVERY_TWO} methods: pairs with the one of the highest mean alone, and p "
            f"Holm is Bonferroni's, for all {count} pairs"
        )
    elif methods > _MOST_METHODS:
        lines.append(
            f"pairs with the method of the highest mean; all {count} with --format csv or json"
        )
    return lines


def p_text(p: float) -> str:
    """Four decimals; smaller ones in powers of ten."""
    if math.isnan(p):
        return NONE
    return f"{p:.4f}" if p >= 0.0001 else f"{p:.1e}"


def _methods(table: TaskTable) -> Table:
    several = any(row.over_seeds is not None for row in table.rows)
    header = ["method", "PSNR", "SSIM", f"gain {_UNITS[table.metric]}", "better on"]
    if several:
        header += ["seeds", "sd", "gain over seeds"]
    rows = []
    for row in table.rows:
        cells = [row.name, number(row.psnr, 2), number(row.ssim, 4)]
        if row.gain is None:
            cells += [NONE, NONE]
        else:
            cells += [
                _interval(row.gain.difference, table),
                f"{row.gain.wins} of {row.gain.difference.n}",
            ]
        if several:
            cells += [
                str(len(row.method.seeds)) if row.method and row.method.seeds else NONE,
                number(row.seed_spread, _digits(table)),
                _plus_minus(row.over_seeds, table),
            ]
        rows.append(cells)
    return Table(header, rows, 1)


def _pairs(table: TaskTable) -> Table:
    several = len(table.pairs) > 1
    header = ["first", "second", f"difference {_UNITS[table.metric]}", "p"]
    header += [*(["p Holm"] if several else []), "wins/ties/losses"]
    rows = []
    for pair in _shown(table):
        result = pair.result
        rows.append(
            [
                pair.first,
                pair.second,
                _interval(result.difference, table),
                p_text(result.p),
                *([p_text(pair.p_holm)] if several else []),
                f"{result.wins}/{result.ties}/{result.losses}",
            ]
        )
    return Table(header, rows, 2)


def _shown(table: TaskTable) -> Sequence[Pair]:
    methods = [row for row in table.rows if row.method is not None and row.gain is not None]
    if len(methods) <= _MOST_METHODS:
        return table.pairs
    best = max(methods, key=lambda row: row.gain.difference.mean if row.gain else -math.inf).name
    return [pair for pair in table.pairs if best in (pair.first, pair.second)]


def _digits(table: TaskTable) -> int:
    return 3 if table.metric == "psnr" else 4


def _interval(interval: Interval, table: TaskTable) -> str:
    mean, low, high = (
        number(value, _digits(table), "+") for value in (interval.mean, interval.low, interval.high)
    )
    return mean if interval.n < 2 else f"{mean} [{low}, {high}]"


def _plus_minus(interval: Interval | None, table: TaskTable) -> str:
    if interval is None:
        return NONE
    half = number(interval.high - interval.mean, _digits(table))
    return f"{number(interval.mean, _digits(table), '+')} ± {half}"


# For programs.


def _about(table: TaskTable) -> dict[str, Any]:
    task = table.task
    return {
        "set": task.images,
        "scale": task.scale,
        "degradation": task.degradation,
        "protocol": task.protocol,
        "digest": task.digest,
        "metric": table.metric,
    }


def _row_values(row: MethodRow) -> dict[str, Any]:
    values: dict[str, Any] = {"method": row.name, "psnr": row.psnr, "ssim": row.ssim}
    if row.method is None or row.gain is None:
        return values
    values |= {"against": BICUBIC, **_difference_values(row.gain)}
    values |= {
        "weights": row.weights,
        "seeds": list(row.method.seeds),
        "runs": [result.run.id for result in row.method.replicates],
        "seeds_sd": row.seed_spread,
    }
    if row.over_seeds is not None:
        values |= {"seeds_low": row.over_seeds.low, "seeds_high": row.over_seeds.high}
    return values


def _pair_values(pair: Pair) -> dict[str, Any]:
    return {
        "method": pair.first,
        "against": pair.second,
        **_difference_values(pair.result),
        "p_holm": pair.p_holm,
    }


def _difference_values(result: PairedDifference) -> dict[str, Any]:
    interval = result.difference
    return {
        "images": interval.n,
        "difference": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "wins": result.wins,
        "ties": result.ties,
        "losses": result.losses,
        "p": result.p,
        "smallest_p": result.smallest_p,
        "exact": result.exact,
    }
