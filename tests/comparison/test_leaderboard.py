"""Runs ranked: what stands in one table, in which order, and on which front."""

from __future__ import annotations

import csv
import io
import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from PIL import Image
from tests_scored import make_report, write_report

from srexp.comparison import ranking
from srexp.comparison.index import indexed
from srexp.comparison.leaderboard import SORTS, Board, RankedRun, make_boards, pareto, pooled
from srexp.comparison.pareto import draw
from srexp.pages.table import DOCUMENTS, Table, to_rich, to_text
from srexp.tracking.record import RunError, RunFolder

GAINS = [0.5, 0.7, 0.2, 0.4, 0.9]
Make = Callable[..., RunFolder]


def boards(output: Path, **wanted: Any) -> list[Board]:
    return make_boards(indexed(output, scores=True), **wanted)


def ids(board: Board) -> list[str]:
    return [row.run for row in board.rows]


def test_the_numbers_of_a_row(make: Make, output: Path) -> None:
    run = make(
        GAINS, title="depth=3", cost={"parameters": 48003, "multiply_adds": 44_100_000_000},
        progress={"step": 60, "seconds": 90.0},
    )  # fmt: skip
    ((row,),) = [board.rows for board in boards(output)]
    expected = scipy.stats.ttest_1samp(GAINS, 0).confidence_interval(0.95)
    gain = row.summary.gain
    assert gain.mean == pytest.approx(np.mean(GAINS), abs=1e-12)
    assert (gain.low, gain.high) == pytest.approx(tuple(expected), abs=1e-12)
    assert row.summary.psnr - row.summary.psnr_bicubic == pytest.approx(gain.mean, abs=1e-12)
    assert row.summary.ssim == pytest.approx(0.9 + np.mean(GAINS) / 100, abs=1e-12)
    assert (row.run, row.title, row.parameters, row.multiply_adds) == (
        run.id, "depth=3", 48003, 44.1e9,
    )  # fmt: skip
    assert row.minutes == 1.5 and math.isnan(row.ms_per_megapixel)


def test_the_cost_of_an_older_run_is_known_from_its_tags(make: Make, output: Path) -> None:
    """As its own page has it."""
    tags = {"srexp.parameters": "8032", "srexp.multiply_adds_1280x720": "7400000000"}
    make(GAINS, mlflow={"tags": tags})
    make(GAINS, mlflow={"tags": {}})
    ((known, unknown),) = [
        sorted(board.rows, key=lambda row: math.isnan(row.parameters)) for board in boards(output)
    ]
    assert (known.parameters, known.multiply_adds) == (8032, 7.4e9)
    assert math.isnan(unknown.parameters) and math.isnan(unknown.multiply_adds)


def test_only_finished_runs_stand_in_it(make: Make, output: Path) -> None:
    finished = make(GAINS)
    for status in ("FAILED", "INTERRUPTED", "PRUNED", "KILLED"):
        make(GAINS).update(status=status)
    (board,) = boards(output)
    assert ids(board) == [finished.id]


def test_other_images_degradations_and_protocols_have_tables_of_their_own(
    make: Make, output: Path
) -> None:
    """Also where the name of the task is the same."""
    kinds: list[dict[str, Any]] = [
        {}, {"content": "other pixels"}, {"engine": "pillow"}, {"border": 3},
        {"protocol": "y_of_rgb"}, {"scale": 3}, {"images": "set14"},
    ]  # fmt: skip
    runs = [make([make_report(GAINS, **kind)]) for kind in kinds]
    twin = make(GAINS)
    found = boards(output)
    assert sorted(run for board in found for run in ids(board)) == sorted(
        [*(run.id for run in runs), twin.id]
    )
    assert [len(board.rows) for board in found].count(2) == 1 and len(found) == len(kinds)
    alike = [board for board in found if board.task.name == "set5_x2/y_paper"]
    assert len(alike) == len({board.task.digest for board in alike}) == 4


def test_a_table_that_lost_lines_stands_for_itself(make: Make, output: Path) -> None:
    whole, cut = make(GAINS), make(GAINS)
    table = cut.folder / "evaluations/set5_x2/y_paper/final.csv"
    evaluated = table.with_name("deconv_2099-01-01_00-00-00.csv")
    evaluated.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    assert [(ids(board), board.images) for board in boards(output)] == [
        ([whole.id], 5), ([cut.id], 4),
    ]  # fmt: skip


