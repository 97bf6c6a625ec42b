"""What a comparison looks like, and what programs get of it."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from srexp.comparison.methods import group
from srexp.comparison.output import notes, p_text, statistics_tables, to_csv, to_json, to_rich
from srexp.comparison.results import read_run
from srexp.comparison.tables import TaskTable, make_table
from srexp.comparison.tasks import common_tasks
from srexp.pages.table import DOCUMENTS
from srexp.tracking.record import RunFolder


def document(kind: str, tables: list[TaskTable], remarks: list[str]) -> str:
    shown = [each for table in tables for each in statistics_tables(table)]
    return DOCUMENTS[kind]("a title", shown, remarks)


def tables_of(*runs: RunFolder) -> list[TaskTable]:
    results = [read_run(run) for run in runs]
    methods, _ = group(results)
    return [make_table(task, methods, "psnr") for task in common_tasks(results)[0]]


@pytest.fixture
def tables(make: Any) -> list[TaskTable]:
    """Two methods, the first with two seeds, on five images."""
    return tables_of(
        make([0.1, 0.2, 0.3, 0.4, 0.5], "act=leaky_relu", "seed=0"),
        make([0.2, 0.2, 0.4, 0.4, 0.6], "act=leaky_relu", "seed=1"),
        make([0.4, 0.6, 0.1, 0.7, 0.9], "act=relu"),
    )


def drawn(tables: list[TaskTable], width: int) -> str:
    from rich.console import Console

    file = io.StringIO()
    console = Console(file=file, width=width, markup=False, highlight=False)
    shown = [each for table in tables for each in statistics_tables(table)]
    for part in to_rich(shown, ["a remark [bold]"]):
        console.print(part)
    return file.getvalue()


def test_a_terminal_shows_it_all(tables: list[TaskTable]) -> None:
    text = drawn(tables, 140)
    assert "set5 (5 images), x2 matlab bicubic, y_paper [" in text
    assert re.search(r"bicubic +│ 32\.00 │ 0\.9000 │ +- │", text)
    assert re.search(r"act=leaky_relu │ 32\.33 │ 0\.9033 │ \+0\.330 \[\+0\.1", text)
    # Seeds' mean gains 0.30 and 0.36: t for one degree of freedom is 12.706.
    assert "5 of 5 │     2 │ 0.042 │  +0.330 ± 0.381" in text
    assert re.search(r"act=leaky_relu │ act=relu │ -0\.210 \[.* │ 0\.1875 │ +1/0/4 │", text)
    assert "no p-value below 0.0625 is possible" in text
    assert "all 32 sign choices" in text
    assert text.endswith("note: a remark [bold]\n")


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_loses_nothing(tables: list[TaskTable], width: int) -> None:
    text = drawn(tables, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text


def test_markdown_is_a_table(tables: list[TaskTable]) -> None:
    lines = document("markdown", tables, ["left | out"]).splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {9, 6}
    assert "| act=relu | 32.54 | 0.9054 | +0.540 [+0.161, +0.919] | 5 of 5 | 1 | - | - |" in rows
    assert lines[-1] == r"note: left \| out"


def test_latex_escapes(tables: list[TaskTable]) -> None:
    text = document("latex", tables, ["100 %"])
    assert r"act=leaky\_relu & 32.33 & 0.9033 & $+0.330$ [" in text
    assert r"$+0.330$ $\pm$ 0.381" in text
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert not any(re.search(r"(?<!\\)[%#_]", line.removesuffix("%")) for line in body)
    for begin, columns in re.findall(r"(\\begin\{tabular\}\{([lr]+)\}.*?\\end)", text, re.DOTALL):
        rows = [line for line in begin.splitlines() if line.endswith(r"\\")]
        assert rows and {line.count(" & ") + 1 for line in rows} == {len(columns)}


def test_csv_has_every_digit(tables: list[TaskTable]) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(tables))))
    assert [(row["method"], row["against"]) for row in rows] == [
        ("bicubic", ""), ("act=leaky_relu", "bicubic"), ("act=relu", "bicubic"),
        ("act=leaky_relu", "act=relu"),
    ]  # fmt: skip
    (table,) = tables
    pair = table.pairs[0]
    assert float(rows[3]["difference"]) == pair.result.difference.mean
    assert float(rows[3]["p"]) == pair.result.p == 0.1875
    assert (rows[1]["seeds"], len(rows[1]["runs"].split())) == ("0 1", 2)
    assert float(rows[1]["seeds_sd"]) == table.rows[1].seed_spread
    assert {row["digest"] for row in rows} == {table.task.digest}


def test_json_is_strict_and_whole(tables: list[TaskTable], make: Any) -> None:
    single = tables_of(make([0.1]))
    for each in (tables, single):
        data = json.loads(to_json(each, ["why"]), parse_constant=lambda name: pytest.fail(name))
        assert data["remarks"] == ["why"]
        assert data["tables"][0]["notes"] == notes(each[0])
    assert data["tables"][0]["methods"][1]["low"] is None
    assert data["tables"][0]["smallest_p_holm"] is None


def test_of_many_methods_the_pairs_with_the_best_are_shown(make: Any) -> None:
    (table,) = tables_of(
        *(make([0.1 * i, 0.2 * i, 0.3], f"model.depth={3 + i}") for i in range(11))
    )
    rows = [
        row for row in document("markdown", [table], []).splitlines() if row.count("depth=") == 2
    ]
    assert len(rows) == 10 and all("depth=13" in row for row in rows)
    assert any("all 55 with --format" in line for line in notes(table))
    assert len(to_csv([table]).splitlines()) == 1 + 12 + 55


def test_what_was_left_out_is_counted_and_named(make: Any) -> None:
    (table,) = tables_of(make([0.1, float("inf"), 0.3]))
    assert "1 of 3 images: image1" in notes(table)[0]
    assert "n = 2 images" in notes(table)[1]


@pytest.mark.parametrize(
    ("p", "text"), [(1.0, "1.0000"), (0.0625, "0.0625"), (0.0001, "0.0001"), (2**-15, "3.1e-05")]
)
def test_p_values(p: float, text: str) -> None:
    assert p_text(p) == text
