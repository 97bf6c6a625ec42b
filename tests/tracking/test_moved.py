"""An output folder that was moved or copied, opened by MLflow's own client."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking._tracking_service import utils
from tests_mlflow import artifacts, fill, make_run, send

from srexp.tracking.mlflow_store import follow_move, quiet_client, sqlite_path
from srexp.tracking.options import place
from srexp.tracking.record import RunFolder


def shown_run(output_dir: Path, migrated: Path) -> RunFolder:
    """A finished run in a folder's own store."""
    output_dir.mkdir()
    shutil.copyfile(migrated, output_dir / "mlflow.db")
    run = make_run(output_dir, place(output_dir))
    fill(run)
    run.set_status("FINISHED")
    send(run)
    run.release()
    return run


def in_mlflow(output_dir: Path) -> list[Any]:
    """The runs, as somebody sees them who knows the database alone."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=place(output_dir).uri)
    return [*client.search_runs([e.experiment_id for e in client.search_experiments()])]


@pytest.mark.parametrize("name", ["after", "after 50%?#"])
def test_moved(tmp_path: Path, migrated: Path, name: str) -> None:
    before, after = tmp_path / "before 2%2F", tmp_path / name
    run = shown_run(before, migrated)
    before.rename(after)
    utils._artifact_repos_cache.clear()  # another process comes
    moved = RunFolder.open(after / run.id)
    moved.log(40, {"train/loss": 0.1})
    send(moved)
    assert not before.exists()
    (found,) = in_mlflow(after)
    assert found.info.run_id == run.info["mlflow"]["run_id"]
    assert found.info.artifact_uri.startswith((after / "mlartifacts").as_uri())
    there = quiet_client(place(after))
    assert "config.yaml" in artifacts(there, found.info.run_id)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    # So does the next run.
    other = make_run(after, place(after))
    send(other)
    assert not before.exists()
    assert len(in_mlflow(after)) == 2


def test_copied(tmp_path: Path, migrated: Path) -> None:
    """What is added to the copy does not go to the original."""
    before, after = tmp_path / "before", tmp_path / "after"
    shown_run(before, migrated)
    shutil.copytree(before, after)
    files = sorted(before.rglob("*"))
    run = make_run(after, place(after))
    fill(run)
    send(run)
    assert sorted(before.rglob("*")) == files
    assert {Path(found.info.artifact_uri).parts[-4] for found in in_mlflow(after)} == {"after"}
    assert {Path(found.info.artifact_uri).parts[-4] for found in in_mlflow(before)} == {"before"}


def test_artifacts_that_stayed_elsewhere_are_left_there(tmp_path: Path, migrated: Path) -> None:
    """Two output folders may share a database in one of them."""
    home, other = tmp_path / "home", tmp_path / "other"
    shown_run(home, migrated)
    store = place(other, None, {**asdict(place(home)), "artifact_root": str(other / "mlartifacts")})
    run = make_run(other, store)
    run.update(mlflow={**run.info["mlflow"], "experiment": "second", "chosen": "tracking.uri"})
    send(run)
    database = sqlite_path(place(home).uri)
    assert database is not None
    follow_move(database)
    assert {Path(found.info.artifact_uri).parts[-4] for found in in_mlflow(home)} == {
        "home",
        "other",
    }


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database")
    follow_move(tmp_path / "mlflow.db")
    follow_move(tmp_path / "absent" / "mlflow.db")
    assert (tmp_path / "mlflow.db").read_text() == "no database"


def test_artifacts_elsewhere_that_are_not_there_yet_stay_elsewhere(
    tmp_path: Path, migrated: Path
) -> None:
    """A database beside the output folder, which has taken no file so far."""
    import sqlite3

    elsewhere = tmp_path / "outputs" / "mlartifacts"
    elsewhere.parent.mkdir()
    database = tmp_path / "mlflow.db"
    shutil.copyfile(migrated, database)

    def location() -> str:
        with sqlite3.connect(database) as db:
            return str(db.execute("select artifact_location from experiments").fetchall()[-1][0])

    with sqlite3.connect(database) as db:
        db.execute("update experiments set artifact_location = ?", [elsewhere.as_uri()])
    follow_move(database)
    assert location() == elsewhere.as_uri()
    elsewhere.parent.rmdir()  # where that folder is gone too, the database was moved
    follow_move(database)
    assert location() == (tmp_path / "mlartifacts").as_uri()
