"""An evaluation as JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from srexp.data.sets import ImageSet
from srexp.degradations.downscale import Downscale
from srexp.evaluation.cost import Cost
from srexp.evaluation.document import document, to_json
from srexp.evaluation.scoring import ImageResult, Report, Score, Task
from srexp.evaluation.timing import Timing
from srexp.protocol import Protocol


def _report(*rows):
    image = np.random.default_rng(0).integers(0, 255, (20, 20, 1), np.uint8) / np.float32(255)
    degradation = Downscale(scale=2, interpolation="bicubic", engine="matlab", antialias=True)
    protocol = Protocol(degrade="y", lr_8bit=False, compare="y", border=None)
    task = Task(ImageSet("mine", {"a": image}), degradation, "y_paper", protocol)
    results = [ImageResult(n, Score(p, 0.9), Score(b, 0.8)) for n, p, b in rows]
    return Report(task, results, "deconv", "best")


def test_means_interval_and_rows():
    report = _report(("a", 33.0, 30.0), ("b", 32.0, 31.0), ("same", math.inf, 31.0))
    cost, timing = Cost(10, 20), Timing(1.5, 5, 2, None, "a device")
    found = json.loads(to_json(document(report, cost=cost, timing=timing, run="r")))
    assert found["means"]["psnr"] == 32.5
    assert found["means"]["psnr_gain"] == found["psnr_gain_interval"]["mean"] == 2.0
    # Student's t with one degree of freedom: 12.7062 times sd / sqrt(2) = 1.
    assert found["psnr_gain_interval"]["low"] == pytest.approx(2 - 12.7062, abs=1e-4)
    assert found["psnr_gain_interval"]["n"] == 2
    assert found["left_out"] == ["same"]
    assert [row["image"] for row in found["rows"]] == ["a", "b", "same"]
    assert found["rows"][2]["score"]["psnr"] is None
    assert found["rows"][0]["bicubic"]["ssim"] == 0.8
    assert (found["key"], found["digest"]) == ("mine_x2/y_paper", report.task.digest)
    assert (found["run"], found["method"], found["weights"]) == ("r", "deconv", "best")
    assert found["cost"]["multiply_adds"] == 20
    assert found["timing"]["ms_per_megapixel"] == 1.5


def test_what_is_not_known_is_null():
    found = json.loads(to_json(document(_report(("a", 33.0, 30.0)), cost=None, timing=None)))
    assert found["cost"] is found["timing"] is found["psnr_gain_interval"]["low"] is None
