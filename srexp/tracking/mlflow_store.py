"""MLflow's stores: a client that fails fast, new SQLite databases, experiments, runs."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from srexp.files import Lock

_NOTE_LENGTH = 7500  # of a tag's value, in MLflow's database
_ERROR_LENGTH = 300  # of what is printed of an error

# In an address of MLflow's UI: its pages for training, not those for language models.
MODEL_TRAINING = "workflowType=machine_learning"

_SQLITE = re.compile(r"sqlite(\+pysqlite)?:///")
# The folder of the artifacts, beside a database of ours.
ARTIFACTS = "mlartifacts"
# Where a database has the addresses of a run's and of a model's artifacts.
_ARTIFACT_ADDRESSES = (("runs", "artifact_uri"), ("logged_models", "artifact_location"))


@dataclass(frozen=True)
class Store:
    """Where runs are shown.

    Attributes:
        uri: Absolute; of a server or a database.
        experiment: The MLflow experiment.
        artifact_root: Where artifacts lie for a database; a server has its own place.
        timeout_seconds: Of one request.
        chosen: What named the store: `tracking.uri`, `MLFLOW_TRACKING_URI`; empty for neither.
        experiment_id: Names the experiment, where `experiment` is empty.
    """

    uri: str
    experiment: str
    artifact_root: str
    timeout_seconds: int
    chosen: str = ""
    experiment_id: str | None = None

    @classmethod
    def of(cls, shown: Mapping[str, Any]) -> Store:
        """The store that `run.json` or `sweep.json` names."""
        return cls(
            uri=shown["uri"],
            experiment=shown.get("experiment", ""),
            artifact_root=shown.get("artifact_root", ""),
            timeout_seconds=shown.get("timeout_seconds", 10),
            chosen=shown.get("chosen", ""),
            experiment_id=None if shown.get("experiment") else shown.get("experiment_id"),
        )

    def __str__(self) -> str:
        """The store, what named it, and the experiment."""
        why = self.chosen or "the output folder's own"
        return f"{self.uri} ({why}), experiment {self.experiment or self.experiment_id}"

    @property
    def is_server(self) -> bool:
        """Whether a server stands between us and the database."""
        return self.uri.startswith(("http://", "https://", "databricks"))


def sqlite_uri(path: Path) -> str:
    """The address of an SQLite database; `path` is absolute, and may hold any character.

    Where something has to be encoded the driver is named: without it MLflow makes a folder of the
    encoded name.
    """
    if not re.search("[%?#]", str(path)):
        return f"sqlite:///{path}"
    return f"sqlite+pysqlite:///{quote(str(path))}"


def sqlite_path(uri: str) -> Path | None:
    """The file of an SQLite database; None for any other store."""
    scheme = _SQLITE.match(uri)
    return Path(unquote(uri[scheme.end() :].partition("?")[0])) if scheme else None


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
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    if text.startswith("API request to"):  # and then all layers: the lowest one says it
        below: BaseException | None = error
        while below is not None:
            lowest, below = below, below.__cause__ or below.__context__
        if isinstance(lowest, OSError) and (reason := lowest.strerror or str(lowest)):
            text = reason[0].lower() + reason[1:]
    if len(text) > _ERROR_LENGTH:
        cut = text[: _ERROR_LENGTH - 2]
        words = cut.rpartition(" ")[0]
        text = f"{words if len(words) > _ERROR_LENGTH // 2 else cut} …"
    return text


_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_our_timeout: str | None = None


def variable(name: str) -> str | None:
    """An environment variable of MLflow's as its user set it; None where it is unset or empty."""
    value = os.environ.get(name, "").strip()
    return None if not value or (name == _TIMEOUT and value == _our_timeout) else value


def _set_timeout(seconds: str) -> None:
    """MLflow reads it from the environment, and a process may ask several stores."""
    global _our_timeout
    if os.environ.get(_TIMEOUT) != seconds:
        os.environ[_TIMEOUT] = _our_timeout = seconds


