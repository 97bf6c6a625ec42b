"""Run folders of version 0.1.0 still open, load, score as they did, compare and report."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests_environment import command_environment

from srexp.config.identity import with_additions
from srexp.config.settings import experiment_of
from srexp.tracking.record import RunFolder

RUNS = sorted(path.name for path in (Path(__file__).parent / "old_runs").iterdir())


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return Path(shutil.copytree(Path(__file__).parent / "old_runs", tmp_path / "outputs"))


@pytest.mark.parametrize("name", RUNS)
def test_the_weights_score_as_they_did(output: Path, name: str) -> None:
    from srexp.evaluation.scoring import Task, evaluate
    from srexp.training.trained import load_upscaler

    run = RunFolder.open(output / name)
    experiment = experiment_of(with_additions(run.config))
    upscaler, weights, _ = load_upscaler(run, experiment, "best")
    assert weights.startswith("best on val (step ")
    images = experiment.benchmark["photos"].load("photos").only("chelsea")
    for key, protocol in experiment.protocol.items():
        task = Task(images, experiment.degradation, key, protocol)
        (row,) = evaluate(task, upscaler, method="m").rows
        with (run.folder / "evaluations" / task.key / "final.csv").open() as file:
            (then,) = (line for line in csv.DictReader(file) if line["image"] == "chelsea")
        # The file holds six digits; other processors round differently.
        assert row.score.psnr == pytest.approx(float(then["psnr"]), abs=1e-3)
        assert row.bicubic.psnr == pytest.approx(float(then["psnr_bicubic"]), abs=1e-4)


@pytest.mark.parametrize("arguments", [["compare", RUNS[0]], ["report", RUNS[0]], ["runs", "list"]])
def test_commands_read_them(output: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "srexp", *arguments],
        cwd=output.parent, capture_output=True, text=True, timeout=60, check=False,
        env=command_environment(output.parent),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
