"""Runs with scores but without a training: folders as `srexp train` leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from srexp.config.compose import compose
from srexp.data.sets import ImageSet
from srexp.degradations.downscale import Downscale
from srexp.evaluation.scoring import ImageResult, Report, Score, Task
from srexp.evaluation.tables import to_csv
from srexp.protocol import Protocol
from srexp.tracking.record import RunFolder


def make_report(
    gains: Sequence[float], *, images: str = "set5", scale: int = 2, protocol: str = "y_paper",
    content: str = "pixels", engine: str = "matlab", border: int | None = None,
    bicubic: Sequence[float] | None = None,
) -> Report:  # fmt: skip
    """A report with these PSNR gains in dB over bicubic, 30, 31, 32 ... dB."""
    names = [f"image{i}" for i in range(len(gains))]
    image_set = ImageSet(images, {name: np.zeros((64, 64, 3), np.float32) for name in names})
    image_set.digest = content  # what the pixels would give
    task = Task(
        image_set,
        Downscale(scale=scale, interpolation="bicubic", engine=engine, antialias=True),
        protocol,
        Protocol(degrade="y", lr_8bit=False, compare="y", border=border),
    )
    base = bicubic or [30.0 + i for i in range(len(gains))]
    rows = [
        ImageResult(name, Score(below + gain, min(0.9 + gain / 100, 1.0)), Score(below, 0.9))
        for name, below, gain in zip(names, base, gains, strict=True)
    ]
    return Report(task, rows, "deconv", "best on val (step 60), raw")


def write_report(run: RunFolder, report: Report, name: str = "final.csv") -> Path:
    path = run.folder / "evaluations" / report.task.key / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_csv(report))
    return path


def scored_run(
    output: Path, scores: Sequence[float] | Sequence[Report], *overrides: str, **info: Any
) -> RunFolder:
    """A finished run with these gains on set5, or with these reports."""
    reports = [r if isinstance(r, Report) else None for r in scores]
    written = [r for r in reports if r is not None] or [make_report(scores)]  # type: ignore[arg-type]
    config = compose(overrides=list(overrides))
    run = RunFolder.create(output, "deconv-x2", config, "", **{"images_digest": "d", **info})
    for report in written:
        write_report(run, report)
    run.set_status("FINISHED", gains={r.task.key: float(r.gain.mean) for r in written})
    run.release()
    return run
