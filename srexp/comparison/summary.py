"""An evaluation in a few numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from srexp.comparison.results import Evaluation, TaskKey
from srexp.evaluation.cost import Cost
from srexp.evaluation.statistics import Interval, t_interval


@dataclass(frozen=True)
class Speed:
    """What `srexp evaluate timing=true` measured.

    Attributes:
        ms_per_megapixel: Of output.
        device: What it ran on, in words.
    """

    ms_per_megapixel: float
    device: str


@dataclass(frozen=True)
class Summary:
    """Means of one evaluation over the images that count; NaN where none does.

    Attributes:
        task: What the scores belong to.
        method: `deconv`, or a resampler's name.
        weights: Which: `best on val (step 500), raw`.
        images: How many were scored, with those that do not count.
        infinite: The images on which a PSNR is infinite.
        gain: Mean PSNR over bicubic in dB and its 95 % interval.
        psnr, ssim: Of the method; PSNR in dB.
        psnr_bicubic, ssim_bicubic: Of bicubic on the same images.
        timing: The newest of the same method on the same task.
    """

    task: TaskKey
    method: str
    weights: str
    images: int
    infinite: tuple[str, ...]
    gain: Interval
    psnr: float
    ssim: float
    psnr_bicubic: float
    ssim_bicubic: float
    timing: Speed | None


def summarize(
    evaluation: Evaluation, without: Collection[str] = (), timing: Speed | None = None
) -> Summary:
    """The means of an evaluation.

    Args:
        evaluation: Per-image scores.
        without: Images that do not count, because another method of the table has an infinite
            PSNR on them; those of this one never count.
        timing: What is known of its speed.
    """
    infinite = tuple(row.image for row in evaluation.rows if not row.finite)
    rows = [row for row in evaluation.rows if row.finite and row.image not in without]

    def mean(values: list[float]) -> float:
        return fmean(values) if values else math.nan

    return Summary(
        evaluation.task,
        evaluation.method,
        evaluation.weights,
        len(evaluation.rows),
        infinite,
        t_interval([row.psnr - row.psnr_bicubic for row in rows]),
        mean([row.psnr for row in rows]),
        mean([row.ssim for row in rows]),
        mean([row.psnr_bicubic for row in rows]),
        mean([row.ssim_bicubic for row in rows]),
        timing,
    )


def find_timing(evaluation: Evaluation, files: Sequence[Path]) -> Speed | None:
    """The newest timing of the same method on the same task, among a run's `find_files`."""
    beside = [
        path for path in files if path.suffix == ".json" and path.parent == evaluation.path.parent
    ]
    found = []
    for path in beside:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["method"] == evaluation.method and document["timing"] is not None:
                timing = document["timing"]
                read = Speed(float(timing["ms_per_megapixel"]), str(timing["device"]))
                found.append((float(document["created"]), read))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not whole, or of an srexp that measured nothing
    return max(found, key=lambda one: one[0])[1] if found else None


def cost_of(info: Mapping[str, Any]) -> Cost | None:
    """What a run's network costs, from its `run.json`; None where that does not say.

    A run of an older srexp has it among the tags that MLflow was to show, if at all.
    """
    cost = info.get("cost") or {}
    tags = (info.get("mlflow") or {}).get("tags") or {}
    parameters = cost.get("parameters", tags.get("srexp.parameters"))
    multiply_adds = cost.get("multiply_adds", tags.get("srexp.multiply_adds_1280x720"))
    if parameters is None or multiply_adds is None:
        return None
    return Cost(int(parameters), int(multiply_adds))


def to_json(summary: Summary) -> dict[str, Any]:
    """Plain data; Python's own JSON keeps NaN."""
    timing = vars(summary.timing) if summary.timing else None
    return {
        **vars(summary),
        "task": vars(summary.task),
        "gain": vars(summary.gain),
        "timing": timing,
    }


def from_json(data: dict[str, Any]) -> Summary:
    """What `to_json` made."""
    values = {
        "task": TaskKey(**data["task"]),
        "gain": Interval(**data["gain"]),
        "infinite": tuple(data["infinite"]),
        "timing": Speed(**data["timing"]) if data["timing"] else None,
    }
    return Summary(**{**data, **values})
