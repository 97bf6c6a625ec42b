"""Where runs are shown (`tracking=...`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from srexp.options import OptionError, Options, bounded
from srexp.tracking.mlflow_store import Store

SCHEMES = ("sqlite:///", "http://", "https://", "postgresql", "mysql", "mssql", "databricks")


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
class MlflowTracking(Tracking, name="mlflow"):
    """MLflow beside the run folder.

    Attributes:
        uri: A server (`http://...`) or a database (`sqlite:///...`); None for `mlflow.db` in
            the output folder.
        experiment: The MLflow experiment.
        timeout_seconds: Of one request to a server; a dead server costs a few of these at the
            end of a run, and no training time.
    """

    uri: str | None
    experiment: str
    timeout_seconds: int = bounded(1, 600)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.uri is not None and not self.uri.startswith(SCHEMES):
            raise OptionError(
                f"uri={self.uri}: must be a server (http://HOST:PORT) or a database "
                "(sqlite:///PATH, postgresql://...); MLflow no longer writes plain folders",
                "uri",
            )
        if self.uri is not None and has_password(self.uri):
            raise OptionError(
                "uri: holds a password, which everybody who sees the run would see; leave it out "
                "(PostgreSQL takes it from ~/.pgpass, a server from MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD)",
                "uri",
            )
        if not self.experiment.strip():
            raise OptionError("experiment='': must be a name", "experiment")

    def resolved_uri(self, output_dir: Path) -> str:
        """Absolute: a relative URI is how people end up with an empty UI."""
        uri = self.uri
        if uri is None:
            return f"sqlite:///{output_dir.resolve() / 'mlflow.db'}"
        if uri.startswith("sqlite:///"):
            return f"sqlite:///{Path(uri.removeprefix('sqlite:///')).expanduser().resolve()}"
        # Which driver the short form means depends on SQLAlchemy's version.
        return re.sub(r"^postgres(ql)?://", "postgresql+psycopg2://", uri)

    def store(self, output_dir: Path) -> Store:
        """Where the runs under an output folder are shown."""
        return Store(
            self.resolved_uri(output_dir),
            self.experiment,
            str(output_dir.resolve() / "mlartifacts"),
            self.timeout_seconds,
        )
