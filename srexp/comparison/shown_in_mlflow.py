"""A comparison in MLflow: a run of its own, beside the runs that it compares."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srexp.tracking.record import RunError, RunFolder
from srexp.tracking.remedy import repair

if TYPE_CHECKING:
    from srexp.comparison.methods import ComparedMethod
    from srexp.comparison.tables import TaskTable
    from srexp.tracking.mlflow_store import Store


class NotTaken(Exception):
    """MLflow did not take a comparison, in one line."""


def store_of(runs: Sequence[RunFolder]) -> Store:
    """Where the runs are shown.

    Raises:
        RunError: Nowhere, or not in one place.
    """
    from srexp.tracking.options import place

    found: dict[str, Store] = {}
    for run in runs:
        shown = run.info.get("mlflow")
        if not shown:
            raise RunError(
                f"--mlflow: run {run.id} is not in MLflow (srexp sync --uri URI RUN shows it there)"
            )
        store = place(run.folder.resolve().parent, None, shown)
        found[store.uri] = store
    if len(found) != 1:
        where = ", ".join(found) or "none of them is a run"
        raise RunError(f"--mlflow: what is compared must be in one MLflow store ({where})")
    return next(iter(found.values()))


def send(
    store: Store,
    tables: Sequence[TaskTable],
    methods: Sequence[ComparedMethod],
    markdown: str,
    remarks: Sequence[str],
    page: str,
    figure: bytes | None,
) -> str:
    """Show a comparison in MLflow.

    Args:
        store: Of the runs.
        tables: The comparison.
        methods: What it compares.
        markdown: It as Markdown.
        remarks: On it.
        page: It as HTML.
        figure: A PNG; None for none.

    Returns:
        What to tell.

    Raises:
        NotTaken: MLflow does not take it.
    """
    from srexp.comparison import output
    from srexp.tracking import comparison_view
    from srexp.tracking.mlflow_store import one_line

    files = {
        "comparison.md": markdown.encode(),
        "comparison.csv": output.to_csv(tables).encode(),
        "comparison.json": output.to_json(tables, remarks).encode(),
        "comparison.html": page.encode(),
        **({"figure.png": figure} if figure is not None else {}),
    }
    compared = [f"{table.task.name} [{table.task.digest}] {table.metric}" for table in tables]
    compared += [run.run.id for method in methods for run in method.replicates]
    compared += [method.name for method in methods if method.files is not None]
    count = len(methods)
    name = f"comparison of {count} methods" if count > 1 else f"comparison of {methods[0].name}"
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in files]
        for path in paths:
            path.write_bytes(files[path.name])
        try:
            run_id = comparison_view.show(store, name, compared, markdown, paths)
        except Exception as error:  # whatever MLflow raises
            help = repair(error, store)
            raise NotTaken(
                f"--mlflow: MLflow at {store.uri} did not take it ({one_line(error)})"
                + (f"; {help}" if help else "")
            ) from None
    return f"in MLflow: {name}, run {run_id} at {store.uri}"
