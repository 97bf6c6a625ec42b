"""What MLflow is to show of a run: kept in the run folder, so that it can be sent at any time."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from srexp.evaluation.cost import Cost
from srexp.tracking.mlflow_store import Store
from srexp.tracking.options import MlflowTracking, place, recorded
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
    before = run.info.get("mlflow") or {}
    output_dir = experiment.paths.output_dir
    store = place(output_dir, tracking, before)
    same = bool(before) and recorded(before, output_dir.resolve()).uri == store.uri
    return {
        **_run_of(store, run),
        "parent_run_id": parent_run_id or (before.get("parent_run_id") if same else None),
        "run_id": before.get("run_id") if same else None,
        "register": tracking.register,
        "datasets": _datasets(experiment, materials),
        "tags": {
            **_identity(run),
            "srexp.scale": str(experiment.degradation.scale),
            "srexp.degradation": experiment.degradation.label,
            "srexp.protocols": ", ".join(experiment.protocol),
            "srexp.parameters": str(cost.parameters),
            "srexp.multiply_adds_1280x720": str(cost.multiply_adds),
            **({"srexp.init_from": experiment.init_from} if experiment.init_from else {}),
            **{
                f"srexp.task.{task.key}": task.label
                for task in (*materials.validation, *materials.benchmarks)
            },
        },
    }


def shown_later(run: RunFolder, store: Store) -> dict[str, Any]:
    """`run.info["mlflow"]` for a run that was trained without MLflow, or shown elsewhere.

    Args:
        run: Of any status; its folder alone says what there is to say.
        store: Where it is to be shown from now on.

    Raises:
        RunError: Its configuration cannot be read.
    """
    before = run.info.get("mlflow") or {}
    config = run.config
    tags = {
        "srexp.scale": str(config["degradation"]["scale"]),
        "srexp.protocols": ", ".join(config["protocol"]),
        **before.get("tags", {}),
        **_identity(run),
    }
    return {
        **_run_of(store, run),
        "parent_run_id": None,
        "run_id": None,
        "datasets": before.get("datasets", []),
        "tags": tags,
    }


def _datasets(experiment: Experiment, materials: Materials) -> list[dict[str, Any]]:
    """The image sets, as MLflow's inputs of a run."""
    benchmarks = {task.images.name: task.images for task in materials.benchmarks}
    sets = [
        ("training", experiment.data, materials.train),
        ("validation", experiment.data, materials.validation[0].images),
        *(("evaluation", experiment.benchmark.get(name), s) for name, s in benchmarks.items()),
    ]
    return [
        {
            "name": images.name if context == "evaluation" else experiment.data.name,
            "digest": images.digest,
            "context": context,
            "images": len(images.images),
            **_source(option, images.name),
        }
        for context, option, images in sets
    ]


def _source(option: Any, name: str) -> dict[str, Any]:
    """Folders are MLflow's `local` source; images that come with packages have no place."""
    given = vars(option) if option is not None else {}
    folders = [value for key, value in given.items() if key.endswith("dir") and value]
    if not folders:
        return {"source_type": "srexp", "source": {"option": getattr(option, "name", name)}}
    flat = [f for value in folders for f in (value if isinstance(value, list) else [value])]
    return {"source_type": "local", "source": {"uri": ", ".join(map(str, flat))}}


def _run_of(store: Store, run: RunFolder) -> dict[str, Any]:
    name = run.info.get("title") or f"{run.info['name']} {run.id[-4:]}"
    return {**asdict(store), "run_name": name, "complete": False}


def _identity(run: RunFolder) -> dict[str, str]:
    return {
        "srexp.run": run.id,
        "srexp.folder": str(run.folder.resolve()),
        "srexp.config_digest": str(run.info.get("config_digest")),
        "srexp.images_digest": str(run.info.get("images_digest")),
    }