def before_import() -> None:
    """What MLflow must find in the environment when it is imported, here or in its server."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        if not os.environ[name].strip():
            del os.environ[name]  # an unset variable of a shell's; MLflow would convert it
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    if os.path.expanduser("~") == "~":
        # A batch job, or a container's user without an entry in /etc/passwd: MLflow cannot be
        # imported then. This is Debian's home of those who have none.
        os.environ["HOME"] = "/nonexistent"


def quiet_client(store: Store) -> Any:
    """An `MlflowClient`: no telemetry, no chatter; makes a missing SQLite store."""
    before_import()
    # We try again ourselves. MLflow would repeat the very request, and where only the answer to
    # it was lost, make a second run.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    _set_timeout(str(store.timeout_seconds))
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from mlflow import MlflowClient

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    if path := sqlite_path(store.uri):
        _create_sqlite_store(path)
        follow_move(path)
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
        MlflowClient(tracking_uri=sqlite_uri(migrated)).search_experiments()
        # A copy through SQLite includes what still lies in its write-ahead log.
        source, copy = sqlite3.connect(migrated), sqlite3.connect(whole)
        source.backup(copy)
        source.close()
        copy.close()
        try:
            os.link(whole, path)
        except FileExistsError:
            pass  # another process was first
        except OSError:  # exFAT, SMB, FUSE: no hard links; renaming would replace another's
            with Lock(path.with_name(f".{path.name}.lock")):
                if not path.exists():
                    os.replace(whole, path)


def follow_move(database: Path) -> None:
    """Where a database was moved with the artifacts beside it, note their new place in it.

    MLflow keeps absolute addresses, and would go on writing to the old place. Artifacts that are
    still there, and not here, are left alone.
    """
    here = database.parent / ARTIFACTS
    try:
        with closing(sqlite3.connect(database, timeout=10)) as db, db:
            experiments = db.execute("SELECT experiment_id, artifact_location FROM experiments")
            for experiment, location in experiments.fetchall():
                there = _local_folder(location)
                if there is None or there == here or there.name != ARTIFACTS:
                    continue
                runs = db.execute("SELECT run_uuid FROM runs WHERE experiment_id = ?", [experiment])
                came_along = any((here / run).is_dir() for (run,) in runs)
                if not came_along and there.parent.is_dir():
                    continue  # it lies elsewhere, or will once there is something in it
                new = here.as_uri()
                for table, column in _ARTIFACT_ADDRESSES:
                    db.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                        f"WHERE experiment_id = ? AND instr({column}, ? || '/') = 1",
                        [new, len(location) + 1, experiment, location],
                    )
                db.execute(
                    "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
                    [new, experiment],
                )
    except sqlite3.Error:
        pass  # it may only be read, or is no database of MLflow's: MLflow says so


def _local_folder(address: str) -> Path | None:
    """Of a `file:` address."""
    return Path(unquote(urlsplit(address).path)) if address.startswith("file:") else None


def ask(store: Store) -> None:
    """See whether the store answers.

    Raises:
        Exception: It does not.
    """
    path = sqlite_path(store.uri)
    if path is not None and not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}")
    quiet_client(store).search_experiments(max_results=1)


class ExperimentDeleted(Exception):
    """Somebody deleted the experiment: MLflow takes nothing for it, and no other of its name.

    Attributes:
        experiment_id: Of the experiment, which can be restored.
    """

    def __init__(self, experiment: Any) -> None:
        super().__init__(f"the experiment {experiment.name} is deleted there")
        self.experiment_id = str(experiment.experiment_id)


def experiment_id(client: Any, store: Store) -> str:
    """Of the experiment, made where it does not exist yet.

    Raises:
        ExperimentDeleted: It is.
        Exception: Whatever MLflow raises.
    """
    from mlflow.exceptions import MlflowException

    if store.experiment_id is not None:
        found = client.get_experiment(store.experiment_id)
    else:
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
    if found.lifecycle_stage == "deleted":
        raise ExperimentDeleted(found)
    return str(found.experiment_id)


def is_unauthorized(error: BaseException) -> bool:
    """Whether a server wants to know who is asking, or allows it to others only."""
    code = getattr(error, "error_code", None)
    return code in ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED") or bool(
        re.search(r"error code 40[13]\b", str(error))
    )


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
