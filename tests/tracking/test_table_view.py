"""The columns of MLflow's table of runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests_mlflow import fill, make_run, send

from srexp.tracking.mlflow_store import Store
from srexp.tracking.table_view import runs_table


def test_the_table_has_gains_first_and_the_best_on_top(
    store: Store, client: Any, tmp_path: Path
) -> None:
    """The form is that of MLflow 3.17's own `Share` button."""
    run = make_run(tmp_path / "outputs", store)
    fill(run)
    scores = {"set5_x2/y_paper/psnr": 33.0, "set5_x2/y_paper/psnr_gain": 1.5}
    run.log(30, {**scores, "best/val_x2/rgb/psnr_gain": 1.0})
    send(run)
    experiment = run.info["mlflow"]["experiment_id"]
    assert runs_table(store) == (
        f"#/experiments/{experiment}/runs?viewStateShareKey=srexp&workflowType=machine_learning"
    )
    tags = client.get_experiment(experiment).tags
    state = json.loads(tags["mlflow.sharedViewState.srexp"])
    assert state["selectedColumns"] == [
        "metrics.`set5_x2/y_paper/psnr_gain`", "metrics.`set5_x2/y_paper/psnr`",
        "params.`model.name`", "params.`model.depth`", "params.`degradation.scale`",
        "params.`seed`",
    ]  # fmt: skip
    assert state["orderByKey"] == "metrics.`set5_x2/y_paper/psnr_gain`"
    assert state["orderByAsc"] is False
