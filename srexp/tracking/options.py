"""Where runs are shown (`tracking=...`)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from srexp.options import OptionError, Options, bounded
from srexp.paths import checked
from srexp.tracking.mlflow_store import ARTIFACTS, Store, sqlite_path, sqlite_uri, variable
from srexp.tracking.record import RunFolder

_SCHEMES = (
    "sqlite:///", "sqlite+pysqlite:///", "http://", "https://", "postgresql", "mysql", "mssql",
    "databricks",
)  # fmt: skip
_EXPERIMENT, _TIMEOUT_SECONDS = "srexp", 10
# SQLite opens paths of up to 504 bytes; ours is made in a folder beside its place.
_LONGEST_PARENT = 470


def has_password(uri: str) -> bool:
    """Whether there is one in `scheme://user:password@host`, or in the query."""
    parts = urlsplit(uri)
    return ":" in parts.netloc.rpartition("@")[0] or "password" in dict(parse_qsl(parts.query))


@dataclass(kw_only=True)
class Tracking(Options, group="tracking"):
    """Base of the choices; the run folder is written whatever is chosen."""


@dataclass(kw_only=True)
class NoTracking(Tracking, name="none"):
    """The run folder alone."""


@dataclass(kw_only=True)
class TensorBoardTracking(Tracking, name="tensorboard"):
    """TensorBoard's event files.

    Attributes:
        dir: A folder that gets a folder for each run; None for the run's own folder.
    """

    dir: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if find_spec("tensorboard") is None:
            raise OptionError(
                "name=tensorboard: is not installed; pip install 'srexp[tensorboard]'", "name"
            )

    def folder(self, run: RunFolder) -> Path:
        """Of a run's event file."""
        return run.folder if self.dir is None else Path(self.dir) / run.id


def check_uri(uri: str, source: str = "") -> None:
    """Refuse an address that cannot work, or that is not to be seen by everybody.

    Raises:
        OptionError: Of the key `uri`.
    """
    if has_password(uri):
        raise OptionError(
            f"uri{source}: holds a password, which everybody who sees the run would see; leave it "
            "out (PostgreSQL takes it from ~/.pgpass, a server from MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD)",
            "uri",
        )
    if not uri.startswith(_SCHEMES):
        raise OptionError(
            f"uri={uri}{source}: must be a server (http://HOST:PORT) or a database "
            "(sqlite:///PATH, postgresql://...); MLflow no longer writes plain folders",
            "uri",
        )


@dataclass(kw_only=True)
class MlflowTracking(Tracking, name="mlflow"):
    """MLflow beside the run folder.

    Attributes:
        uri: A server (`http://...`) or a database (`sqlite:///...`); None for
            MLFLOW_TRACKING_URI, else `mlflow.db` in the output folder.
        experiment: The MLflow experiment; None for MLFLOW_EXPERIMENT_NAME or _ID, else `srexp`.
        register: A registered model of MLflow, of which a finished run becomes a version, with
            the alias `newest`. None for no version.
        timeout_seconds: Of one request to a server; a dead server costs a few of these at the
            end of a run, and no training time. None for MLFLOW_HTTP_REQUEST_TIMEOUT, else 10.
    """

    uri: str | None
    experiment: str | None
    register: str | None = None
    timeout_seconds: int | None = bounded(1, 600)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.uri is not None:
            check_uri(self.uri)
        elif (uri := variable("MLFLOW_TRACKING_URI")) is not None:
            check_uri(uri, " (MLFLOW_TRACKING_URI)")
        if self.timeout_seconds is None:
            _environment_timeout()
        if self.experiment is not None and not self.experiment.strip():
            raise OptionError("experiment='': must be a name", "experiment")
        if self.register is not None and not re.fullmatch(
            r"[^/:.%\"'\s][^/:.%\"']*", self.register
        ):
            raise OptionError(
                f"register={self.register}: must be a name without / : . % and quotes", "register"
            )


