"""`srexp compare`: runs side by side on the images that all of them were scored on."""

from __future__ import annotations

import argparse
import io
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srexp.comparison import shown_in_mlflow
from srexp.comparison.shown import drawn_figure, page
from srexp.comparison.side_by_side import put_side_by_side, read
from srexp.files import write_atomically
from srexp.pages.table import DOCUMENTS, Table, to_csv
from srexp.paths import to_path
from srexp.terminal.arguments import (
    RUN,
    add_names,
    add_output_dir,
    add_over,
    make_parser,
    path_type,
)
from srexp.terminal.exit import fail
from srexp.terminal.names_given import names_given
from srexp.tracking.record import RunError, RunFolder, find_runs, runs

if TYPE_CHECKING:
    from rich.console import RenderableType

    from srexp.comparison.tables import TaskTable

_TABLES = ("paper", "statistics")
_FORMATS = ("table", *DOCUMENTS, "csv", "json")

_DESCRIPTION = """\
The usual table of papers: methods as rows, image sets times scales as columns, PSNR/SSIM in each,
the best in bold, the second underlined. Then the statistics: per image set, scale and protocol
mean PSNR and SSIM of bicubic and of each run, gain over bicubic with its 95 % interval, and for
each two runs the paired difference per image with interval, sign-flip permutation test, Holm's
correction, wins and losses. Runs that differ in seed alone are replicates of one method; those
that differ in scale alone are one row. Reads run folders only; what was not scored yet is scored
by `srexp evaluate`."""

