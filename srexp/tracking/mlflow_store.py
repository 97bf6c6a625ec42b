"""MLflow's stores: a client that fails fast, new SQLite databases, experiments, runs."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Store:
    """Where runs are shown.

    Attributes:
        uri: Absolute; of a server or a database.
        experiment: The MLflow experiment.
        artifact_root: Where artifacts lie for a database; a server has its own place.
        timeout_seconds: Of one request.
    """

    uri: str
    experiment: str
    artifact_root: str
    timeout_seconds: int

    @property
    def is_server(self) -> bool:
        """Whether a server stands between us and the database."""
        return self.uri.startswith(("http://", "https://", "databricks"))


def legal(key: str) -> str:
    """A key with what MLflow allows in one; anything else becomes an underscore."""
    return re.sub(r"[^A-Za-z0-9_\-. :/]", "_", key)


def one_line(error: BaseException) -> str:
    """What went wrong, short enough to print."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def quiet_client(store: Store) -> Any:
    """An `MlflowClient`: few retries, no telemetry, no chatter; makes a missing SQLite store."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(store.timeout_seconds)
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from mlflow import MlflowClient

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    if store.uri.startswith("sqlite:///"):
        _create_sqlite_store(Path(store.uri.removeprefix("sqlite:///")))
    return MlflowClient(tracking_uri=store.uri)


def _create_sqlite_store(path: Path) -> None:
    """Make the database beside its place and link it there.

    Two processes that open the same new database together collide in MLflow's migrations.
    """
    if path.exists():
        return
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mlflow-") as folder:
        migrated, whole = Path(folder) / "migrated.db", Path(folder) / "whole.db"
        MlflowClient(tracking_uri=f"sqlite:///{migrated}").search_experiments()
        # A copy through SQLite includes what still lies in its write-ahead log.
        source, copy = sqlite3.connect(migrated), sqlite3.connect(whole)
        source.backup(copy)
        source.close()
        copy.close()
        try:
            os.link(whole, path)
        except FileExistsError:
            pass  # another process was first


def experiment_id(client: Any, store: Store) -> str:
    """Of the experiment, made where it does not exist yet."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(store.experiment)
    if found is None:
        location = None if store.is_server else Path(store.artifact_root).resolve().as_uri()
        try:
            return str(
                client.create_experiment(
                    store.experiment,
                    artifact_location=location,
                    # Otherwise the UI shows pages for language models first.
                    tags={"mlflow.experimentKind": "custom_model_development"},
                )
            )
        except MlflowException:
            found = client.get_experiment_by_name(store.experiment)  # another process was first
            if found is None:
                raise
    return str(found.experiment_id)


def find_by_tag(client: Any, experiment: str, key: str, value: str) -> str | None:
    """The id of the run with a tag, or None."""
    found = client.search_runs([experiment], f"tags.`{key}` = '{value}'", max_results=1)
    return str(found[0].info.run_id) if found else None


def create_run(client: Any, experiment: str, name: str, tags: dict[str, str]) -> str:
    """A new MLflow run; its id."""
    tags = {"mlflow.source.name": "srexp train", "mlflow.source.type": "LOCAL", **tags}
    return str(client.create_run(experiment, tags=tags, run_name=name).info.run_id)
