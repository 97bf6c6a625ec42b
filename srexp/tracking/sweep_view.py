"""A sweep's own MLflow run, the parent of its jobs' runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from srexp.tracking.mlflow_store import (
    Store,
    create_run,
    experiment_id,
    find_by_tag,
    legal,
    quiet_client,
)

# Of a tag's value, in MLflow's database.
_NOTE_LENGTH = 7500


def begin(store: Store, sweep: str, params: dict[str, str]) -> dict[str, Any]:
    """Make the sweep's MLflow run, or take up the one that it had.

    Args:
        store: Where.
        sweep: Name of the sweep's folder.
        params: Swept key -> its values.

    Returns:
        What `finish` needs to know, as plain data.

    Raises:
        Exception: Whatever MLflow raises.
    """
    client = quiet_client(store)
    experiment = experiment_id(client, store)
    run_id = find_by_tag(client, experiment, "srexp.sweep", sweep)
    if run_id is None:
        run_id = create_run(client, experiment, f"sweep {sweep}", {"srexp.sweep": sweep})
    else:
        client.update_run(run_id, status="RUNNING")
    known = client.get_run(run_id).data.params
    for key, value in params.items():
        if legal(key) not in known:
            client.log_param(run_id, legal(key), value[:6000])
    return {**asdict(store), "run_id": run_id, "experiment_id": experiment}


def finish(
    shown: dict[str, Any],
    status: str,
    files: Sequence[Path],
    note: str,
    tags: dict[str, str],
    best_gain: float | None,
) -> None:
    """Give the run its tables, pictures and status.

    Args:
        shown: What `begin` returned.
        status: FINISHED, FAILED or KILLED.
        files: Shown as artifacts.
        note: Markdown, the description at the top of the run's page.
        tags: More of them.
        best_gain: In dB; shown as a metric, so that sweeps can be sorted by it.

    Raises:
        Exception: Whatever MLflow raises.
    """
    store = Store(**{field.name: shown[field.name] for field in fields(Store)})
    client = quiet_client(store)
    run_id = shown["run_id"]
    for path in files:
        client.log_artifact(run_id, str(path))
    for key, value in {"mlflow.note.content": note[:_NOTE_LENGTH], **tags}.items():
        client.set_tag(run_id, key, value)
    if best_gain is not None:
        client.log_metric(run_id, "best_gain", best_gain)
    client.set_terminated(run_id, status)
