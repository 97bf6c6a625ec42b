"""`srexp report`: a run as a page, made again from its folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from srexp.running.report import write_report
from srexp.terminal.arguments import RUN, add_output_dir, make_parser
from srexp.terminal.exit import fail
from srexp.tracking.record import RunError, find_runs

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
