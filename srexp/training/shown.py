"""What MLflow is to show of a run: kept in the run folder, so that it can be sent at any time."""

from __future__ import annotations

from typing import Any

from srexp.evaluation.cost import Cost
from srexp.tracking.options import MlflowTracking
from srexp.tracking.record import RunFolder
from srexp.training.experiment import Experiment
from srexp.training.materials import Materials


def shown(
    experiment: Experiment,
    materials: Materials,
    run: RunFolder,
    cost: Cost,
    parent_run_id: str | None,
) -> dict[str, Any] | None:
    """`run.info["mlflow"]` for a training that begins or goes on; None without MLflow.

    Args:
        experiment: What is trained.
        materials: On what.
        run: Where; goes on in the MLflow run that it had, if the store is the same.
        cost: Of the network.
        parent_run_id: Of a sweep's MLflow run.
    """
    tracking = experiment.tracking
    if not isinstance(tracking, MlflowTracking):
        return None
    uri = tracking.resolved_uri(experiment.paths.output_dir)
    before = run.info.get("mlflow", {})
    same = before.get("uri") == uri
    return {
        "uri": uri,
        "experiment": tracking.experiment,
        "artifact_root": str(experiment.paths.output_dir / "mlartifacts"),
        "timeout_seconds": tracking.timeout_seconds,
        "run_name": run.info.get("title") or f"{run.info['name']} {run.id[-4:]}",
        "parent_run_id": parent_run_id or (before.get("parent_run_id") if same else None),
        "run_id": before.get("run_id") if same else None,
        "complete": False,
        "tags": {
            "srexp.run": run.id,
            "srexp.folder": str(run.folder),
            "srexp.config_digest": run.info["config_digest"],
            "srexp.scale": str(experiment.degradation.scale),
            "srexp.degradation": experiment.degradation.label,
            "srexp.protocols": ", ".join(experiment.protocol),
            "srexp.images_digest": materials.digest,
            "srexp.parameters": str(cost.parameters),
            "srexp.multiply_adds_1280x720": str(cost.multiply_adds),
            **({"srexp.init_from": experiment.init_from} if experiment.init_from else {}),
            **{
                f"srexp.task.{task.key}": task.label
                for task in (*materials.validation, *materials.benchmarks)
            },
        },
    }
