"""`srexp leaderboard`: all finished runs, ranked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srexp.comparison.index import Entry, indexed
from srexp.files import write_atomically
from srexp.pages.table import DOCUMENTS, to_csv
from srexp.terminal.arguments import add_names, add_output_dir, add_over, make_parser, path_type
from srexp.terminal.exit import fail
from srexp.tracking.record import RunError, RunFolder

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
  srexp leaderboard --table paper --format latex > table.tex
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
    add("--sort", choices=_SORTS, default="gain", metavar="BY", help=f"{', '.join(_SORTS)}: scores "
        "from the highest, costs from the lowest; runs without it come last "
        "(default: gain)")  # fmt: skip
    add("--limit", type=int, metavar="N", help="rows in a table, 0 for all "
        f"(default: {_ROWS}; of csv and json all)")  # fmt: skip
    add("--format", choices=_FORMATS, default="table", help="default: table")
    add("--table", choices=("runs", "paper"), default="runs", help="a row for each run and a table "
        "for each image set (default), or the one of papers: a row for each method, seeds "
        "together, image sets and scales side by side")  # fmt: skip
    add_names(add)
    add_over(parser)
    add("--json", action="store_const", const="json", dest="format", help="short for --format json")
    add("--plot", type=path_type, metavar="FILE", help="draw gain against multiply-adds and "
        f"parameters with the Pareto front ({', '.join(_PLOTS)})")  # fmt: skip
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
    if given.table == "paper" and given.format == "json":
        raise RunError("--table paper: json has all digits of every run; leave one of the two out")
    if given.table != "paper" and given.over is not None:
        raise RunError("--intervals, --seeds: belong to --table paper")
    if given.name and given.plot is None and given.table != "paper":
        raise RunError("--name: belongs to --table paper and to --plot; a row of this one is a run")
    entries = indexed(given.output_dir, scores=True)
    # NumPy: only once there is something to compute.
    from srexp.comparison.leaderboard import make_boards, pooled
    from srexp.terminal.names_given import names_given

    boards = make_boards(
        entries,
        benchmarks=given.benchmark,
        scales=given.scale,
        protocols=given.protocol,
        sort=given.sort,
    )
    runs = {entry.run.id: entry.run for entry in entries}
    ranked = list(dict.fromkeys(row.run for board in boards for row in board.rows))
    names = names_given(given.name, [runs[run] for run in ranked], given.output_dir)
    if given.plot is not None:
        _plot(given.plot, [pooled(board, runs, names) for board in boards])
    remarks = _remarks(given, entries, boards)
    if given.table == "paper":
        _print_paper(given, [runs[run] for run in ranked], boards, names, remarks)
    else:
        _print(given, boards, remarks)


def _remarks(given: argparse.Namespace, entries: list[Entry], boards: list[Board]) -> list[str]:
    finished = [entry for entry in entries if entry.run.info["status"] == "FINISHED"]
    if not boards:
        what = "no finished run has scores" if finished else "no finished runs"
        return [f"{what} in {given.output_dir.resolve()}; to make one: python -m srexp train"]
    remarks = []
    if len(boards) > 1 and given.table == "runs":
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
    from srexp.comparison import ranking
    from srexp.terminal.console import make_console, print_table

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


def _print_paper(
    given: argparse.Namespace,
    ranked: list[RunFolder],
    boards: list[Board],
    names: dict[str, str],
    remarks: list[str],
) -> None:
    """Methods as rows, in the order of the first board that has them."""
    from srexp.comparison import output
    from srexp.comparison.methods import BICUBIC, group
    from srexp.comparison.results import read_run
    from srexp.comparison.standard import flat_table, standard_tables
    from srexp.comparison.tables import make_table
    from srexp.terminal.console import make_console

    methods, repeated = group([read_run(run) for run in ranked], names)
    limit = _ROWS if given.limit is None else given.limit
    remarks = [
        *[line for line in remarks if not line.startswith(f"{len(boards)} tables")],
        *repeated,
    ]
    if limit and limit < len(methods):
        remarks.append(f"{limit} of {len(methods)} methods (--limit)")
        methods = methods[:limit]
    bicubic = names.get(BICUBIC, BICUBIC)
    tasks = dict.fromkeys(board.task for board in boards)
    tables = [make_table(task, methods, "psnr", bicubic, pairs=False) for task in tasks
              if any(method.evaluations(task) for method in methods)]  # fmt: skip
    console = make_console()
    if given.format == "csv":
        console.out(to_csv(flat_table(tables, given.over)), highlight=False, end="")
        return
    shown = standard_tables(tables, given.over)
    if given.format == "table":
        for part in output.to_rich(shown, remarks):
            console.print(part)
        return
    console.out(
        DOCUMENTS[given.format]("srexp leaderboard", shown, remarks), highlight=False, end=""
    )


def _plot(path: Path, boards: list[Board]) -> None:
    from srexp.comparison.pareto import draw

    picture = draw(boards, path.suffix.lower().removeprefix("."))
    try:
        write_atomically(path, picture)
    except OSError as error:
        raise RunError(f"--plot {path}: cannot be written ({error.strerror or error})") from None
