"""A sweep's own MLflow run, the parent of its jobs' runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from srexp.tracking.mlflow_store import (
    Store,
    create_run,
    describe,
    existing_run,
    experiment_id,
    find_by_tag,
    legal,
    quiet_client,
    sendable,
)
from srexp.tracking.options import recorded


def shown(
    store: Store, before: Mapping[str, Any] | None = None, output_dir: Path = Path()
) -> dict[str, Any]:
    """What a sweep's folder keeps of its MLflow run.

    Args:
        store: Where it is to be shown.
        before: What the folder has kept; it stays, where the store and the experiment do.
        output_dir: Where the sweep lies now; absolute.
    """
    was = recorded(before, output_dir) if before else None
    if before and was and (was.uri, was.experiment) == (store.uri, store.experiment):
        return {**before, **asdict(store), "experiment_id": before.get("experiment_id")}
    return {**asdict(store), "run_id": None, "complete": False}


def begin(
    shown: dict[str, Any], sweep: str, params: dict[str, str], began: float
) -> dict[str, Any]:
    """Make the sweep's MLflow run, or take up the one that it had.

    Args:
        shown: Where.
        sweep: Name of the sweep's folder.
        params: Swept key -> its values.
        began: When, in seconds since 1970.

    Returns:
        `shown`, with the run's id.

    Raises:
        Exception: Whatever MLflow raises.
    """
    store = store_of(shown)
    client = quiet_client(store)
    experiment = experiment_id(client, store)
    sent = {legal(key): sendable(value, 6000) for key, value in params.items()}
    run_id = find_by_tag(client, experiment, "srexp.sweep", sweep)
    if run_id is not None and _is_of_others(client.get_run(run_id).data.params, sent):
        client.delete_tag(run_id, "srexp.sweep")
        run_id = None
    if run_id is None:
        run_id = create_run(client, experiment, f"sweep {sweep}", {"srexp.sweep": sweep}, began)
    else:
        client.update_run(run_id, status="RUNNING")
    known = client.get_run(run_id).data.params
    for key, value in sent.items():
        if key not in known:
            client.log_param(run_id, key, value)
    return {**shown, "run_id": run_id, "experiment_id": experiment, "complete": False}


def _is_of_others(known: dict[str, str], now: dict[str, str]) -> bool:
    """Whether a sweep had values that it has no more: MLflow cannot change parameters."""
    return any(
        not set(known[key].split(", ")) <= set(now.get(key, "").split(", ")) for key in known
    )


def finish(
    shown: dict[str, Any],
    status: str,
    files: Sequence[Path],
    note: str,
    tags: dict[str, str],
    best_gain: float | None,
    ended: float,
) -> dict[str, Any]:
    """Give the run its tables, pictures and status.

    Args:
        shown: What `begin` returned.
        status: FINISHED, FAILED or KILLED.
        files: Shown as artifacts.
        note: Markdown, the description at the top of the run's page.
        tags: More of them.
        best_gain: In dB; shown as a metric, so that sweeps can be sorted by it.
        ended: When, in seconds since 1970.

    Returns:
        `shown`, complete.

    Raises:
        Exception: Whatever MLflow raises.
    """
    client = quiet_client(store_of(shown))
    run_id = shown["run_id"]
    describe(client, run_id, note, tags, files)
    if best_gain is not None:
        client.log_metric(run_id, "best_gain", best_gain)
    client.set_terminated(run_id, status, int(ended * 1000))
    return {**shown, "complete": True}


def gone(shown: dict[str, Any]) -> bool:
    """Whether the store does not know the sweep's run any more."""
    return existing_run(quiet_client(store_of(shown)), shown["run_id"]) is None


def store_of(shown: dict[str, Any]) -> Store:
    """Where it is shown."""
    return Store.of(shown)
