"""The page of a run, from its folder and what is known of it."""

from __future__ import annotations

from pathlib import Path

from srexp.comparison import about_run
from srexp.tracking.record import RunError, RunFolder


def write_report(run: RunFolder) -> Path:
    """Write a run's page.

    Args:
        run: Of any status.

    Returns:
        The file.

    Raises:
        OSError: It cannot be written; what was there before still is.
    """
    from srexp.comparison import run_report

    try:
        config = run.config
    except RunError:
        differs = None  # of a newer srexp, or damaged: the rest can be shown
    else:
        differs = {
            key: (about_run.text(value), about_run.text(default))
            for key, (value, default) in about_run.difference(config).items()
        }
    about = run_report.AboutRun(differs, about_run.commands(run), about_run.mlflow_link(run))
    return run_report.write(run, about)
