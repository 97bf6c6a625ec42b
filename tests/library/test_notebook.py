"""`docs/notebook.ipynb` runs from its first cell to its last, and shows what it showed."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from tests_environment import command_environment

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute(env=command_environment(tmp_path))
    for cell, before in zip(notebook.cells, kept.cells, strict=True):
        kinds, wanted = (
            {(one.output_type, *sorted(set(one.get("data", ())) - {"image/jpeg"})) for one in found}
            for found in (cell.get("outputs", []), before.get("outputs", []))
        )
        assert kinds == wanted, cell.source
    assert len(list(tmp_path.glob("outputs/*/report.html"))) == 2