def place(
    output_dir: Path,
    tracking: MlflowTracking | None = None,
    before: Mapping[str, Any] | None = None,
) -> Store:
    """Where a run or a sweep is shown: the one rule, for all commands.

    What is typed, now or when it began, wins over the environment; both win over where it happens
    to be shown already, and that over our own database in the output folder.

    Args:
        output_dir: Where the run or the sweep lies now.
        tracking: Its options, where the command has them.
        before: What `run.json` or `sweep.json` says of MLflow.

    Raises:
        OptionError: What the environment names cannot be a store.
    """
    output_dir = output_dir.resolve()
    was = recorded(before, output_dir) if before else None
    typed = tracking.uri if tracking else None
    named = variable("MLFLOW_TRACKING_URI")
    if typed is not None:
        uri, chosen = absolute_uri(typed), "tracking.uri"
    elif was is not None and (was.chosen == "tracking.uri" or named is None):
        uri, chosen = was.uri, was.chosen
    elif named is not None:
        check_uri(named, " (MLFLOW_TRACKING_URI)")
        uri, chosen = absolute_uri(named), "MLFLOW_TRACKING_URI"
    else:
        uri, chosen = sqlite_uri(output_dir / "mlflow.db"), ""
    if was is not None and before is not None and uri in (was.uri, before["uri"]):
        uri, root = was.uri, was.artifact_root
    else:
        root = str(output_dir / ARTIFACTS)
    experiment = (tracking and tracking.experiment) or variable("MLFLOW_EXPERIMENT_NAME")
    by_id = None if experiment else variable("MLFLOW_EXPERIMENT_ID")
    if experiment is None and by_id is None:
        experiment, by_id = (was.experiment, was.experiment_id) if was else (_EXPERIMENT, None)
    timeout = (tracking and tracking.timeout_seconds) or _environment_timeout()
    timeout = timeout or (was.timeout_seconds if was else _TIMEOUT_SECONDS)
    return Store(uri, experiment or "", root, timeout, chosen, by_id)


def check_place(output_dir: Path, tracking: MlflowTracking) -> None:
    """Raises OptionError: SQLite cannot open a database in so deep a folder."""
    database = sqlite_path(place(output_dir, tracking).uri)
    if database is not None and len(os.fsencode(database.parent)) > _LONGEST_PARENT:
        raise OptionError(
            f"tracking=mlflow: {database.parent} is too long for MLflow's SQLite database, at most "
            f"{_LONGEST_PARENT} bytes; choose another folder or tracking.uri, or tracking=none"
        )


def recorded(before: Mapping[str, Any], output_dir: Path) -> Store:
    """Where a run or a sweep was shown; a database that was moved with it is where it is now.

    Args:
        before: What `run.json` or `sweep.json` says of MLflow.
        output_dir: Where the run or the sweep lies now; absolute.
    """
    was = Store.of(before)
    database = sqlite_path(was.uri)
    root = Path(was.artifact_root)
    folder = root.parent  # the output folder of then
    if "chosen" not in before and database != folder / "mlflow.db":
        was = replace(was, chosen="tracking.uri")
    if database is None or root.name != ARTIFACTS or not database.is_relative_to(folder):
        return was
    moved = output_dir / database.relative_to(folder)
    if moved == database or (database.is_file() and not moved.is_file()):
        return was
    return replace(was, uri=sqlite_uri(moved), artifact_root=str(output_dir / ARTIFACTS))


def _environment_timeout() -> int | None:
    given = variable("MLFLOW_HTTP_REQUEST_TIMEOUT")
    if given is not None and not (given.isdecimal() and int(given) > 0):
        raise OptionError(
            f"timeout_seconds={given} (MLFLOW_HTTP_REQUEST_TIMEOUT): must be a whole number of "
            "seconds, at least 1",
            "timeout_seconds",
        )
    return None if given is None else int(given)


def absolute_uri(uri: str) -> str:
    """A relative address is how people end up with an empty UI."""
    if (path := sqlite_path(uri)) is not None:
        query = uri.partition("?")[2]
        return sqlite_uri(checked("tracking.uri", path).resolve()) + (f"?{query}" if query else "")
    # Which driver the short form means depends on SQLAlchemy's version.
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg2://", uri)