def test_filters(make: Make, output: Path) -> None:
    make([make_report(GAINS), make_report(GAINS, scale=3), make_report([0.1], images="val")])
    make([make_report(GAINS, protocol="rgb"), make_report(GAINS, images="set14")])

    def names(**wanted: Any) -> list[str]:
        return [board.task.name for board in boards(output, **wanted)]

    assert names() == ["set14_x2/y_paper", "set5_x2/rgb", "set5_x2/y_paper", "set5_x3/y_paper"]
    assert names(benchmarks=["set5"], scales=[2]) == ["set5_x2/rgb", "set5_x2/y_paper"]
    assert names(scales=[3]) == ["set5_x3/y_paper"]
    assert names(benchmarks=["val", "set14"]) == ["set14_x2/y_paper", "val_x2/y_paper"]
    assert names(protocols=["rgb"]) == ["set5_x2/rgb"]
    with pytest.raises(RunError, match=r"--benchmark set51.*did you mean set5\?"):
        names(benchmarks=["set51"])
    with pytest.raises(RunError, match=r"--scale 4.*there are 2, 3"):
        names(scales=[4])
    with pytest.raises(RunError, match=r"--protocol y_papre.*did you mean y_paper"):
        names(protocols=["y_papre"])
    with pytest.raises(RunError, match=r"at once.*set5_x3/y_paper"):
        names(protocols=["rgb"], scales=[3])


def test_validation_images_alone_are_shown_with_a_warning(make: Make, output: Path) -> None:
    make([make_report([0.1, 0.2], images="val")])
    (board,) = boards(output)
    assert "flatter" in ranking.notes(board, 0)[0]


def test_an_image_of_infinite_psnr_counts_for_no_run(make: Make, output: Path) -> None:
    ours, theirs = make(GAINS), make([make_report([0.1, math.inf, 0.3, 0.4, 0.5])])
    (board,) = boards(output)
    assert board.left_out == ("image1",)
    gains = {row.run: row.summary.gain for row in board.rows}
    assert gains[ours.id].mean == pytest.approx((0.5 + 0.2 + 0.4 + 0.9) / 4, abs=1e-12)
    assert gains[theirs.id].mean == pytest.approx((0.1 + 0.3 + 0.4 + 0.5) / 4, abs=1e-12)
    assert {gain.n for gain in gains.values()} == {4}
    bicubic = {row.summary.psnr_bicubic for row in board.rows}
    assert bicubic == {(30 + 32 + 33 + 34) / 4}
    (line,) = [line for line in ranking.notes(board, 0) if "left out" in line]
    assert "1 of 5 images: image1" in line


def test_every_sort(make: Make, output: Path) -> None:
    """The best on top, which of costs is the lowest, and what is not known below."""
    make([0.1, 0.2], cost={"parameters": 10, "multiply_adds": 300}, progress={"seconds": 60})
    make([0.5, 0.6], cost={"parameters": 30, "multiply_adds": 200}, progress={"seconds": 240})
    make([0.3, 0.4], cost={"parameters": 20, "multiply_adds": 400}, progress={"seconds": 30})
    unknown = make([0.2, 0.3])
    fast = unknown.folder / "evaluations/set5_x2/y_paper/deconv_2026-01-01_00-00-00.json"
    timing = {"ms_per_megapixel": 5, "device": "cpu"}
    fast.write_text(json.dumps({"method": "deconv", "created": 1, "timing": timing}))
    gains = {
        sort: [round(row.summary.gain.mean, 2) for row in boards(output, sort=sort)[0].rows]
        for sort in SORTS
    }
    assert gains == {
        "gain": [0.55, 0.35, 0.25, 0.15], "psnr": [0.55, 0.35, 0.25, 0.15],
        "ssim": [0.55, 0.35, 0.25, 0.15], "parameters": [0.15, 0.35, 0.55, 0.25],
        "multiply_adds": [0.55, 0.15, 0.35, 0.25], "ms": [0.25, 0.55, 0.35, 0.15],
        "minutes": [0.35, 0.15, 0.55, 0.25],
    }  # fmt: skip


def _rows(points: list[tuple[float, float]], row: RankedRun) -> list[RankedRun]:
    gain = row.summary.gain
    return [
        replace(row, parameters=cost, summary=replace(row.summary, gain=replace(gain, mean=mean)))
        for cost, mean in points
    ]


