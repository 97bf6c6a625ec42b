"""Published rows: what is within a tolerance, and what a table prints and keeps."""

from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest

from srexp.data.sets import ImageSet
from srexp.degradations.downscale import Downscale
from srexp.evaluation.published import Measured, PublishedRow, bicubic_report
from srexp.evaluation.reproduction import counts, to_csv, to_json, to_markdown, verdict
from srexp.evaluation.scoring import Task
from srexp.evaluation.tables import from_csv
from srexp.evaluation.tables import to_csv as report_to_csv
from srexp.images.quantize import from_uint8
from srexp.protocol import Protocol

X2 = Downscale(scale=2, interpolation="bicubic", engine="matlab", antialias=True)
PAPER = Protocol(degrade="y", lr_8bit=False, compare="y", border=None)


def _row(**changes) -> PublishedRow:
    values = {
        "set": "mine", "scale": 2, "method": "bicubic", "protocol": "y_paper", "paper": "A, 2026",
        "number": 3, "psnr": 33.66, "ssim": 0.9299, "psnr_tolerance": 0.005,
        "ssim_tolerance": 0.0002, "train": None,
    }  # fmt: skip
    return PublishedRow(**(values | changes))


@pytest.fixture
def task() -> Task:
    def noise(seed: int) -> np.ndarray:
        levels = np.random.default_rng(seed).integers(0, 255, (24, 24, 1), np.uint8)
        return from_uint8(levels)

    flat = np.full((24, 24, 1), np.float32(0.6))
    return Task(ImageSet("mine", {"a": noise(0), "flat": flat, "b": noise(1)}), X2, "p", PAPER)


@pytest.mark.parametrize(
    ("psnr", "ssim", "passes"),
    [
        (33.66, 0.9299, True),
        (33.665, 0.9301, True),  # the tolerance itself, which floats do not hold
        (33.655, 0.9297, True),
        (33.6651, 0.9299, False),
        (33.6549, 0.9299, False),
        (33.66, 0.93011, False),
        (33.66, 0.92969, False),
        (math.nan, 0.9299, False),
        (math.inf, 0.9299, False),
    ],
)
def test_tolerances_are_inclusive(psnr, ssim, passes) -> None:
    assert _row().fits(psnr, ssim) is passes


def test_an_ssim_that_was_not_published_is_not_compared() -> None:
    row = _row(ssim=None, ssim_tolerance=None)
    assert row.fits(33.66, 0.1) and not row.fits(33.6, 0.9299)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scale": 1}, "scale=1: must be between 2 and 8"),
        ({"psnr_tolerance": 0}, "psnr_tolerance=0: must be greater than 0"),
        ({"ssim": 1.2}, "ssim=1.2: must be between -1 and 1"),
        ({"ssim_tolerance": None}, "tolerance.ssim=null: must be a number"),
        ({"method": "vdsr"}, "method=vdsr: without weights there is bicubic alone"),
    ],
)
def test_rows_that_cannot_be(changes, words) -> None:
    with pytest.raises(ValueError, match=words):
        _row(**changes)


def test_sources() -> None:
    assert _row().source == "A, 2026, table 3"
    assert _row(number=None).source == "A, 2026"


def test_what_is_kept_says_what_was_measured(task) -> None:
    report = bicubic_report(task)
    finite = [r.score.psnr for r in report.rows if math.isfinite(r.score.psnr)]
    assert len(finite) == 2, "bicubic restores a flat image"
    row = _row(psnr=round(float(np.mean(finite)) + 1, 4), ssim=None, ssim_tolerance=None)
    m = Measured.of("mine_x2", row, report)
    assert (m.images, m.infinite) == (2, ["flat"])
    assert m.psnr == pytest.approx(np.mean(finite))
    assert verdict(m) == "miss (PSNR)" and counts([m]) == (1, 1)
    (kept,) = csv.DictReader(io.StringIO(to_csv([m])))
    assert float(kept["psnr"]) == m.psnr and kept["pass"] == "False"
    assert (kept["paper"], kept["table"], kept["digest"]) == ("A, 2026", "3", task.digest)
    content = json.loads(to_json("mine", [m], ["a note"]))
    assert content["pass"] is False and content["notes"] == ["a note"]
    assert content["rows"][0]["psnr_published"] == row.psnr
    text = to_markdown("mine", [m], ["a note"])
    assert text.count("\n|") == 3 and "A, 2026, table 3" in text and "- a note" in text


def test_markdown_shows_names_and_notes_as_they_are(task) -> None:
    row = _row(method="a|b*c", train="model=a", paper="<b>A</b>")
    text = to_markdown("x`y", [Measured.of("k", row, bicubic_report(task))], ["1 < 2 | 3"])
    assert r"| a\|b\*c |" in text
    assert r"\<b\>A\</b\>, table 3" in text
    assert text.startswith("# x\\`y\n") and text.endswith("- 1 \\< 2 \\| 3\n")


def test_a_set_without_a_finite_score_misses_in_strict_json(task) -> None:
    flat = ImageSet("mine", {"flat": task.images.images["flat"]})
    m = Measured.of("k", _row(), bicubic_report(Task(flat, X2, "p", PAPER)))
    assert not m.passes and counts([m]) == (2, 2)
    assert json.loads(to_json("mine", [m], []))["rows"][0]["psnr"] is None


def test_results_come_back_from_their_csv_and_only_to_their_task(task) -> None:
    report = bicubic_report(task)
    text = report_to_csv(report)
    assert from_csv(text, task).rows == report.rows
    other = Task(task.images, X2, "p", Protocol(degrade="y", lr_8bit=True, compare="y", border=0))
    assert from_csv(text, other) is None
    assert from_csv("", task) is None
    assert from_csv(text[: len(text) // 2], task) is None
    assert from_csv(text.replace("psnr", "psnrr"), task) is None
