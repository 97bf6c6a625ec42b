"""A comparison for the eye: a page, and the figure of a paper."""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from srexp.comparison import about_run
from srexp.options import OptionError
from srexp.pages.table import Table
from srexp.tracking.record import RunError, RunFolder

if TYPE_CHECKING:
    from srexp.comparison.figure import Box
    from srexp.comparison.methods import ComparedMethod
    from srexp.comparison.side_by_side import SideBySide
    from srexp.comparison.standard import Over
    from srexp.comparison.tables import TaskTable

# Of more, the ones with the highest means are shown in a page.
_MOST_METHODS = 6


def _runs(table: TaskTable, most: int | None = None) -> dict[str, RunFolder]:
    """Name -> run; of replicates the one with the lowest seed, of too many the best."""
    rows = [row for row in table.rows if row.method is not None and row.method.replicates]
    if most is not None and len(rows) > most:
        best = sorted(rows, key=lambda row: getattr(row, table.metric), reverse=True)[:most]
        rows = [row for row in rows if row in best]
    return {row.name: row.method.replicates[0].run for row in rows if row.method is not None}


def page(found: SideBySide, drawn: bytes | None, *, command: str, over: Over | None = None) -> str:
    """A page of a comparison: tables, intervals, pictures.

    Args:
        found: The comparison.
        drawn: A figure of its first task as PNG, or None for what the runs kept.
        command: That makes it again.
        over: What intervals in the table of papers are over.
    """
    tables, methods, remarks = found.tables, found.methods, found.remarks
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
        command=command,
        standard=standard_tables(tables, over) if len(tables) > 1 or over else (),
        methods=Table(
            ("method", "seeds", "from"), tuple(_about(method) for method in methods), words=3
        ),
        configuration=_configuration(methods),
        remarks=remarks,
    )


def _configuration(methods: Sequence[ComparedMethod]) -> Table | None:
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


def _about(method: ComparedMethod) -> tuple[str, str, str]:
    seeds = ", ".join(map(str, dict.fromkeys(method.seeds))) or "–"
    files = method.files.evaluations.values() if method.files is not None else ()
    sources = [result.run.id for result in method.replicates] + [str(one.path) for one in files]
    return method.name, seeds, ", ".join(sources)


def drawn_figure(table: TaskTable, image: str | None, crop: Box | None) -> bytes:
    """The figure of a paper as PNG, from whole images by the best weights (TensorFlow).

    Args:
        table: Of whose runs.
        image: Its name; None for where the runs differ most.
        crop: Left, top, width, height in HR pixels; None for where their errors are farthest apart.

    Raises:
        RunError: It cannot be made, in one line.
    """
    from srexp.comparison.pictures import figure, scenes
    from srexp.config.compose import compose
    from srexp.images.io import to_png
    from srexp.quiet import quiet_import
    from srexp.training.checkpoint import CheckpointError

    runs = _runs(table)
    if not runs:
        raise RunError("--figure: needs a run, whose weights make its images; tables have none")
    image = image or _image_of_most_difference(table)
    paths = compose("train")["paths"]
    try:
        found = scenes(runs, table.task, image, paths, crop)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with quiet_import():
            importlib.import_module("srexp.training.trained")
        # A network for each run is traced; its warning that this is often says nothing here.
        logging.getLogger("tensorflow").setLevel("ERROR")
        return to_png(figure(found, crop))
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
