"""What is said of a run that cannot be taken to show later scores in it."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from tests_mlflow import make_run

from srexp.running import rescored
from srexp.terminal.display import Lines


def test_somebody_elses_run_is_not_said_to_be_trained(tmp_path: Path) -> None:
    run = make_run(tmp_path, None)
    run.set_status("FINISHED")
    run.release()
    (run.folder / "run.lock").unlink()
    (run.folder / "run.lock").mkdir()  # cannot be opened to be locked, by root neither
    said = io.StringIO()
    rescored.end(run, Lines(Console(file=said)))
    assert f"note: run {run.id} may not be written (" in said.getvalue()
    assert "trained" not in said.getvalue()
