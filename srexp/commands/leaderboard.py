"""`srexp leaderboard`: all finished runs, ranked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srexp.commands.arguments import add_output_dir, make_parser
from srexp.commands.exit import fail
from srexp.comparison.index import Entry, indexed
from srexp.files import write_atomically
from srexp.pages.table import DOCUMENTS
from srexp.tracking.record import RunError

if TYPE_CHECKING:
    from srexp.comparison.leaderboard import Board

_SORTS = ("gain", "psnr", "ssim", "parameters", "multiply_adds", "ms", "minutes")
_FORMATS = ("table", *DOCUMENTS, "csv", "json")
_PLOTS = (".png", ".svg", ".pdf")
_ROWS = 20
_FAULTS = 3

_DESCRIPTION = """\
Every finished run under the output folder: gain over bicubic with its 95 % interval, PSNR, SSIM,
parameters, multiply-adds for an SR image of 1280x720, milliseconds per megapixel of output (where
`srexp evaluate timing=true` measured them), minutes of training. One table for each image set,
degradation and protocol: numbers that differ in any of these never stand in one column. To see
whether one run really beats another: srexp compare RUN RUN."""

_EXAMPLES = """\
  srexp leaderboard --benchmark set5 --scale 2
  srexp leaderboard --protocol y_paper --sort parameters
  srexp leaderboard --benchmark set14 --plot pareto.png    gain against cost
  srexp leaderboard --format csv > runs.csv
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    given = _parser().parse_args(arguments)
    try:
        leaderboard(given)
    except RunError as error:
        fail(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("leaderboard", _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add("--benchmark", action="append", default=[], help="only this one; may be repeated "
        "(default: all but val, which chose the weights)")  # fmt: skip
    add("--scale", type=int, action="append", default=[], help="only this one; may be repeated")
    add("--protocol", action="append", default=[], help="only this one; may be repeated")
    add("--sort", choices=_SORTS, default="gain", help="scores from the highest, costs from the "
        "lowest; runs without it come last (default: gain)")  # fmt: skip
    add("--limit", type=int, metavar="N", help="rows in a table, 0 for all "
        f"(default: {_ROWS}; of csv and json all)")  # fmt: skip
    add("--format", choices=_FORMATS, default="table", help="default: table")
    add("--json", action="store_const", const="json", dest="format", help="short for --format json")
    add("--plot", type=Path, metavar="FILE", help="draw gain against multiply-adds and parameters "
        f"with the Pareto front ({', '.join(_PLOTS)})")  # fmt: skip
    add_output_dir(parser)
    return parser


def leaderboard(given: argparse.Namespace) -> None:
    """Read, rank, print, draw.

    Raises:
        RunError: Nothing fits what is asked for, or the plot cannot be made, in one line.
    """
    if given.limit is not None and given.limit < 0:
        raise RunError(f"--limit {given.limit}: must be at least 0")
    if given.plot is not None and given.plot.suffix.lower() not in _PLOTS:
        raise RunError(f"--plot {given.plot}: the name must end in {', '.join(_PLOTS)}")
    entries = indexed(given.output_dir, scores=True)
    # NumPy: only once there is something to compute.
    from srexp.comparison.leaderboard import make_boards

    boards = make_boards(
        entries,
        benchmarks=given.benchmark,
        scales=given.scale,
        protocols=given.protocol,
        sort=given.sort,
    )
    if given.plot is not None:
        _plot(given.plot, boards)
    _print(given, boards, _remarks(given, entries, boards))


def _remarks(given: argparse.Namespace, entries: list[Entry], boards: list[Board]) -> list[str]:
    finished = [entry for entry in entries if entry.run.info["status"] == "FINISHED"]
    if not boards:
        what = "no finished run has scores" if finished else "no finished runs"
        return [f"{what} in {given.output_dir.resolve()}; to make one: python -m srexp train"]
    remarks = []
    if len(boards) > 1:
        remarks.append(
            f"{len(boards)} tables: numbers of other images, degradations or protocols stand in "
            "another one; --benchmark, --scale and --protocol choose"
        )
    faults = [fault for entry in finished for fault in entry.faults]
    remarks += faults[:_FAULTS]
    if len(faults) > _FAULTS:
        remarks.append(f"and {len(faults) - _FAULTS} more tables were passed over")
    return remarks


def _print(given: argparse.Namespace, boards: list[Board], remarks: list[str]) -> None:
    from srexp.commands.console import make_console, print_table
    from srexp.comparison import ranking

    console = make_console()
    few = given.format not in ("csv", "json")
    limit = given.limit if given.limit is not None else _ROWS if few else 0
    if given.format == "csv":
        text = ranking.to_csv(boards, limit)
    elif given.format == "json":
        text = ranking.to_json(boards, remarks, limit)
    else:
        tables = [ranking.make_table(board, limit) for board in boards]
        if given.format == "table":
            for table in tables:
                console.print(table.caption)
                print_table(console, table)
                console.print("\n".join(table.notes) + "\n")
            for remark in remarks:
                console.print(f"note: {remark}")
            return
        text = DOCUMENTS[given.format]("srexp leaderboard", tables, remarks)
    console.out(text, highlight=False, end="")


def _plot(path: Path, boards: list[Board]) -> None:
    from srexp.comparison.pareto import draw

    picture = draw(boards, path.suffix.lower().removeprefix("."))
    try:
        write_atomically(path, picture)
    except OSError as error:
        raise RunError(f"--plot {path}: cannot be written ({error.strerror or error})") from None