_EXAMPLES = """\
  srexp compare outputs/2026-*                     run folders
  srexp compare RUN RUN --metric ssim              two runs, by SSIM
  srexp compare --sweep latest --format markdown   those of the newest sweep
  srexp compare RUN outputs/evaluations/set5_x2/y_paper/lanczos_*.csv
  srexp compare RUN RUN --format latex -o table.tex --name RUN=Ours
  srexp compare RUN RUN --html page.html --figure figure.png --image butterfly
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    given = _parser().parse_args(arguments)
    try:
        compare(given)
    except RunError as error:
        fail(str(error))
    except shown_in_mlflow.NotTaken as error:
        fail(str(error), 1)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("compare", _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add("wanted", metavar="RUN", nargs="*", help=f"{RUN}; or "
        "FILE.csv, what `srexp evaluate` wrote of a resampler or another program")  # fmt: skip
    add("--sweep", help="the finished runs of this sweep too (its folder, a part of it, or latest)")
    add("--benchmark", action="append", default=[], help="only on this one; may be repeated "
        "(default: all but val, which chose the weights)")  # fmt: skip
    add("--protocol", action="append", default=[], help="only under this one; may be repeated")
    add("--metric", choices=("psnr", "ssim"), default="psnr", help="of gains and differences")
    add("--format", choices=_FORMATS, default="table", help="default: table")
    add("--table", choices=_TABLES, help="the one of papers, or the statistics (default: both; of "
        "latex the one of papers, of csv the statistics)")  # fmt: skip
    add_names(add)
    add_over(parser)
    _add_pictures(add)
    add("--mlflow", action="store_true", help="show it in MLflow too, as a run of its own in the "
        "runs' store: tables, page and figure")  # fmt: skip
    add("-o", "--output", type=path_type, metavar="FILE", help="write there, not to the terminal")
    add_output_dir(parser)
    return parser


def _add_pictures(add: Callable[..., object]) -> None:
    """`--html`, `--figure`, and what belongs to it."""
    add("--html", type=path_type, metavar="FILE", help="a page too: tables, intervals, pictures")
    add("--figure", type=path_type, metavar="FILE", help="the figure of a paper too, as PNG, from "
        "whole images of the first benchmark, by the best weights (TensorFlow)")  # fmt: skip
    add("--image", metavar="NAME", help="of the figure (default: where the runs differ most)")
    add("--crop", type=_crop, metavar="X,Y,W,H", help="of the figure: left, top, width, height in "
        "HR pixels (default: where the runs' errors are farthest apart)")  # fmt: skip


def _check_files(given: argparse.Namespace) -> None:
    """Raises RunError: --image or --crop without --figure; files that cannot be written so."""
    for name in ("image", "crop"):
        if getattr(given, name) is not None and given.figure is None:
            raise RunError(f"--{name}: belongs to --figure FILE")
    if given.figure is not None and given.figure.suffix.lower() != ".png":
        raise RunError(f"--figure {given.figure}: the name must end in .png")
    files = {"-o": given.output, "--html": given.html, "--figure": given.figure}
    used: dict[Path, str] = {}
    for option, path in files.items():
        if path is None:
            continue
        if not path.parent.is_dir():
            raise RunError(f"{option} {path}: cannot be written (no folder {path.parent})")
        if (other := used.setdefault(path.resolve(), option)) != option:
            raise RunError(f"{option} {path}: {other} is to be written there already")


def _crop(text: str) -> tuple[int, int, int, int]:
    try:
        left, top, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: must be four whole numbers, X,Y,W,H") from None
    return left, top, width, height


def compare(given: argparse.Namespace) -> None:
    """Read, compare, print.

    Raises:
        RunError: Runs that cannot be found, read or compared, in one line.
    """
    _check_files(given)
    if given.format == "json" and given.table is not None:
        raise RunError("--table: json holds all numbers; leave one of the two out")
    if given.over is not None and _kind(given) == "statistics":
        raise RunError(
            f"--{'seeds' if given.over == 'seeds' else 'intervals'}: belongs to the table of "
            f"papers (--table paper); the statistics have all intervals"
        )
    chosen = _chosen(given)
    store = shown_in_mlflow.store_of(chosen) if given.mlflow else None
    results = read(chosen, [to_path(name) for name in given.wanted if _is_table(name)])
    found = put_side_by_side(
        results,
        metric=given.metric,
        benchmarks=given.benchmark,
        protocols=given.protocol,
        names=names_given(given.name, chosen, given.output_dir, [one.name for one in results]),
    )
    tables, methods, remarks = found.tables, found.methods, found.remarks
    figure = made = None
    if given.figure is not None:
        figure = drawn_figure(tables[0], given.image, given.crop)
    if given.html is not None or store is not None:
        command = shlex.join(["srexp", "compare", *sys.argv[1:]])
        made = page(found, figure, command=command, over=given.over)
    _write(given, tables, remarks)
    if figure is not None:
        _save("--figure", given.figure, figure)
    if given.html is not None and made is not None:
        _save("--html", given.html, made.encode())
    if store is not None and made is not None:
        both = argparse.Namespace(**{**vars(given), "format": "markdown", "table": None})
        markdown = DOCUMENTS["markdown"]("", _shown(both, tables), remarks)
        sent = shown_in_mlflow.send(store, tables, methods, markdown, remarks, made, figure)
        print(sent, file=sys.stderr)


def _is_table(name: str) -> bool:
    return name.endswith(".csv")


def _chosen(given: argparse.Namespace) -> list[RunFolder]:
    if not given.wanted and given.sweep is None:
        raise RunError("compare: name the runs to compare, or a sweep with --sweep")
    wanted = [name for name in given.wanted if not _is_table(name)]
    found = find_runs(wanted, given.output_dir) if wanted else []
    if given.sweep is not None:
        found += _of_sweep(given.sweep, given.output_dir)
    return list({run.folder.resolve(): run for run in found}.values())


def _of_sweep(wanted: str, output_dir: Path) -> list[RunFolder]:
    swept = [run for run in runs(output_dir) if run.info.get("sweep")]
    sweeps = sorted({str(run.info["sweep"]) for run in swept})
    fitting = [name for name in sweeps if Path(wanted).name in name]
    if wanted == "latest" and sweeps:
        fitting = sweeps[-1:]
    if len(fitting) != 1:
        listed = ", ".join(fitting or sweeps) or "there are no sweeps"
        reason = "several sweeps are called so" if fitting else "no such sweep"
        raise RunError(f"--sweep {wanted}: {reason} in {output_dir} ({listed})")
    finished = [
        run for run in swept if run.info["sweep"] == fitting[0] and run.info["status"] == "FINISHED"
    ]
    if not finished:
        raise RunError(f"--sweep {wanted}: none of its runs is finished")
    return finished


def _kind(given: argparse.Namespace) -> str | None:
    """Which tables are asked for; None for both."""
    usual = {"latex": "paper", "csv": "paper" if given.over else "statistics"}
    kind: str | None = given.table or usual.get(given.format)
    return "statistics" if given.format == "json" else kind


def _shown(given: argparse.Namespace, tables: list[TaskTable]) -> list[Table]:
    """The tables that a person is shown: beside the statistics of one task no other is needed."""
    from srexp.comparison.output import statistics_tables
    from srexp.comparison.standard import standard_tables

    kind, found = _kind(given), []
    if kind == "paper" or (kind is None and (len(tables) > 1 or given.over is not None)):
        found += standard_tables(tables, given.over)
    if kind != "paper":
        found += [each for table in tables for each in statistics_tables(table)]
    return found


def _write(given: argparse.Namespace, tables: list[TaskTable], remarks: list[str]) -> None:
    from srexp.comparison import output
    from srexp.comparison.standard import flat_table
    from srexp.terminal.console import make_console

    console = make_console()
    if given.format == "table":
        parts = output.to_rich(_shown(given, tables), remarks)
        if given.output is None:
            for part in parts:
                console.print(part)
            return
        text = _plain_text(parts)
    elif given.format == "csv":
        paper = _kind(given) == "paper"
        text = to_csv(flat_table(tables, given.over)) if paper else output.to_csv(tables)
    elif given.format == "json":
        text = output.to_json(tables, remarks)
    else:
        text = DOCUMENTS[given.format]("srexp compare", _shown(given, tables), remarks)
    if given.output is None:
        console.out(text, highlight=False, end="")
    else:
        _save("-o", given.output, text.encode())


def _plain_text(parts: list[RenderableType]) -> str:
    from rich.console import Console

    file = io.StringIO()
    recorder = Console(file=file, width=200, highlight=False, markup=False)
    for part in parts:
        recorder.print(part)
    return file.getvalue()


def _save(option: str, path: Path, content: bytes) -> None:
    """Write what an option asked for; RunError if that cannot be."""
    try:
        write_atomically(path, content)
    except OSError as error:
        raise RunError(f"{option} {path}: cannot be written ({error.strerror or error})") from None
