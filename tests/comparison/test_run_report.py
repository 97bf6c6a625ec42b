"""The page of a run, read as a browser would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from tests_page import Page, read_page
from tests_scored import make_report, scored_run, write_report

from srexp.comparison import run_report
from srexp.comparison.run_report import AboutRun
from srexp.evaluation.samples import Sample, keep
from srexp.evaluation.scoring import Report, Score
from srexp.tracking.record import RunFolder

ABOUT = AboutRun({"model.depth": ("3", "7")}, {"evaluate": "srexp evaluate run=X"}, None)
EVIL = "<script>alert(1)</script>\"'&amp;{{ 7*7 }}"

Make = Callable[..., RunFolder]


def page(run: RunFolder, about: AboutRun = ABOUT) -> Page:
    return read_page(run_report.write(run, about).read_text())


def sample(report: Report, index: int, side: int = 16) -> Sample:
    """Noise, as of an image of that report."""
    row = report.rows[index]
    noise = np.random.default_rng(index).integers(0, 256, (3, side, side, 3), np.uint8)
    return Sample(
        report.task.key, report.task.digest, row.image, "deconv", row.score, row.bicubic,
        (4, 2, side, side), (64, 60), *noise,
    )  # fmt: skip


def log(run: RunFolder, gains: list[float]) -> None:
    for step in range(10, 10 * len(gains) + 1, 10):
        run.log(step, {"train/loss": 1 / step, "train/learning_rate": 0.001})
        run.log(step, {"val_x2/rgb/psnr_gain": gains[step // 10 - 1]})
    run.log(10 * len(gains), {"best/val_x2/rgb/psnr_gain": 9.0}, final=True)


def test_the_numbers_are_those_of_the_tables(make: Make) -> None:
    validation = make_report([2.0], images="val", protocol="rgb")
    judged = make_report([0.5, 0.7, 0.3], images="set5")
    run = make([validation, judged])
    run.update(result={"task": judged.task.key, "gain": 0.5, "psnr": 31.5})
    found = page(run)
    # t(0.975, 2) = 4.30265; half-width 4.30265 * 0.2 / sqrt(3) = 0.4968
    assert found.tables["scores"][1:] == [
        ["set5_x2/y_paper", "3", "31.00", "31.50", "+0.50", "+0.00 to +1.00", "0.9000", "0.9050"],
        ["val_x2/rgb", "1", "30.00", "32.00", "+2.00", "–", "0.9000", "0.9200"],
    ]
    head, *rows = found.tables["images-1"]
    assert head[2] == "PSNR deconv"
    assert rows == [
        ["image2", "32.00", "32.30", "+0.30", "0.9000", "0.9030"],
        ["image0", "30.00", "30.50", "+0.50", "0.9000", "0.9050"],
        ["image1", "31.00", "31.70", "+0.70", "0.9000", "0.9070"],
        ["mean", "31.00", "31.50", "+0.50", "0.9000", "0.9050"],
    ]
    said = "".join(found.text["p"])
    assert "+0.50 dB over bicubic on set5_x2/y_paper" in said
    assert "95 % interval +0.00 to +1.00, Student's t, n = 3); better on 3 of 3 images" in said
    assert judged.task.label in said
    assert found.tables["differs"][1:] == [["model.depth", "3", "7"]]
    assert "srexp evaluate run=X" in found.text["code"]


def test_links_lead_to_files_of_the_run(make: Make) -> None:
    run = make([0.5, 0.6], "trainer.steps=77")
    keep(run.folder, [sample(make_report([0.5, 0.6]), 0)])
    links = page(run).links
    assert {"config.yaml", "samples", "evaluations/set5_x2/y_paper/final.csv"} <= set(links)
    assert all((run.folder / unquote(link)).exists() for link in links)


def test_the_worst_and_the_best_stand_side_by_side_with_bicubic(make: Make) -> None:
    report = make_report([0.9, 0.1])
    run = make([report])
    keep(run.folder, [sample(report, 0), sample(report, 1)])
    found = page(run)
    assert found.text["h3"] == ["image1: +0.10 dB", "image0: +0.90 dB"]
    names = [a["data-name"] for tag, a in found.tags if tag == "img"]
    assert names == ["bicubic", "deconv", "HR"] * 2
    said = "".join(found.text["figcaption"])
    assert "bicubic 31.00 dB, 0.9000" in said
    assert "deconv 31.10 dB, 0.9010" in said
    assert "16x16 of 64x60 pixels, from (4, 2)" in said


def test_pictures_of_other_images_or_another_degradation_are_not_shown(make: Make) -> None:
    report, other = make_report([0.9, 0.1]), make_report([0.9, 0.1], content="others")
    run = make([report])
    keep(run.folder, [sample(other, 0)])
    found = page(run)
    assert not any(tag == "img" for tag, _ in found.tags)


def test_a_page_holds_as_many_pictures_as_a_phone_takes(make: Make) -> None:
    report = make_report([0.1 * i for i in range(8)])
    run = make([report])
    keep(run.folder, [sample(report, i, side=400) for i in range(8)])
    path = run_report.write(run, ABOUT)
    assert 1_000_000 < path.stat().st_size < 3_100_000
    found = read_page(path.read_text())
    shown = sum(tag == "img" for tag, _ in found.tags) // 3
    assert 0 < shown < 8
    assert f"{8 - shown} more kept squares" in "".join(found.text["p"])


def test_curves_of_loss_and_gain(make: Make) -> None:
    run = make([0.5, 0.6])
    log(run, [0.1, 0.4, 0.3])
    run.update(progress={"step": 30, "best_step": 20, "seconds": 75.0})
    found = page(run)
    texts = [text.strip() for text in found.text["text"]]
    assert {"training loss", "PSNR gain in dB", "bicubic", "best (step 20)"} <= set(texts)
    assert "val_x2/rgb" in texts
    assert "best/val_x2/rgb" not in texts  # the point of the end is none of the curve
    assert any("step 30 of 500, trained for 1:15" in text for text in found.text["dd"])


def test_a_run_that_was_cut_off_shows_what_there_is(output: Path) -> None:
    run = scored_run(output, [0.5], title="cut off")
    for path in run.folder.glob("evaluations/**/*.csv"):
        path.unlink()
    for step, gain in ((20, 0.1), (100, 0.4), (40, 0.2)):
        report = replace(make_report([gain], images="val"), weights=f"of step {step}, raw")
        write_report(run, report, f"step-{step:07d}.csv")
    run.set_status("FAILED", failure="the loss of step 7 is nan")
    (run.folder / "error.txt").write_text(EVIL)
    found = page(run)
    assert found.text["h1"] == ["cut off"]
    assert [row[4] for row in found.tables["scores"][1:]] == ["+0.40"]
    assert any("of step 100, raw" in text for text in found.text["span"])
    assert "the loss of step 7 is nan" in found.text["dd"]
    assert EVIL in found.text["pre"]


def test_a_run_of_which_nothing_is_there_but_itself(output: Path) -> None:
    run = RunFolder.create(output, "deconv-x2", {}, "")
    run.release()
    (run.folder / "config.json").write_text("{")
    (run.folder / "environment.json").write_text("{")
    (run.folder / "metrics.jsonl").write_text('{"step": 1')
    found = page(RunFolder.open(run.folder), AboutRun(None, {}, None))
    assert "Nothing has been scored yet." in found.text["p"]
    assert "It cannot be read." in found.text["p"]
    assert "scores" not in found.tables


def test_a_damaged_table_is_said(make: Make) -> None:
    run = make([make_report([0.5]), make_report([0.5], images="set14")])
    path = run.folder / "evaluations/set14_x2/y_paper/final.csv"
    path.write_bytes(path.read_bytes()[:-20])
    found = page(run)
    assert [row[0] for row in found.tables["scores"][1:]] == ["set5_x2/y_paper"]
    assert "cut short" in "".join(found.text["li"])


def test_infinite_psnr_is_named_and_left_out(make: Make) -> None:
    report = make_report([0.5, 0.7, 0.0])
    row = report.rows[2]
    report.rows[2] = replace(row, score=Score(float("inf"), 1.0))
    found = page(make([report]))
    assert found.tables["scores"][1][4] == "+0.60"
    assert found.tables["images-1"][-2] == ["image2", "32.00", "∞", "+∞", "0.9000", "1.0000"]
    assert "Left out of all means" in "".join(found.text["p"])


def test_infinite_numbers_keep_their_sign() -> None:
    inf = float("inf")
    assert run_report._cells([inf, 30.0, -inf, 1.0, -inf]) == ["∞", "30.00", "-∞", "1.0000", "-∞"]
    assert run_report._cells([30.0, inf, inf]) == ["30.00", "∞", "+∞"]


def test_a_damaged_file_costs_what_is_in_it_alone(make: Make) -> None:
    report = make_report([0.5, 0.7])
    run = make([report])
    whole = page(run)
    log(run, [0.1, 0.4, 0.3])
    keep(run.folder, [sample(report, 0)])
    with (run.folder / "metrics.jsonl").open("a") as file:
        file.write('1\n{"step": 3}\n{"step": 40, "metrics": {"train/loss": "low"}}\n')
    for samples, environment in (('{"a": 1}', "[]"), ("[1]", "1"), ("1", "null")):
        (run.folder / "samples/samples.json").write_text(samples)
        (run.folder / "environment.json").write_text(environment)
        found = page(run)
        assert found.tables == whole.tables
        assert sum(tag == "svg" for tag, _ in found.tags) == 2
        assert not any(tag == "img" for tag, _ in found.tags)
    for config in ('{"a": 1}', '{"trainer": 3}'):
        (run.folder / "config.json").write_text(config)
        found = page(run)
        assert found.tables == whole.tables
        assert any("step 0 of ?" in text for text in found.text["dd"])


def test_what_comes_from_the_user_is_shown_not_run(make: Make) -> None:
    report = make_report([0.5], images="a b<c>")
    run = make([report], title=EVIL, sweep=EVIL)
    keep(run.folder, [replace(sample(report, 0), image=EVIL, method=EVIL)])
    (run.folder / "config.yaml").write_text(EVIL)
    found = page(run, AboutRun({EVIL: (EVIL, EVIL)}, {EVIL: EVIL}, EVIL))
    assert found.text["h1"] == [EVIL]
    assert found.tables["differs"][1] == [EVIL, EVIL, EVIL]
    assert EVIL in found.text["pre"]
    assert sum(tag == "script" for tag, _ in found.tags) == 1  # the slider's own, by its digest


def test_further_metrics_have_columns(make: Make) -> None:
    run = make([0.5, 0.7])
    path = run.folder / "evaluations/set5_x2/y_paper/final.csv"
    head, *lines = path.read_text().splitlines()
    path.write_text(
        "\n".join([f"{head},mae", *(f"{x},0.0{i}" for i, x in enumerate(lines, 1)), ""])
    )
    found = page(run)
    assert [row[-1] for row in found.tables["images-1"]] == ["mae", "0.0100", "0.0200", "0.0150"]


@pytest.mark.parametrize("full", [True, False])
def test_what_stood_there_stays_if_it_cannot_be_written(
    make: Make, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make([0.5])
    run_report.write(run, ABOUT)
    before = (run.folder / "report.html").read_bytes()
    run.update(title="changed")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    if full:
        monkeypatch.setattr("srexp.files.os.fsync", fail)
        with pytest.raises(OSError, match="No space"):
            run_report.write(run, ABOUT)
        assert (run.folder / "report.html").read_bytes() == before
    else:
        run_report.write(run, ABOUT)
        assert (run.folder / "report.html").read_bytes() != before
    assert not list(run.folder.glob(".*.part"))