def test_the_pareto_front_is_what_nobody_beats_in_both(make: Make, output: Path) -> None:
    make([0.1, 0.2])
    ((row,),) = [board.rows for board in boards(output)]
    draw_ = random.Random(0)
    for _ in range(200):
        points = [(draw_.randint(1, 8), draw_.randint(1, 8) / 8) for _ in range(12)]
        front = {(r.parameters, r.summary.gain.mean) for r in
                 pareto(_rows([*points, (math.nan, 9.0), (0.5, math.nan)], row),
                        lambda r: r.parameters)}  # fmt: skip
        expected = {
            (cost, gain)
            for cost, gain in points
            if not any(c <= cost and g >= gain and (c, g) != (cost, gain) for c, g in points)
        }
        assert front == expected


def test_seeds_are_one_point_with_their_interval(make: Make, output: Path) -> None:
    """Of one seed the interval over images stays."""
    gains = ([0.1, 0.5], [0.3, 0.9], [0.2, 0.4])
    runs = [make(row, f"seed={seed}", "model.depth=3") for seed, row in enumerate(gains)]
    runs += [make([0.7, 0.9], "model.depth=5")]
    (board,) = boards(output)
    pool = pooled(board, {run.id: run for run in runs}, {runs[3].id: "Ours"})
    rows = {row.title: row.summary.gain for row in pool.rows}
    assert set(rows) == {"depth=3", "Ours"}
    means = [np.mean(row) for row in gains]
    expected = scipy.stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert rows["depth=3"].n == 3
    assert rows["depth=3"].mean == pytest.approx(np.mean(means))
    assert (rows["depth=3"].low, rows["depth=3"].high) == pytest.approx(tuple(expected))
    assert rows["Ours"] == next(r.summary.gain for r in board.rows if r.run == runs[3].id)


def test_a_run_whose_configuration_cannot_be_read_is_a_point_of_its_own(
    make: Make, output: Path
) -> None:
    runs = [make([0.1, 0.5], f"seed={seed}", title="x") for seed in range(2)]
    (runs[0].folder / "config.json").write_text("{")
    (board,) = boards(output)
    assert len(pooled(board, {run.id: run for run in runs}).rows) == 2


# What is written.


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (57, "57"), (999, "999"), (1000, "1.00K"), (8032, "8.03K"), (57281, "57.3K"),
     (664704, "665K"), (999_499, "999K"), (999_600, "1.00M"), (1_370_000, "1.37M"),
     (44_100_000_000, "44.1G"), (2.5e12, "2.5T"), (math.nan, "-")],
)  # fmt: skip
def test_amounts_have_three_digits(value: float, text: str) -> None:
    assert ranking.amount(value) == text


def test_csv_and_json_hold_all_digits_and_what_they_belong_to(make: Make, output: Path) -> None:
    run = make([make_report(GAINS), make_report([0.1], scale=3)], title='a|b,"c"')
    found = boards(output)
    rows = list(csv.DictReader(io.StringIO(ranking.to_csv(found, 0))))
    data = json.loads(ranking.to_json(found, [], 0), parse_constant=lambda name: pytest.fail(name))
    assert [(row["set"], row["scale"], row["protocol"], row["images"]) for row in rows] == [
        ("set5", "2", "y_paper", "5"), ("set5", "3", "y_paper", "1"),
    ]  # fmt: skip
    for row, board in zip(rows, data["boards"], strict=True):
        (values,) = board["rows"]
        assert row["run"] == values["run"] == run.id and row["title"] == values["title"]
        assert row["digest"] == board["digest"] and len(row["digest"]) == 8
        assert float(row["gain"]) == values["gain"]
        assert (row["parameters"], values["parameters"]) == ("", None)
    assert float(rows[0]["low"]) == data["boards"][0]["rows"][0]["low"]
    assert (rows[1]["low"], data["boards"][1]["rows"][0]["low"]) == ("", None)


def test_a_run_is_told_apart_by_what_was_typed(make: Make, output: Path) -> None:
    make([0.1, 0.2], title="act=relu seed=1", typed="seed=1 act=relu tracking=none")
    make([0.3, 0.4], title=None, typed="")
    make([0.2, 0.3], title="depth=3")  # of before it was noted
    (board,) = boards(output)
    assert [row.title for row in board.rows] == ["defaults", "depth=3", "act=relu seed=1"]


