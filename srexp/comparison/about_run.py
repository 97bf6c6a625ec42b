"""What a run's folder alone does not say: how it differs, where MLflow has it, what to do next."""

from __future__ import annotations

import shlex
from functools import cache
from typing import Any

from srexp.options import OptionError, flatten
from srexp.tracking.mlflow_store import MODEL_TRAINING
from srexp.tracking.options import recorded
from srexp.tracking.record import RunFolder

# What says nothing about a run beside the others.
_NOT_COMPARED = (
    "paths.",
    "tracking.experiment",
    "tracking.timeout_seconds",
    "tracking.register",
    "resume",
)
ABSENT = "–"


def difference(config: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Key -> value and default, where a configuration differs from `srexp train` without overrides.

    A key that the defaults do not have has `ABSENT` for a default. One that follows another key, as
    it does by default, is left out.
    """
    if not config:
        return {}
    from srexp.config.identity import with_additions
    from srexp.config.names import followed

    try:
        config = with_additions(config)
    except OptionError:
        pass  # of a package that is not here: as it was written
    ours, default = flatten(config), defaults()
    return {
        key: (value, default.get(key, ABSENT))
        for key, value in sorted(ours.items())
        if (key not in default or value != default[key])
        and not key.startswith(_NOT_COMPARED)
        and (key not in followed() or value != ours.get(followed()[key]))
    }


@cache
def defaults() -> dict[str, Any]:
    """What `srexp train` composes without overrides, flat."""
    from srexp.config.compose import compose

    return flatten(compose("train"))


def mlflow_link(run: RunFolder) -> str | None:
    """Where MLflow shows a run: an address, or the command that opens it."""
    shown = run.info.get("mlflow") or {}
    if not shown:
        return None
    uri, run_id = recorded(shown, run.folder.resolve().parent).uri, shown.get("run_id")
    if uri.startswith(("http://", "https://")) and run_id:
        return f"{uri}/#/experiments/{shown['experiment_id']}/runs/{run_id}?{MODEL_TRAINING}"
    return f"python -m srexp ui --uri {shlex.quote(uri)}" + (
        f"    (run {run_id})" if run_id else ""
    )


def commands(run: RunFolder) -> dict[str, str]:
    """What to do next -> the command for it."""
    found = {}
    if run.info["status"] == "FINISHED":
        found["train on"] = f"python -m srexp train {run.typed('resume')} trainer.steps=N"
    elif run.info["status"] != "RUNNING":
        found["go on"] = f"python -m srexp train {run.typed('resume')}"
    if (run.checkpoints / "best.npz").exists():
        found["evaluate"] = f"python -m srexp evaluate {run.typed('run')}"
    return found


def text(value: Any) -> str:
    """A value as it is typed."""
    return "null" if value is None else str(value).lower() if value in (True, False) else str(value)
