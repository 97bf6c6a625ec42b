"""A run that was trained is scored again: MLflow and the run's page are to show that too."""

from __future__ import annotations

import time

from srexp.running.display import Said
from srexp.running.report import write_report
from srexp.tracking.options import place
from srexp.tracking.record import RunError, RunFolder
from srexp.tracking.remedy import remedy

_TRAINED = "is being trained, which will show these scores too"
# Another `srexp evaluate` of the same run is soon done; a training is not.
_ATTEMPTS, _PAUSE_SECONDS = 20, 0.25


def begin(run: RunFolder) -> None:
    """Note in the run's folder that MLflow does not have everything any more.

    So `srexp sync` sends what is scored now, whatever becomes of this process. Who trains the run
    meanwhile sends it himself.

    Raises:
        OptionError: What the environment says of MLflow cannot be meant.
    """
    if run.info.get("mlflow"):
        place(run.folder.resolve().parent, None, run.info["mlflow"])
    if run.info.get("mlflow") and _claim(run) is None:
        try:
            run.update(mlflow={**run.info["mlflow"], "complete": False})
        finally:
            run.release()


def end(run: RunFolder, display: Said) -> None:
    """Make the page of a finished run again, and send MLflow what is new; or say why not."""
    if (why := _claim(run)) is not None:
        display.note(f"run {run.id} {why}", whole=True)
        return
    try:
        if run.info["status"] == "FINISHED":
            try:
                display.say(f"report: {write_report(run)}", whole=True)
            except OSError as error:
                display.note(f"{error.filename or run.folder}: {error.strerror or error}")
        if run.copy_of is not None:
            display.note(
                f"a copy of {run.copy_of}, whose MLflow run is left as it is; to show the "
                f"copy: python -m srexp sync --uri URI {run.typed()}",
                whole=True,
            )
        elif run.info.get("mlflow"):
            _send(run, display)
    finally:
        run.release()


def _claim(run: RunFolder) -> str | None:
    """Take the run; why that cannot be done, or None."""
    for _ in range(_ATTEMPTS):
        try:
            if run.claim():
                return None
        except OSError as error:  # somebody else's
            why = error.strerror or error
            return f"may not be written ({why}): its page and MLflow do not show these scores"
        except RunError:
            return "was removed meanwhile"
        if run.info["status"] == "RUNNING":
            return _TRAINED
        time.sleep(_PAUSE_SECONDS)
    return _TRAINED


def _send(run: RunFolder, display: Said) -> None:
    from srexp.tracking.mirror import Mirror
    from srexp.tracking.mlflow_store import ask, one_line

    mirror = Mirror(run)
    output_dir = run.folder.parent
    try:
        ask(mirror.store)
        if run.info["mlflow"].get("run_id") and mirror.look() == "deleted":
            return
        mirror.connect(fresh=False)
        mirror.send()
        mirror.finish()
    except Exception as error:  # whatever MLflow raises: the scores are in the folder
        display.note(
            f"MLflow at {mirror.store.uri} did not take these scores ({one_line(error)}); "
            f"{remedy(error, mirror.store, output_dir, run.id)}",
            whole=True,
        )
    else:
        if mirror.refused is not None:
            display.note(f"MLflow refused a part of it ({mirror.refused})")
