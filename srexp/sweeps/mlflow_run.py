"""A sweep's MLflow run, made from what its folder holds: by the sweep itself or by `srexp sync`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from srexp.sweeps import summary
from srexp.sweeps.results import JobResult
from srexp.tracking import sweep_view

_FILES = (
    "sweep.json", "jobs.csv", "summary.tex", "conf/experiment/best.yaml", "summary.png",
    "report.html",
)  # fmt: skip


def begin(
    folder: Path, shown: dict[str, Any], jobs: Sequence[JobResult], began: float
) -> dict[str, Any]:
    """Make the sweep's MLflow run, or take it up; `shown` with its id.

    Args:
        folder: Of the sweep.
        shown: What `sweep.json` says of MLflow.
        jobs: Of the sweep.
        began: When, in seconds since 1970.

    Raises:
        Exception: Whatever MLflow raises.
    """
    values: dict[str, dict[str, None]] = {}
    for job in jobs:
        for key, value in job.choices.items():
            values.setdefault(key, {})[value] = None
    params = {key: ", ".join(summary.ordered(found)) for key, found in values.items()}
    return sweep_view.begin(shown, folder.name, params, began)


def finish(
    folder: Path,
    shown: dict[str, Any],
    jobs: Sequence[JobResult],
    began: float,
    ended: float | None = None,
) -> dict[str, Any]:
    """Give the sweep's MLflow run what the folder holds, and its status; `shown`, complete.

    Args:
        folder: Of the sweep.
        shown: What `sweep.json` says of MLflow.
        jobs: Of the sweep.
        began: When, in seconds since 1970.
        ended: When; None for now.

    Raises:
        Exception: Whatever MLflow raises.
    """
    if shown["run_id"] is None:
        shown = begin(folder, shown, jobs, began)
    winner = summary.best(jobs)
    states = {job.state for job in jobs}
    status = (
        "FAILED" if "failed" in states
        else "KILLED" if states & {"stopped", "not started"}
        else "FINISHED"
    )  # fmt: skip
    return sweep_view.finish(
        shown,
        status,
        [folder / name for name in _FILES if (folder / name).exists()],
        summary.markdown(jobs, f"sweep {folder.name}: {summary.count(jobs)}"),
        {"srexp.report": str(folder / "report.html")},
        winner.gain.mean if winner else None,
        time.time() if ended is None else ended,
    )
