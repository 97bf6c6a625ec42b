"""MLflow's table of runs, with the columns that matter."""

from __future__ import annotations

import json
from typing import Any

from srexp.tracking.mlflow_store import MODEL_TRAINING, Store, quiet_client

# The key under which a view is shared: MLflow keeps it in a tag of the experiment.
_VIEW = "srexp"
_CURVES = ("val_", "best/")
_PARAMS = ("act.name", "model.name", "model.depth", "degradation.scale", "loss.name", "seed")
# Of the newest runs, so many are looked at for what they were scored on.
_RUNS = 100
_WIDE, _NARROW = 210, 110


def runs_table(store: Store) -> str:
    """Where in MLflow's UI an experiment's runs are: what follows the server's address.

    The columns are the gain and the PSNR on each benchmark, then what distinguishes runs; the best
    gain stands first.

    Raises:
        Exception: Whatever MLflow raises; there may be no such experiment.
    """
    client = quiet_client(store)
    by_id = store.experiment_id
    found = (
        client.get_experiment(by_id) if by_id else client.get_experiment_by_name(store.experiment)
    )
    runs = client.search_runs([found.experiment_id], max_results=_RUNS)
    key = f"mlflow.sharedViewState.{_VIEW}"
    client.set_experiment_tag(found.experiment_id, key, json.dumps(_state(runs)))
    return f"#/experiments/{found.experiment_id}/runs?viewStateShareKey={_VIEW}&{MODEL_TRAINING}"


def _state(runs: list[Any]) -> dict[str, Any]:
    """What MLflow's page keeps of a view."""
    known = {key: None for run in runs for key in run.data.metrics}
    # Of benchmarks: those of the validation images are a curve, and its best.
    gains = [key for key in known if key.endswith("/psnr_gain") and not key.startswith(_CURVES)]
    metrics = [f"metrics.`{key}`" for key in gains]
    metrics += [f"metrics.`{key.removesuffix('_gain')}`" for key in gains]
    there = {key for run in runs for key in run.data.params}
    params = [f"params.`{key}`" for key in _PARAMS if key in there]
    widths = dict.fromkeys(metrics, _WIDE) | dict.fromkeys(params, _NARROW)
    state: dict[str, Any] = {
        "selectedColumns": metrics + params,
        "columnOrder": metrics + params,
        "columnWidths": widths,
    }
    if gains:
        state |= {"orderByKey": metrics[0], "orderByAsc": False}
    return state
