"""What `srexp compare` makes for the eye: a page, and the figure of a paper."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from srexp.files import write_atomically
from srexp.options import OptionError
from srexp.pages.table import Table
from srexp.running import about_run
from srexp.terminal.arguments import path_type
from srexp.tracking.record import RunError, RunFolder

if TYPE_CHECKING:
    import numpy as np

    from srexp.comparison.methods import Method
    from srexp.comparison.tables import TaskTable

# Of more, the ones with the highest means are shown in a page.
_MOST_METHODS = 6


def add_arguments(add: Callable[..., object]) -> None:
    """`--html`, `--figure`, and what belongs to it."""
    add("--html", type=path_type, metavar="FILE", help="a page too: tables, intervals, pictures")
    add("--figure", type=path_type, metavar="FILE", help="the figure of a paper too, as PNG, from "
        "whole images of the first benchmark, by the best weights (TensorFlow)")  # fmt: skip
    add("--image", metavar="NAME", help="of the figure (default: where the runs differ most)")
    add("--crop", type=_crop, metavar="X,Y,W,H", help="of the figure: left, top, width, height in "
        "HR pixels (default: where the runs' errors are farthest apart)")  # fmt: skip


def check(given: argparse.Namespace) -> None:
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


@dataclass(frozen=True)
class Pictures:
    """What was made: the page, and the figure as PNG; None for what was not asked for."""

    page: str | None
    figure: bytes | None


def make(
    given: argparse.Namespace,
    tables: Sequence[TaskTable],
    methods: Sequence[Method],
    remarks: Sequence[str],
) -> Pictures:
    """Make what was asked for; nothing is written yet.

    Raises:
        RunError: It cannot be made, in one line.
    """
    figure = page = None
    if given.figure is not None:
        from srexp.images.io import to_png

        figure = to_png(_figure(given, tables[0]))
    if given.html is not None or given.mlflow:
        page = _page(given, tables, methods, remarks, figure)
    return Pictures(page, figure)


def write(given: argparse.Namespace, made: Pictures) -> None:
    """Write what was made.

    Raises:
        RunError: It cannot be written, in one line.
    """
    if given.figure is not None and made.figure is not None:
        save("--figure", given.figure, made.figure)
    if given.html is not None and made.page is not None:
        save("--html", given.html, made.page.encode())


def _crop(text: str) -> tuple[int, int, int, int]:
    try:
        left, top, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: must be four whole numbers, X,Y,W,H") from None
    return left, top, width, height


def _runs(table: TaskTable, most: int | None = None) -> dict[str, RunFolder]:
    """Name -> run; of replicates the one with the lowest seed, of too many the best."""
    rows = [row for row in table.rows if row.method is not None and row.method.replicates]
    if most is not None and len(rows) > most:
        best = sorted(rows, key=lambda row: getattr(row, table.metric), reverse=True)[:most]
        rows = [row for row in rows if row in best]
    return {row.name: row.method.replicates[0].run for row in rows if row.method is not None}


def _page(
    given: argparse.Namespace,
    tables: Sequence[TaskTable],
    methods: Sequence[Method],
    remarks: Sequence[str],
    drawn: bytes | None,
) -> str:
    from srexp.comparison import report
    from srexp.comparison.output import to_sections
    from srexp.comparison.pictures import PAGE_BYTES, kept_figure, sliders
    from srexp.comparison.standard import standard_tables
    from srexp.images.io import to_png

    sections = []
    room = PAGE_BYTES
    for index, (table, section) in enumerate(zip(tables, to_sections(tables), strict=True)):
        runs = _runs(table, _MOST_METHODS)
        shown = sliders(runs, table.task, room)
        room -= sum(one.nbytes for one in shown)
        figure = drawn if index == 0 else None
        if figure is None and (kept := kept_figure(runs, table.task)) is not None:
            figure = to_png(kept)
        sections.append(replace(section, sliders=shown, figure=figure))
    if any(len(method.seeds) > 1 for method in methods):
        remarks = [*remarks, "pictures of a method with several seeds are of its lowest one"]
    count = len(methods)
    return report.html(
        f"{count} methods compared" if count > 1 else methods[0].name,
        sections,
        command=shlex.join(["srexp", "compare", *sys.argv[1:]]),
        standard=standard_tables(tables, given.over) if len(tables) > 1 or given.over else (),
        methods=Table(
            ("method", "seeds", "from"), tuple(_about(method) for method in methods), words=3
        ),
        configuration=_configuration(methods),
        remarks=remarks,
    )


def _configuration(methods: Sequence[Method]) -> Table | None:
    """Where the methods' configurations are not the default, one row a method; None for nowhere."""
    trained = [method for method in methods if method.replicates]
    differs = [about_run.difference(method.replicates[0].run.config) for method in trained]
    keys = sorted({key for found in differs for key in found} - {"seed"})
    if not keys:
        return None
    default = about_run.defaults()
    usual = [about_run.text(default.get(key, about_run.ABSENT)) for key in keys]
    rows = [
        (
            method.name,
            *(
                about_run.text(found[key][0]) if key in found else value
                for key, value in zip(keys, usual, strict=True)
            ),
        )
        for method, found in zip(trained, differs, strict=True)
    ]
    head = ("method", *keys)
    return Table(head, (("default", *usual), *rows), words=len(head))


def _about(method: Method) -> tuple[str, str, str]:
    seeds = ", ".join(map(str, dict.fromkeys(method.seeds))) or "–"
    files = method.files.evaluations.values() if method.files is not None else ()
    sources = [result.run.id for result in method.replicates] + [str(one.path) for one in files]
    return method.name, seeds, ", ".join(sources)


def _figure(given: argparse.Namespace, table: TaskTable) -> np.ndarray:
    from srexp.comparison.pictures import figure, scenes
    from srexp.config.compose import compose
    from srexp.quiet import quiet_import
    from srexp.training.checkpoint import CheckpointError

    runs = _runs(table)
    if not runs:
        raise RunError("--figure: needs a run, whose weights make its images; tables have none")
    image = given.image or _image_of_most_difference(table)
    paths = compose("train")["paths"]
    try:
        found = scenes(runs, table.task, image, paths, given.crop)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with quiet_import():
            import tensorflow
        # A network for each run is traced; its warning that this is often says nothing here.
        tensorflow.get_logger().setLevel("ERROR")
        return figure(found, given.crop)
    except (OptionError, CheckpointError) as error:
        raise RunError(f"--figure: {error}") from None


def _image_of_most_difference(table: TaskTable) -> str:
    """Where the methods' scores are farthest apart; of one, where it gains most."""
    scores = table.scores
    if not table.images:
        raise RunError("--figure: no image has a finite PSNR; name one with --image")
    if len(scores) > 1:
        return table.images[int((scores.max(axis=0) - scores.min(axis=0)).argmax())]
    (method,) = (row.method for row in table.rows if row.method is not None)
    rows = method.evaluations(table.task)[0].rows
    gains = {r.image: r.psnr - r.psnr_bicubic for r in rows if r.image in table.images}
    return max(gains, key=lambda name: gains[name])


def save(option: str, path: Path, content: bytes) -> None:
    """Write what an option asked for; RunError if that cannot be."""
    try:
        write_atomically(path, content)
    except OSError as error:
        raise RunError(f"{option} {path}: cannot be written ({error.strerror or error})") from None
