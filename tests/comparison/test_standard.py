"""The usual table of papers: its numbers, its marks, and what may stand side by side."""

from __future__ import annotations

import csv
import io
import itertools
import re
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import scipy.stats
from tests_scored import make_report

from srexp.comparison.methods import group
from srexp.comparison.results import read_run
from srexp.comparison.standard import Over, flat_table, standard_tables
from srexp.comparison.tables import TaskTable, make_table
from srexp.comparison.tasks import common_tasks
from srexp.pages.table import Table, parts, plain
from srexp.tracking.record import RunError, RunFolder

GAINS = {"a": [0.5, 0.7, 0.2, 0.4, 0.9], "b": [0.1, 0.2, 0.9, 0.8, 1.4]}


def task_tables(*runs: RunFolder, names: dict[str, str] | None = None) -> list[TaskTable]:
    results = [read_run(run) for run in runs]
    methods, _ = group(results, names)
    tasks, _ = common_tasks(results)
    return [make_table(task, methods, "psnr", pairs=False) for task in tasks]


def standard(*runs: RunFolder, over: Over | None = None, **more: Any) -> list[Table]:
    return standard_tables(task_tables(*runs, **more), over)


def texts(table: Table) -> list[list[str]]:
    return [[plain(cell) for cell in row] for row in table.rows]


def from_files(run: RunFolder) -> tuple[str, str, str, str]:
    """Bicubic's and the run's means, with nothing but the csv module."""
    (path,) = Path(run.folder).glob("evaluations/*/*/final.csv")
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    psnr, ssim = (f"{fmean(float(row[name]) for row in rows):{form}}"
                  for name, form in (("psnr", ".2f"), ("ssim", ".4f")))  # fmt: skip
    below = (f"{fmean(float(row[name]) for row in rows):{form}}"
             for name, form in (("psnr_bicubic", ".2f"), ("ssim_bicubic", ".4f")))  # fmt: skip
    return (*below, psnr, ssim)


def test_numbers_are_those_of_the_files(make: Any) -> None:
    """Computed again from the per-image tables."""
    runs = [
        make([make_report(gains, scale=scale)], f"model.depth={3 + 2 * index}",
             f"degradation.scale={scale}")
        for index, gains in enumerate(GAINS.values()) for scale in (2, 3)
    ]  # fmt: skip
    (table,) = standard(*runs)
    assert (table.head, table.groups) == (["method", "x2", "x3"], [("", 1), ("set5", 2)])
    found = texts(table)
    assert [row[0] for row in found] == ["bicubic", "depth=3", "depth=5"]
    for row, column in itertools.product((1, 2), (1, 2)):
        bicubic_psnr, bicubic_ssim, psnr, ssim = from_files(runs[2 * (row - 1) + column - 1])
        assert found[row][column] == f"{psnr}/{ssim}"
        assert found[0][column] == f"{bicubic_psnr}/{bicubic_ssim}"
    flat = flat_table(task_tables(*runs))
    assert flat.head == ["protocol", "degradation", "method", *(
        f"set5 x{scale} {metric}" for scale in (2, 3) for metric in ("PSNR", "SSIM")
    )]  # fmt: skip
    assert [f"{row[3]}/{row[4]}" for row in flat.rows] == [row[1] for row in found]


def test_best_and_second_are_marked_as_they_are_read(make: Any) -> None:
    """Of each metric; what is equal once rounded is equally good."""
    runs = [make([gain, gain], f"model.depth={3 + index}")
            for index, gain in enumerate((1.001, 1.004, 0.5, 0.2))]  # fmt: skip
    (table,) = standard(*runs)
    marks = [[part.mark for part in parts(row[1]) if part.text != "/"] for row in table.rows]
    assert [plain(row[1]).split("/")[0] for row in table.rows][1:3] == ["31.50", "31.50"]
    assert marks == [["", ""], ["best", "best"], ["best", "best"], ["second", "second"], ["", ""]]


def test_psnr_and_ssim_are_marked_apart(make: Any) -> None:
    one, other = make([1.0, 1.0], "model.depth=3"), make([0.5, 0.5], "model.depth=5")
    path = other.folder / "evaluations/set5_x2/y_paper/final.csv"
    path.write_text(path.read_text().replace("0.905", "0.95"))
    (table,) = standard(one, other)
    marks = {plain(row[0]): [part.mark for part in parts(row[1])] for row in table.rows}
    assert marks == {
        "bicubic": ["", "", ""], "depth=3": ["best", "", "second"],
        "depth=5": ["second", "", "best"],
    }  # fmt: skip


