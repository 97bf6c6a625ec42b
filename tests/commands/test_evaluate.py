"""`srexp evaluate` as a user runs it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest


def _rows(folder: Path, pattern: str) -> list[dict[str, str]]:
    (path,) = folder.glob(pattern)
    with path.open() as file:
        return list(csv.DictReader(file))


def test_bicubic_against_itself_gains_nothing_and_prints_published_figures(
    command, tmp_path, shared_data
) -> None:
    """SRCNN, TPAMI 2016, table 2: bicubic on Set5 x3, 30.39 dB and 0.8682."""
    done = command(
        tmp_path, "evaluate", "model=bicubic", "degradation.scale=3", "benchmark=set5",
        f"paths.data_dir={shared_data}",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    rows = _rows(tmp_path, "outputs/evaluations/set5_x3/y_paper/bicubic_*.csv")
    assert [float(row["psnr_gain"]) for row in rows] == [0.0] * 5
    assert np.mean([float(row["psnr"]) for row in rows]) == pytest.approx(30.3922, abs=1e-4)
    assert "30.39" in done.stdout and "0.8682" in done.stdout
    assert "published" not in done.stdout, "the shared Set5 was not recognised"


def test_changed_set_is_scored_but_said_not_to_be_the_published_one(
    command, tmp_path, shared_data
) -> None:
    from PIL import Image

    folder = tmp_path / "set5"
    folder.mkdir()
    for path in (shared_data / "set5").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    with Image.open(folder / "bird.png") as picture:
        changed = np.asarray(picture).copy()
    changed[0, 0] ^= 1
    Image.fromarray(changed).save(folder / "bird.png")
    done = command(
        tmp_path, "evaluate", "benchmark=set5", f"paths.data_dir={tmp_path}",
        "degradation.scale=4",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert "does not hold the published set5" in done.stdout


def test_run_is_scored_as_it_was_at_the_end_of_training(trained, command) -> None:
    done = command(trained.folder, "evaluate", "run=latest", "protocol=[rgb,y_of_rgb]")
    assert done.code == 0, done.stderr
    rows = _rows(trained.run, "evaluations/photos_x2/rgb/deconv_*.csv")
    with (trained.run / "evaluations/photos_x2/rgb/final.csv").open() as file:
        expected = list(csv.DictReader(file))
    for row, other in zip(rows, expected, strict=True):
        assert float(row["psnr"]) == pytest.approx(float(other["psnr"]), abs=1e-6)
        assert row["digest"] == other["digest"]
    other_protocol = _rows(trained.run, "evaluations/photos_x2/y_of_rgb/deconv_*.csv")
    assert other_protocol[0]["digest"] != rows[0]["digest"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["run=latst"], ["run latst: no such run"]),
        (["run=latest", "degradation.scale=3"], ["trained for x2 matlab bicubic"]),
        (["run=latest", "weights=first"], ["weights=first: must be best or last"]),
        (["model=deconv"], ["say which run's (run=RUN)"]),
        (["run=latest", "benchmark=folder"], ["benchmark.folder.dir"]),
        (["benchmark=sett5"], ["did you mean set5?"]),
    ],
)
def test_bad_input(typed: list[str], words: list[str], trained, command) -> None:
    done = command(trained.folder, "evaluate", *typed)
    assert done.code == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    for part in words:
        assert part in line


def test_damaged_checkpoint_is_told(trained, command, tmp_path) -> None:
    run = tmp_path / "copy"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("run.json", "config.json"):
        (run / name).write_bytes((trained.run / name).read_bytes())
    content = bytearray((trained.run / "checkpoints" / "best.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (run / "checkpoints" / "best.npz").write_bytes(content)
    done = command(tmp_path, "evaluate", f"run={run}")
    assert done.code == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "best.npz" in line and "damaged" in line
    assert json.loads((run / "run.json").read_text())["status"] == "FINISHED"
