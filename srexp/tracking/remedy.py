"""What to do where MLflow did not take something: what helps, as it can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from srexp.paths import OUTPUT_DIR, from_environment
from srexp.tracking.mlflow_store import (
    ExperimentDeleted,
    Store,
    is_unauthorized,
    sqlite_path,
    sqlite_uri,
)


def sync(output_dir: Path, *arguments: str) -> str:
    """The command that sends what MLflow does not have."""
    words = ["python", "-m", "srexp", "sync", *arguments]
    if output_dir.resolve() != from_environment(OUTPUT_DIR).resolve():
        words += ["--output-dir", str(output_dir.resolve())]
    return shlex.join(words)


def repair(error: BaseException, store: Store) -> str:
    """What makes MLflow take it, as a sentence without an end; empty where that is not known."""
    if isinstance(error, ExperimentDeleted):
        command = f"python -m mlflow experiments restore --experiment-id {error.experiment_id}"
        return f"to restore it: MLFLOW_TRACKING_URI={shlex.quote(store.uri)} {command}"
    if is_unauthorized(error):
        return (
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, "
            "to what the server takes"
        )
    if "out-of-date database schema" in str(error):
        return f"to bring it up to date: python -m mlflow db upgrade {shlex.quote(store.uri)}"
    database = sqlite_path(store.uri)
    if database is not None and re.search("not a database|malformed", str(error)):
        aside = [str(database), f"{database}.damaged"]
        return f"to have a new one made: {shlex.join(['mv', *aside])}"
    return ""


def remedy(error: BaseException, store: Store, output_dir: Path, *runs: str) -> str:
    """How what was not sent gets to MLflow, as a sentence without an end.

    Args:
        error: Why it was not.
        store: Where it should have gone.
        output_dir: Of the runs.
        runs: Ids of those to send; none for all.
    """
    again = sync(output_dir, *runs)
    repaired = repair(error, store)
    first = f"{repaired}; then: {again}" if repaired else f"to send them: {again}"
    own = sqlite_uri(output_dir.resolve() / "mlflow.db")
    database = sqlite_path(store.uri)
    if isinstance(error, ExperimentDeleted):
        other = sync(output_dir, *runs, "--experiment", "NAME")
        return f"{first}; or, to use another experiment: {other}"
    if repaired or store.uri == own or "locked" in str(error):
        return first
    here = f"to show them in the output folder instead: {sync(output_dir, *runs, '--uri', own)}"
    # A server may be away for a while; a file that cannot be opened stays so.
    return f"{first} (when it answers); or, {here}" if database is None else here
