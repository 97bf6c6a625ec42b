"""MLflow's stores: a client that fails fast, new SQLite databases, experiments, runs."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NOTE_LENGTH = 7500  # of a tag's value, in MLflow's database


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


def legal(key: str, allowed: str = r"A-Za-z0-9_\-. :/", length: int = 250) -> str:
    """A key that MLflow takes: what it does not allow becomes an underscore.

    A key that had to be changed ends in digits of its own, so that no two become one.

    Args:
        key: Any text.
        allowed: The inside of a regular expression's brackets.
        length: At most so many characters.
    """
    plain = re.sub(f"[^{allowed}]", "_", key)
    # As a path it must be normal and relative.
    plain = "/".join(re.sub(r"^\.+$|^\.\.+|^$", "_", part) for part in plain.split("/"))
    if plain == key and len(key) <= length:
        return key
    own = hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:6]
    return f"{plain[: length - 7]}-{own}"


def sendable(value: Any, length: int) -> str:
    """A value as text that every database takes: valid Unicode without NUL, and not too long."""
    text = str(value).encode(errors="backslashreplace").decode()
    return text.replace("\0", "\\0")[:length]


def is_refusal(error: Exception) -> bool:
    """Whether it is this very thing that MLflow will never take."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    code = getattr(error, "error_code", None)
    return code == "INVALID_PARAMETER_VALUE" or status in (400, 413, 415, 422)


def one_line(error: BaseException) -> str:
    """What went wrong, short enough to print."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]


def quiet_client(store: Store) -> Any:
    """An `MlflowClient`: no telemetry, no chatter; makes a missing SQLite store."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    # We try again ourselves. MLflow would repeat the very request, and where only the answer to
    # it was lost, make a second run.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(store.timeout_seconds)
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
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


def reachable(store: Store) -> str | None:
    """None if the store answers; else why it does not, in one line."""
    if store.uri.startswith("sqlite:///"):
        folder = Path(store.uri.removeprefix("sqlite:///")).parent
        if not folder.is_dir():
            return f"there is no folder {folder}"
    try:
        quiet_client(store).search_experiments(max_results=1)
    except Exception as error:
        return one_line(error)
    return None


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
    quote = '"' if "'" in value else "'"
    found = client.search_runs([experiment], f"tags.`{key}` = {quote}{value}{quote}", max_results=1)
    return str(found[0].info.run_id) if found else None


def existing_run(client: Any, run_id: str) -> Any:
    """The run, or None where the store does not know it."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise


def is_deleted(run: Any) -> bool:
    """Whether somebody deleted it in MLflow; such a run can be restored but not written to."""
    return bool(run.info.lifecycle_stage == "deleted")


def create_run(
    client: Any, experiment: str, name: str, tags: dict[str, str], began: float | None = None
) -> str:
    """A new MLflow run; its id.

    Args:
        client: Of the store.
        experiment: Id of the experiment.
        name: Shown in the UI.
        tags: More of them.
        began: In seconds since 1970; None for now.
    """
    tags = {"mlflow.source.name": "srexp train", "mlflow.source.type": "LOCAL", **tags}
    start = None if began is None else int(began * 1000)
    run = client.create_run(experiment, start_time=start, tags=tags, run_name=name)
    return str(run.info.run_id)


def describe(
    client: Any, run_id: str, note: str, tags: dict[str, str], files: Sequence[Path]
) -> None:
    """Give a run a description, tags and artifacts; they replace those of the same names.

    Args:
        client: Of the store.
        run_id: Of the run.
        note: Markdown, shown at the top of the run's page.
        tags: Key -> value.
        files: Shown as artifacts.
    """
    for path in files:
        client.log_artifact(run_id, str(path))
    for key, value in {"mlflow.note.content": note, **tags}.items():
        client.set_tag(run_id, key, sendable(value, _NOTE_LENGTH))