def test_scales_go_into_rows_where_there_are_too_many_columns(make: Any) -> None:
    runs = [
        make([make_report(GAINS["a"], scale=scale, images=name)
              for name in ("set5", "set14", "b100")], f"degradation.scale={scale}",
             title="ours seed=0")
        for scale in (2, 3, 4)
    ]  # fmt: skip
    (table,) = standard(*runs)
    assert table.head == ["method", "scale", "set5", "set14", "b100"] and table.groups == ()
    assert [row[:2] for row in table.rows] == [
        [name, f"x{scale}"] for scale in (2, 3, 4) for name in ("bicubic", "ours")
    ]
    assert table.rules == [2, 4]


def test_other_protocols_and_degradations_have_tables_of_their_own(make: Any) -> None:
    both = [make_report(GAINS["a"]), make_report(GAINS["a"], protocol="rgb")]
    (first, second) = standard(make(both), make(both, "model.depth=3"))
    assert "protocol y_paper" in second.caption and "protocol rgb" in first.caption
    # Also where it is the scale that keeps them from one column: x2 by MATLAB, x3 by Pillow.
    runs = [
        make([make_report(GAINS["a"])], "model.depth=3"),
        make([make_report(GAINS["a"], scale=3, engine="pillow")], "degradation.scale=3"),
    ]
    assert ["matlab" in table.caption for table in standard(*runs)] == [True, False]


def test_numbers_of_unlike_digests_share_no_column(make: Any) -> None:
    both = [make_report(GAINS["a"]), make_report(GAINS["a"], content="other pixels")]
    one, other = make(both[:1]), make(both[1:], "model.depth=3")
    with pytest.raises(RunError):
        task_tables(one, other)
    for table in standard(make(both[:1])):
        assert len(table.head) == 2


@pytest.mark.parametrize(("over", "n"), [("images", 5), ("seeds", 3)])
def test_plus_minus_is_half_the_interval(make: Any, over: Over, n: int) -> None:
    gains = [[0.1, 0.5, 0.3, 0.2, 0.4], [0.2, 0.9, 0.1, 0.5, 0.5], [0.3, 0.4, 0.5, 0.4, 0.3]]
    runs = [make(row, f"seed={seed}") for seed, row in enumerate(gains)]
    (table,) = standard(*runs, over=over)
    values = [fmean(of) for of in (zip(*gains, strict=True) if over == "images" else gains)]
    half = scipy.stats.t.ppf(0.975, n - 1) * scipy.stats.sem(values)
    assert len(values) == n
    # SSIM of these reports is 0.9 + gain / 100.
    mean = 32 + fmean(values)
    assert texts(table)[1][1] == (
        f"{mean:.2f} ± {half:.2f}/{0.9 + fmean(values) / 100:.4f} ± {half / 100:.4f}"
    )
    assert texts(table)[0][1] == "32.00/0.9000"
    assert ("over seeds" in table.caption) == (over == "seeds")


def test_names_given_join_scales_and_replace_bicubic(make: Any) -> None:
    """What differs in more than the scale is one method if it is called so."""
    two = make([make_report(GAINS["a"])], "trainer.hr_patch_size=48")
    three = make([make_report(GAINS["b"], scale=3)], "trainer.hr_patch_size=72",
                 "degradation.scale=3")  # fmt: skip
    (apart,) = standard(two, three)
    assert [row[0] for row in apart.rows] == ["bicubic", "hr_patch_size=48", "hr_patch_size=72"]
    assert texts(apart)[1][2] == texts(apart)[2][1] == "-"
    (joined,) = standard(two, three, names={two.id: "Ours", three.id: "Ours"})
    assert [row[0] for row in joined.rows] == ["bicubic", "Ours"]
    assert not any("-" in cell for cell in texts(joined)[1])
    again = make(GAINS["b"], "model.depth=3")
    with pytest.raises(RunError, match=re.escape("both are of x2, and differ in more")):
        task_tables(two, again, names={two.id: "Ours", again.id: "Ours"})
    with pytest.raises(RunError, match="is the baseline"):
        task_tables(two, names={two.id: "bicubic"})
    seeds = [make(GAINS["a"], f"seed={seed}") for seed in (5, 6)]
    with pytest.raises(RunError, match="runs of one method are called A and B"):
        task_tables(*seeds, names={seeds[0].id: "A", seeds[1].id: "B"})
