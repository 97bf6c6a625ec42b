"""`srexp compare`: runs side by side on the images that all of them were scored on."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srexp.commands import compare_mlflow, compare_pictures
from srexp.commands.arguments import RUN, add_output_dir, make_parser
from srexp.commands.exit import fail
from srexp.comparison.results import Results, RunResults, read_files, read_run
from srexp.comparison.tasks import common_tasks
from srexp.tracking.record import RunError, RunFolder, find_runs, runs

if TYPE_CHECKING:
    from rich.console import RenderableType

    from srexp.comparison.tables import TaskTable

_FORMATS = ("table", "markdown", "latex", "csv", "json")

_DESCRIPTION = """\
Per benchmark and protocol: mean PSNR and SSIM of bicubic and of each run, gain over bicubic with
its 95 % interval, and for each two runs the paired difference per image with interval, sign-flip
permutation test, Holm's correction, wins and losses. Runs that differ in seed alone are replicates
of one method. Reads run folders only; what was not scored yet is scored by `srexp evaluate`."""

_EXAMPLES = """\
  srexp compare outputs/2026-*                       run folders
  srexp compare RUN RUN --metric ssim                two runs, by SSIM
  srexp compare --sweep latest --format markdown     all finished runs of the newest sweep
  srexp compare RUN outputs/evaluations/set5_x2/y_paper/lanczos_*.csv
  srexp compare RUN RUN --format latex -o table.tex
  srexp compare RUN RUN --html page.html --figure figure.png --image butterfly
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    given = _parser().parse_args(arguments)
    try:
        compare(given)
    except RunError as error:
        fail(str(error))


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
    compare_pictures.add_arguments(add)
    add("--mlflow", action="store_true", help="show it in MLflow too, as a run of its own in the "
        "runs' store: tables, page and figure")  # fmt: skip
    add("-o", "--output", type=Path, metavar="FILE", help="write there, not to the terminal")
    add_output_dir(parser)
    return parser


def compare(given: argparse.Namespace) -> None:
    """Read, compare, print.

    Raises:
        RunError: Runs that cannot be found, read or compared, in one line.
    """
    compare_pictures.check(given)
    chosen = _chosen(given)
    store = compare_mlflow.store_of(chosen) if given.mlflow else None
    results: list[Results] = [read_run(run) for run in chosen]
    results += read_files([Path(name) for name in given.wanted if _is_table(name)])
    tasks, remarks = common_tasks(results, given.benchmark, given.protocol)
    # NumPy: only once there is something to compute.
    from srexp.comparison.methods import group
    from srexp.comparison.tables import make_table

    methods, repeated = group(results)
    tables = [make_table(task, methods, given.metric) for task in tasks]
    remarks = [*remarks, *repeated, *_about_runs(results)]
    made = compare_pictures.make(given, tables, remarks)
    _write(given, tables, remarks)
    compare_pictures.write(given, made)
    if store is not None and made.page is not None:
        print(compare_mlflow.send(store, tables, remarks, made.page, made.figure), file=sys.stderr)


def _about_runs(results: list[Results]) -> list[str]:
    trained = [result for result in results if isinstance(result, RunResults)]
    states = [(result.name, result.run.info["status"]) for result in trained]
    unfinished = [f"{name} is {status}" for name, status in states if status != "FINISHED"]
    return unfinished + [fault for result in trained for fault in result.faults]


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


def _write(given: argparse.Namespace, tables: list[TaskTable], remarks: list[str]) -> None:
    from srexp.commands.console import make_console
    from srexp.comparison import output

    console = make_console()
    if given.format == "table":
        parts = output.to_rich(tables, remarks)
        if given.output is None:
            for part in parts:
                console.print(part)
            return
        text = _plain_text(parts)
    elif given.format == "csv":
        text = output.to_csv(tables)
    else:
        write = {
            "markdown": output.to_markdown,
            "latex": output.to_latex,
            "json": output.to_json,
        }[given.format]
        text = write(tables, remarks)
    if given.output is None:
        console.out(text, highlight=False, end="")
    else:
        compare_pictures.save("-o", given.output, text.encode())


def _plain_text(parts: list[RenderableType]) -> str:
    from rich.console import Console

    file = io.StringIO()
    recorder = Console(file=file, width=200, highlight=False, markup=False)
    for part in parts:
        recorder.print(part)
    return file.getvalue()
