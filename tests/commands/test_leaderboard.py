"""`srexp leaderboard` as it is typed."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests_environment import command_environment
from tests_scored import make_report

from srexp.commands import leaderboard
from srexp.comparison.leaderboard import SORTS

Main = Callable[..., str]


@pytest.fixture
def main() -> Callable[..., None]:
    return leaderboard.main


def test_a_trained_run(trained: Any, command: Any) -> None:
    """What a real training left: its gain, and the cost of its network in closed form."""
    done = command(trained.folder, "leaderboard", "--json")
    assert done.code == 0, done.stderr
    data = json.loads(done.stdout)
    info = trained.info()
    assert {board["set"]: board["rows"][0]["gain"] for board in data["boards"]} == {
        key.split("_x")[0]: pytest.approx(gain, abs=1e-12)
        for key, gain in info["gains"].items()
        if not key.startswith("val_")
    }
    (row,) = data["boards"][0]["rows"]
    weights = 9 * (3 * 8 + 8 * 8 + 8 * 3)
    assert row["parameters"] == weights + 8 + 8 + 3
    assert row["multiply_adds"] == weights * 1280 * 720
    assert row["minutes"] == pytest.approx(info["progress"]["seconds"] / 60)
    assert row["ms_per_megapixel"] is None


def test_one_table_a_task_with_bicubic_in_it(make: Any, call: Main) -> None:
    run = make([make_report([0.5, 0.7]), make_report([0.1, 0.2], scale=3)], title="depth=3")
    text = call()
    assert text.count("set5 (2 images)") == 2 and "x3 matlab bicubic" in text
    assert "2 tables" in text and text.count(run.id) == 2 and text.count("\nbicubic ") == 2
    line = next(line for line in text.splitlines() if run.id in line)
    assert "+0.600 [-0.671, +1.871]" in line and "31.10" in line and "0.9060" in line
    only = call("--scale", "3")
    assert "2 tables" not in only and only.count(run.id) == 1


def test_formats_say_the_same(make: Any, call: Main) -> None:
    for gain in range(25):
        make([gain / 10, gain / 5])
    rows = json.loads(call("--json"))["boards"][0]["rows"]
    assert [row["gain"] for row in rows] == sorted((row["gain"] for row in rows), reverse=True)
    assert len(rows) == 25
    assert json.loads(call("--format", "json"))["boards"][0]["rows"] == rows
    table = list(csv.DictReader(io.StringIO(call("--format", "csv"))))
    assert [(r["run"], float(r["gain"])) for r in table] == [(r["run"], r["gain"]) for r in rows]
    for kind in ("table", "markdown"):
        lines = call("--format", kind).splitlines()
        shown = [row["run"] for row in rows for line in lines if row["run"] in line]
        assert shown == [row["run"] for row in rows[:20]]
        assert any(line.startswith("20 of 25 runs") for line in lines)
    assert len(json.loads(call("--json", "--limit", "3"))["boards"][0]["rows"]) == 3
    assert call("--limit", "0").count("_deconv-x2_") == 25


def test_the_table_of_papers(make: Any, call: Main, refused: Main) -> None:
    for scale in (2, 3):
        for seed in (0, 1):
            make([make_report([0.1, 0.3 + seed], scale=scale)], f"degradation.scale={scale}",
                 f"seed={seed}", title="ours")  # fmt: skip
    better = make([make_report([0.9, 0.9])], "model.depth=9")
    text = call(
        "--table", "paper", "--format", "markdown", "--name", f"{better.id}=Best", "--seeds"
    )
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[0] == "| method | set5 x2 | set5 x3 |"
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| bicubic", "| Best", "| depth=7"]
    assert rows[3].endswith("| - |") and rows[4].count("±") == 4
    assert r"\begin{table" in call("--format", "latex")
    assert "set5 x3 PSNR" in call("--table", "paper", "--format", "csv")
    assert "<table" in call("--table", "paper", "--format", "html")
    assert "1 of 2 methods (--limit)" in call("--table", "paper", "--limit", "1")
    assert "belong to --table paper" in refused("--seeds")
    assert "belongs to --table paper and to --plot" in refused("--name", "latest=x")
    assert "leave one of the two out" in refused("--table", "paper", "--json")


def test_nothing_to_rank_is_no_error(make: Any, call: Main, output: Path) -> None:
    assert "python -m srexp train" in call() and not output.exists()
    make([0.1, 0.2]).update(status="INTERRUPTED")
    assert "no finished runs" in call()
    assert json.loads(call("--json"))["boards"] == []


def test_bad_input(make: Any, refused: Main, tmp_path: Path) -> None:
    make([0.1, 0.2])
    assert "did you mean set5?" in refused("--benchmark", "set55")
    assert "there are 2" in refused("--scale", "3")
    assert "--limit -1" in refused("--limit", "-1")
    assert "must end in .png" in refused("--plot", "front.jpg")
    assert "how many parameters" in refused("--plot", str(tmp_path / "front.png"))
    assert not (tmp_path / "front.png").exists()
    make([0.1, 0.2], cost={"parameters": 10, "multiply_adds": 20})
    assert "cannot be written" in refused("--plot", str(tmp_path / "none" / "front.png"))


def test_what_was_passed_over_is_told(make: Any, call: Main) -> None:
    run = make([0.1, 0.2])
    make([0.3, 0.4])
    table = run.folder / "evaluations/set5_x2/y_paper/final.csv"
    table.write_text(table.read_text()[:-5])
    text = call()
    assert f"note: {table}: is cut short" in text and text.count(run.id) == 1


def test_the_plot_is_written(make: Any, call: Main, tmp_path: Path) -> None:
    make([0.1, 0.2], cost={"parameters": 10, "multiply_adds": 20})
    for name in ("front.png", "front.SVG", "front.pdf"):
        assert "+0.150" in call("--plot", str(tmp_path / name))
        assert (tmp_path / name).stat().st_size > 1000


def test_sorts_are_those_that_there_are(make: Any, call: Main) -> None:
    assert tuple(SORTS) == leaderboard._SORTS
    make([0.1, 0.2])
    assert {call("--sort", sort) for sort in leaderboard._SORTS} == {call()}


def test_it_starts_without_heavy_imports(make: Any, output: Path, tmp_path: Path) -> None:
    make([0.1, 0.2])
    for _ in range(2):  # making the index, and using it
        done = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "srexp", "leaderboard",
             "--output-dir", str(output)],
            capture_output=True, text=True, env=command_environment(tmp_path), check=True,
        )  # fmt: skip
        imported = {line.rsplit("|", 1)[-1].strip().split(".")[0]
                    for line in done.stderr.splitlines()}  # fmt: skip
        assert not imported & {"tensorflow", "keras", "mlflow", "matplotlib", "hydra", "omegaconf"}
        assert "numpy" in imported
