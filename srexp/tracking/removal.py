"""Removing a run: its folder for good, its MLflow run as MLflow does it, to be restored there."""

from __future__ import annotations

import shutil

from srexp.tracking.mlflow_store import before_import, one_line, quiet_client, sqlite_path
from srexp.tracking.options import recorded
from srexp.tracking.record import RunFolder

# A folder with this before its name is being removed, and no run any more.
_ASIDE = ".removed-"


def remove_folder(run: RunFolder) -> None:
    """Remove a run's folder; whoever calls has taken the run.

    Renamed first, so that what a crash leaves looks like no run; the next removal clears it.

    Raises:
        OSError: It may not be removed.
    """
    output_dir = run.folder.resolve().parent
    aside = output_dir / f"{_ASIDE}{run.id}"
    run.folder.resolve().rename(aside)
    run.release()
    for folder in output_dir.glob(f"{_ASIDE}*"):
        shutil.rmtree(folder, ignore_errors=folder != aside)


def delete_in_mlflow(run: RunFolder) -> str | None:
    """Mark the MLflow run deleted, if there is one.

    Returns:
        Why it could not be done, in one line, or None.
    """
    shown = run.info.get("mlflow") or {}
    run_id = shown.get("run_id")
    if not run_id:
        return None
    store = recorded(shown, run.folder.resolve().parent)
    database = sqlite_path(store.uri)
    if database is not None and not database.is_file():
        return None  # asking would make a new one
    before_import()
    from mlflow.exceptions import MlflowException

    try:
        quiet_client(store).delete_run(run_id)
    except MlflowException as error:
        # Unknown, or deleted before.
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return one_line(error)
    except Exception as error:  # a database that cannot be opened raises almost anything
        return one_line(error)
    return None
