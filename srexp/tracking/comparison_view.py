"""A comparison's own MLflow run, beside the runs that it compares."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from srexp.tracking.mlflow_store import (
    Store,
    create_run,
    describe,
    existing_run,
    experiment_id,
    find_by_tag,
    is_deleted,
    quiet_client,
)


def show(store: Store, name: str, compared: Sequence[str], note: str, files: Sequence[Path]) -> str:
    """Make the comparison's run, or take up the one that the same comparison made before.

    Args:
        store: Of the runs.
        name: In the table of runs.
        compared: What is compared, and how; decides which comparisons are the same.
        note: Markdown, the description at the top of the run's page.
        files: Shown as artifacts.

    Returns:
        The run's id.

    Raises:
        Exception: Whatever MLflow raises.
    """
    client = quiet_client(store)
    experiment = experiment_id(client, store)
    digest = hashlib.sha256("\n".join(compared).encode()).hexdigest()[:16]
    run_id = find_by_tag(client, experiment, "srexp.comparison", digest)
    if run_id is None or is_deleted(existing_run(client, run_id)):
        tags = {"srexp.comparison": digest, "mlflow.source.name": "srexp compare"}
        run_id = create_run(client, experiment, name, tags)
    describe(client, run_id, note, {"srexp.compared": ", ".join(compared)}, files)
    client.set_terminated(run_id, "FINISHED")
    return run_id
