"""Per-image tables read back: what was written, and what is not believed."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests_environment import command_environment
from tests_scored import make_report, write_report

from srexp.comparison.results import read_evaluation, read_files, read_run
from srexp.evaluation.tables import to_csv
from srexp.tracking.record import RunError, RunFolder


def test_it_reads_what_was_written(make: Any) -> None:
    report = make_report([0.1, 1 / 3, math.inf])
    run = make([report])
    results = read_run(run)
    (task,) = results.evaluations
    assert (task.name, task.digest) == (report.task.key, report.task.digest)
    assert task.degradation == report.task.degradation.label
    evaluation = results.evaluations[task]
    assert (evaluation.method, evaluation.weights) == (report.method, report.weights)
    for row, expected in zip(evaluation.rows, report.rows, strict=True):
        assert row.image == expected.image
        assert (row.psnr, row.ssim) == (expected.score.psnr, expected.score.ssim)
        assert (row.psnr_bicubic, row.ssim_bicubic) == (expected.bicubic.psnr, 0.9)
    assert results.faults == []


def test_further_metrics_are_read_too(make: Any) -> None:
    run = make([0.1, 0.2])
    path = run.folder / "evaluations/set5_x2/y_paper/final.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([f"{header},ms_ssim,remark", *(f"{r},0.98,ok" for r in rows), ""]))
    (evaluation,) = read_run(run).evaluations.values()
    assert [row.more for row in evaluation.rows] == [{"ms_ssim": 0.98}] * 2


def test_the_newest_counts_and_no_point_of_the_curve(make: Any) -> None:
    """Whatever time the files themselves have: copying a folder changes it."""
    run = make([0.1, 0.2])
    write_report(run, make_report([1.0, 1.0]), "step-0000060.csv")
    assert [row.psnr for row in _only(run).rows] == [30.1, 31.2]
    for gain, name in (
        (3.0, "deconv_2031-01-01_00-00-01.csv"),
        (2.0, "deconv_2031-01-01_00-00-00.csv"),
        (1.5, "deconv_2001-01-01_00-00-00.csv"),
    ):
        write_report(run, make_report([gain, gain]), name)
    assert [row.psnr for row in _only(run).rows] == [33.0, 34.0]


def test_a_self_ensemble_counts_where_there_is_nothing_else(make: Any) -> None:
    run = make([0.1, 0.2])
    report = make_report([1, 1])
    report.method = "deconv+"
    write_report(run, report, "deconv+_2031-01-01_00-00-00.csv")
    assert _only(run).method == "deconv"
    (run.folder / "evaluations/set5_x2/y_paper/final.csv").unlink()
    assert _only(run).method == "deconv+"


def test_tables_that_are_of_no_run(tmp_path: Path) -> None:
    def write(name: str, method: str, images: str) -> Path:
        report = make_report([0.1, 0.2], images=images)
        report.method = method
        path = tmp_path / report.task.key / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_csv(report))
        return path

    one, two, three, again = (
        write("a.csv", "lanczos", "set5"), write("b.csv", "swinir", "set5"),
        write("a.csv", "lanczos", "set14"), write("c.csv", "lanczos", "set5"),
    )  # fmt: skip
    lanczos, swinir = read_files([one, two, three, one])
    assert (lanczos.name, swinir.name) == ("lanczos", "swinir")
    assert [task.images for task in lanczos.evaluations] == ["set5", "set14"]
    with pytest.raises(RunError, match="both of lanczos on set5_x2/y_paper: name one of them"):
        read_files([one, again])
    with pytest.raises(RunError, match=r"none\.csv: cannot be read \(No such file"):
        read_files([tmp_path / "none.csv"])


def test_another_digest_is_another_task(make: Any) -> None:
    run = make([0.1, 0.2])
    write_report(run, make_report([1, 1], engine="pillow"), "deconv_2031-01-01_00-00-00.csv")
    found = read_run(run).evaluations
    assert sorted(task.name for task in found) == ["set5_x2/y_paper"] * 2
    assert len({task.digest for task in found}) == 2


def test_an_older_whole_one_is_taken_for_a_newer_cut_one(make: Any) -> None:
    run = make([0.1, 0.2])
    newer = write_report(run, make_report([1, 1]), "deconv_2031-01-01_00-00-00.csv")
    newer.write_text(newer.read_text()[:-30])
    assert [row.psnr for row in _only(run).rows] == [30.1, 31.2]
    (fault,) = read_run(run).faults
    assert str(newer) in fault and "cut short" in fault


def _only(run: RunFolder) -> Any:
    (evaluation,) = read_run(run).evaluations.values()
    return evaluation


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[:-5], "it ends in the middle of a line"),
        (lambda text: "", "it ends in the middle of a line"),
        (lambda text: text.splitlines()[0] + "\n", "no images"),
        (lambda text: text.replace(",ssim_bicubic", ",ssim_b"), "no column ssim_bicubic"),
        (lambda text: text.replace("30.1,", "30.2,"), "psnr - psnr_bicubic is not psnr_gain"),
        (lambda text: text.replace("30.1,", "thirty,"), "could not convert"),
        (lambda text: text.replace("30.1,", "nan,"), "line 2"),
        (lambda text: text.replace("30.1,", ""), "line 2 has 12 of 13 fields"),
        (lambda text: text.replace(",0.901,", ",1.901,"), "1.901 is no SSIM"),
        (lambda text: text.replace("image1", "image0"), "stands in it twice"),
        (lambda text: text.replace("deconv", "other", 1), "line 3 belongs to another table"),
        (lambda text: text.replace("set5,2,", "set5,two,"), "invalid literal"),
    ],
)
def test_a_cut_or_altered_table_is_one_line(make: Any, change: Any, reason: str) -> None:
    run = make([0.1, 0.2])
    path = run.folder / "evaluations/set5_x2/y_paper/final.csv"
    changed = change(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    with pytest.raises(RunError, match=re.escape(reason)) as caught:
        read_evaluation(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert read_run(run).evaluations == {}


def test_in_a_run_folder_a_table_lies_where_its_task_says(make: Any, tmp_path: Path) -> None:
    run = make([0.1, 0.2])
    path = run.folder / "evaluations/set5_x2/y_paper/final.csv"
    path.write_text(path.read_text().replace("set5,2", "set14,2"))
    (fault,) = read_run(run).faults
    assert "it holds scores of set14_x2/y_paper" in fault
    elsewhere = tmp_path / "mailed.csv"
    elsewhere.write_text(path.read_text())
    assert read_evaluation(elsewhere).task.images == "set14"


def test_a_table_that_the_document_beside_it_contradicts_is_told(make: Any) -> None:
    """Every digit of psnr and psnr_gain fits, and still it is not what was written."""
    run = make([0.1, 0.2])
    path = write_report(run, make_report([1.0, 2.0]), "deconv_2031-01-01_00-00-00_abcd.csv")
    digest = read_evaluation(path).task.digest
    noted = {"digest": digest, "created": 2e9, "means": {"psnr_gain": 1.0}}
    path.with_suffix(".json").write_text(json.dumps(noted))
    with pytest.raises(RunError, match=r"mean gain 1\.500000 dB, the document beside it has 1\.0"):
        read_evaluation(path)
    noted["means"] = {"psnr_gain": 1.5}
    path.with_suffix(".json").write_text(json.dumps(noted))
    assert _only(run).path == path


def test_best_weights_and_no_ensemble_count_before_newer_ones(make: Any) -> None:
    run = make([0.1, 0.2])
    (run.folder / "evaluations/set5_x2/y_paper/final.csv").unlink()
    for second, (method, weights) in enumerate(
        (("deconv", "best on val (step 60), raw"), ("deconv", "last (step 90), raw"),
         ("deconv+", "best on val (step 60), raw, mean of 8 flips and rotations"))
    ):  # fmt: skip
        report = make_report([1.0 + second, 1.0])
        report.method, report.weights = method, weights
        write_report(run, report, f"{method}_2031-01-01_00-00-0{second}_abcd.csv")
    assert _only(run).weights == "best on val (step 60), raw"


def test_a_table_cut_between_lines_does_not_agree_with_its_run(make: Any) -> None:
    run = make([0.1, 0.2, 0.9])
    path = run.folder / "evaluations/set5_x2/y_paper/final.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    (fault,) = read_run(run).faults
    assert "mean gain 0.150000 dB, the run noted 0.400000" in fault


def test_bytes_that_are_no_text(make: Any) -> None:
    run = make([0.1, 0.2])
    path = run.folder / "evaluations/set5_x2/y_paper/final.csv"
    path.write_bytes(b"\xff\xfe\x00\n")
    (fault,) = read_run(run).faults
    assert fault == f"{path}: cannot be read (it is no text)"


def test_reading_needs_neither_tensorflow_nor_mlflow_nor_hydra(make: Any, tmp_path: Path) -> None:
    run = make([0.1, 0.2])
    code = (
        "import sys; from pathlib import Path; from srexp.comparison.results import read_run\n"
        "from srexp.tracking.record import RunFolder\n"
        "assert read_run(RunFolder.open(Path(sys.argv[1]))).evaluations\n"
        "print(*{'numpy', 'tensorflow', 'mlflow', 'hydra', 'omegaconf'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(run.folder)], capture_output=True, text=True, check=True,
        env=command_environment(tmp_path),
    )  # fmt: skip
    assert done.stdout == "\n"