def test_markdown_survives_a_title_with_bars(make: Make, output: Path) -> None:
    make(GAINS, title="a|b*")
    lines = DOCUMENTS["markdown"](
        "", [ranking.make_table(board, 0) for board in boards(output)], []
    ).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 4 and r"a\|b\*" in table[2] and "| bicubic |" in table[3]
    assert {line.replace(r"\|", "").count("|") for line in table} == {table[0].count("|")}


def test_limit_says_what_it_leaves_out(make: Make, output: Path) -> None:
    for gain in range(4):
        make([gain, gain + 1])
    (board,) = boards(output)
    assert len(ranking.make_table(board, 3).rows) == 3 + 1  # and bicubic
    assert ranking.notes(board, 3)[0] == "3 of 4 runs (--limit)"
    assert len(ranking.make_table(board, 0).rows) == 4 + 1


def test_bicubic_that_is_not_one_number_is_told(make: Make, output: Path) -> None:
    make([make_report([0.1, 0.2])])
    assert not any("bicubic" in line for line in ranking.notes(boards(output)[0], 0))
    make([make_report([0.1, 0.2], bicubic=[30.001, 31.001])])
    (line,) = [line for line in ranking.notes(boards(output)[0], 0) if "bicubic" in line]
    assert "0.0010 dB" in line


def test_a_self_ensemble_is_told_from_the_network(make: Make, output: Path) -> None:
    report = make_report([1.0] * 5)
    report.method = "deconv+"
    one, other = make([report]), make([0.1] * 5)
    write_report(other, report, "deconv+_2099-01-01_00-00-00.csv")
    (board,) = boards(output)
    grid = ranking.make_table(board, 0)
    at = grid.head.index("method")
    assert {row[0]: row[at] for row in grid.rows[:2]} == {one.id: "deconv+", other.id: "deconv"}


GRID = Table(
    ["run", "title", "gain dB", "params"],
    [["2026-01-01_00-00-00_deconv-x2_0000", "depth=3 act=leaky_relu", "+1.019 [+0.450, +1.589]",
      "48.0K"], ["bicubic", "", "-", "-"]],
    2,
)  # fmt: skip


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_narrow_terminal_folds_words_and_breaks_no_number(width: int) -> None:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width)
    console.print(to_rich(GRID, width))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert all(number in text for number in ("+1.019", "[+0.450,", "+1.589]", "48.0K"))
    assert (GRID.rows[0][0] in text) == (width > 40)


def test_lines_are_aligned_and_whole() -> None:
    header, first, bicubic = to_text(GRID)
    assert len(header) == len(first) == len(bicubic)
    assert all(cell in first for cell in GRID.rows[0])


# The picture.


@pytest.fixture
def priced(make: Make, output: Path) -> list[Board]:
    for depth in (3, 5, 7):
        cost = {"parameters": 9000 * depth, "multiply_adds": 8_000_000_000 * depth}
        make([make_report([0.1 * depth, 0.2 * depth]), make_report([0.1], scale=3)],
             title=f"depth={depth} $x", cost=cost)  # fmt: skip
    make(GAINS[:2])
    return boards(output)


def test_the_picture_is_one_and_stays_the_same(priced: list[Board]) -> None:
    one, both = draw(priced[:1], "png"), draw(priced, "png")
    assert one == draw(priced[:1], "png")
    sizes = [Image.open(io.BytesIO(png)).size for png in (one, both)]
    assert sizes[0][0] == sizes[1][0] and sizes[1][1] == 2 * sizes[0][1]
    svg, again = draw(priced, "svg"), draw(priced, "svg")
    assert svg == again and b"<svg" in svg
    assert draw(priced, "pdf").startswith(b"%PDF")


def test_the_picture_shows_where_the_runs_are(priced: list[Board]) -> None:
    """A run with a higher gain changes it; one of unknown cost is told."""
    svg = draw(priced[:1], "svg")
    assert svg != draw([replace(priced[0], rows=priced[0].rows[:3])], "svg")
    board = priced[0]
    better = replace(board, rows=[*board.rows, replace(board.rows[0], parameters=1e6)])
    assert draw([better], "svg") != svg


def test_what_cannot_be_drawn_is_told(priced: list[Board], make: Make) -> None:
    with pytest.raises(RunError, match="14 tables"):
        draw(priced * 7, "png")
    unknown = replace(priced[0], rows=[row for row in priced[0].rows if math.isnan(row.parameters)])
    with pytest.raises(RunError, match="no finished run here says"):
        draw([unknown], "png")
