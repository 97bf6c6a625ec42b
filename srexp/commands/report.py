"""`srexp report`: a run as a page, made again from its folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from srexp.running import about_run
from srexp.terminal.arguments import RUN, add_output_dir, make_parser
from srexp.terminal.exit import fail
from srexp.tracking.record import RunError, RunFolder, find_runs

_DESCRIPTION = """\
Write report.html into the folder of a run: scores, pictures, curves, configuration. A training does
so when it is finished; this makes it again, or shows what there is of a run that was cut off."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    given = _parser().parse_args(arguments)
    try:
        found = find_runs(given.wanted, given.output_dir)
    except RunError as error:
        fail(str(error))
    for run in found:
        try:
            print(write_report(run))
        except OSError as error:
            fail(f"{error.filename or run.folder}: {error.strerror or error}", 1)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("report", _DESCRIPTION)
    parser.add_argument("wanted", metavar="RUN", nargs="+", help=RUN)
    add_output_dir(parser)
    return parser


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
    about = run_report.About(differs, about_run.commands(run), about_run.mlflow_link(run))
    return run_report.write(run, about)
