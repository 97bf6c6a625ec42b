"""Sentences, tables and CSV files."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
import scipy.stats
from rich.console import Console

from srexp.data.sets import ImageSet
from srexp.degradations.downscale import Downscale
from srexp.evaluation.numbers import number
from srexp.evaluation.scoring import ImageResult, Report, Score, Task
from srexp.evaluation.tables import caption, headline, table, to_csv
from srexp.metrics.base import Metric
from srexp.protocol import Protocol

ROWS = [
    ImageResult("baby", Score(38.5, 0.96), Score(37.0, 0.95)),
    ImageResult("bird", Score(41.25, 0.975), Score(36.75, 0.9725)),
    ImageResult("head", Score(34.0, 0.85), Score(34.5, 0.86)),
]
FLAT = ImageResult("white", Score(math.inf, 1.0), Score(50.0, 0.99))


def _report(*rows, weights=""):
    image = np.zeros((16, 16, 1), np.float32)
    task = Task(
        ImageSet("set5", {row.image: image for row in rows}),
        Downscale(scale=2, interpolation="bicubic", engine="matlab", antialias=True),
        "y_paper",
        Protocol(degrade="y", lr_8bit=False, compare="y", border=None),
    )
    return Report(task, list(rows), "srcnn", weights)


@pytest.mark.parametrize(
    ("value", "text", "signed"),
    [
        (33.656, "33.66", "+33.66"),
        (-0.125, "-0.12", "-0.12"),
        (math.inf, "inf", "+inf"),
        (-math.inf, "-inf", "-inf"),
        (math.nan, "-", "-"),
    ],
)
def test_numbers(value, text, signed):
    assert number(value, 2) == text
    assert number(value, 2, "+") == signed


def test_the_headline_states_gain_and_interval():
    gains = [1.5, 4.5, -0.5]
    low, high = scipy.stats.t.interval(0.95, 2, np.mean(gains), scipy.stats.sem(gains))
    assert headline(_report(*ROWS)) == (
        f"+1.83 dB over bicubic, 95 % interval {low:+.2f} to {high:+.2f} (Student's t, n = 3); "
        "better on 2 of 3 images"
    )


def test_the_headline_leaves_out_infinite_images():
    assert headline(_report(*ROWS, FLAT)) == headline(_report(*ROWS))


def test_the_headline_of_one_image_states_no_interval():
    text = headline(_report(ROWS[2], FLAT))
    assert text == "0.50 dB below bicubic (n = 1: no interval); better on 0 of 1 image"


def test_the_headline_of_no_finite_image_states_no_gain():
    text = headline(_report(FLAT))
    assert text == "no image with a finite PSNR: no gain can be stated"


def test_a_gain_of_nothing_is_not_better():
    same = ImageResult("same", Score(30.0, 0.9), Score(30.0, 0.9))
    assert headline(_report(same, same)).endswith("better on 0 of 2 images")


def test_the_caption_names_what_was_left_out():
    lines = caption(_report(*ROWS, FLAT, weights="best (step 300)"), None).splitlines()
    assert lines == [
        headline(_report(*ROWS)),
        "left out of all means, identical to HR (PSNR infinite): white",
        "weights: best (step 300)",
    ]
    assert caption(_report(*ROWS), None) == headline(_report(*ROWS))


def _drawn(report):
    console = Console(width=140, file=io.StringIO(), color_system=None)
    console.print(table(report))
    text = console.file.getvalue()
    rows = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.replace("┃", "│").strip("│┃ ").split("│")]
        if len(cells) == 6:
            rows[cells[0]] = cells[1:]
    return text, rows


def test_the_table_shows_every_image_and_the_means_of_the_finite_ones():
    report = _report(*ROWS, FLAT)
    text, rows = _drawn(report)
    assert report.task.label in text  # with its digest: brackets are not markup
    assert rows["image"] == [
        "PSNR bicubic", "PSNR srcnn", "gain dB", "SSIM bicubic", "SSIM srcnn",
    ]  # fmt: skip
    assert rows["baby"] == ["37.00", "38.50", "+1.50", "0.9500", "0.9600"]
    assert rows["head"] == ["34.50", "34.00", "-0.50", "0.8600", "0.8500"]
    assert rows["white"] == ["50.00", "inf", "+inf", "0.9900", "1.0000"]
    # (37 + 36.75 + 34.5) / 3, (38.5 + 41.25 + 34) / 3, and so on.
    assert rows["mean"] == ["36.08", "37.92", "+1.83", "0.9275", "0.9283"]


def test_a_table_without_a_finite_image_has_no_means():
    _, rows = _drawn(_report(FLAT))
    assert rows["mean"] == ["-", "-", "-", "-", "-"]


def test_brackets_in_a_name_are_shown():
    odd = ImageResult("cat[old]", Score(30.0, 0.9), Score(29.0, 0.8))
    assert "cat[old]" in _drawn(_report(odd))[1]


def test_csv_keeps_every_digit():
    odd = ImageResult('a, "b"', Score(1 / 3 * 100, 0.1 + 0.2), Score(math.pi * 10, math.e / 3))
    report = _report(odd, *ROWS, weights="best (step 3), EMA")
    lines = list(csv.DictReader(io.StringIO(to_csv(report))))
    assert len(lines) == 4
    for line, row in zip(lines, report.rows, strict=True):
        assert line["image"] == row.image
        assert Score(float(line["psnr"]), float(line["ssim"])) == row.score
        assert Score(float(line["psnr_bicubic"]), float(line["ssim_bicubic"])) == row.bicubic
        assert float(line["psnr_gain"]) == row.score.psnr - row.bicubic.psnr


def test_csv_says_in_every_line_what_the_numbers_belong_to():
    report = _report(*ROWS, weights="best (step 3), EMA")
    for line in csv.DictReader(io.StringIO(to_csv(report))):
        assert line["set"] == "set5"
        assert line["scale"] == "2"
        assert line["degradation"] == "x2 matlab bicubic"
        assert line["protocol"] == "y_paper"
        assert line["digest"] == report.task.digest
        assert line["method"] == "srcnn"
        assert line["weights"] == "best (step 3), EMA"


def test_csv_keeps_infinite_rows():
    (line,) = csv.DictReader(io.StringIO(to_csv(_report(FLAT))))
    assert float(line["psnr"]) == math.inf
    assert float(line["psnr_gain"]) == math.inf


class Judged(Metric):
    """A metric that has weights, as LPIPS has."""

    label = "JUDGE"
    digits = 2
    minimum_side = 99
    weights = "net.keras [01234567]"
    note = "by somebody"


def _further(*values):
    """Images with a value of the network and of bicubic each."""
    rows = [
        ImageResult(name, Score(31.0, 0.9, {"judge": s}), Score(30.0, 0.8, {"judge": b}))
        for name, s, b in values
    ]
    report = _report(*rows)
    report.task.metrics = {"judge": Judged()}
    return report


def test_further_metrics_stand_behind_the_others():
    report = _further(("a", 0.125, 0.5), ("b", 0.375, 1.0))
    console = Console(width=200, file=io.StringIO(), color_system=None)
    console.print(table(report))
    lines = [
        [cell.strip() for cell in line.replace("┃", "│").strip("│ ").split("│")]
        for line in console.file.getvalue().splitlines()
    ]
    rows = {line[0]: line[6:] for line in lines if len(line) == 8}
    assert rows == {
        "image": ["JUDGE bicubic", "JUDGE srcnn"], "a": ["0.50", "0.12"], "b": ["1.00", "0.38"],
        "mean": ["0.75", "0.25"],
    }  # fmt: skip
    assert caption(report, None).splitlines()[-1] == "JUDGE: by somebody"


def test_an_image_without_a_value_is_named():
    report = _further(("a", 0.125, 0.5), ("b", math.nan, math.nan))
    assert caption(report, None).splitlines()[-1] == (
        "JUDGE: none, and so no mean, where a side is below 99 pixels: b"
    )
    console = Console(width=200, file=io.StringIO(), color_system=None)
    console.print(table(report))
    assert console.file.getvalue().count("- │") == 4


def test_csv_has_further_metrics_behind_the_old_columns():
    report = _further(("a", 1 / 3, 0.5), ("b", math.nan, math.nan))
    plain = _further(("a", 1 / 3, 0.5), ("b", math.nan, math.nan))
    plain.task.metrics = {}
    lines, old = (to_csv(r).splitlines() for r in (report, plain))
    for line, before in zip(lines, old, strict=True):
        assert line.startswith(f"{before},")
    first, second = csv.DictReader(io.StringIO("\n".join(lines)))
    assert (float(first["judge"]), float(first["judge_bicubic"])) == (1 / 3, 0.5)
    assert first["judge_weights"] == second["judge_weights"] == "net.keras [01234567]"
    assert math.isnan(float(second["judge"]))
