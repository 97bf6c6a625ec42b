"""A run's network as an MLflow model: `mlflow.pyfunc.load_model("runs:/ID/model")`."""

from __future__ import annotations

import logging
import os
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from srexp.files import flush
from srexp.quiet import quiet_import
from srexp.tracking.mlflow_store import before_import

if TYPE_CHECKING:
    import keras

# In the run folder, and of the artifacts in MLflow.
FOLDER = "model"
# What an alias of a registered model is called; it moves to each new version.
ALIAS = "newest"
_EXAMPLE_SIDE = 16


def save(network: keras.Model, folder: Path, multiple: int = 1) -> None:
    """Write it into a run's folder, whole or not at all; one that is there is replaced.

    It loads and serves where srexp is not installed: MLflow's own flavor for Keras, with a
    signature for any number of images of any size, an example, and what must be installed.

    Args:
        network: `[N, h, w, C]` LR in [0, 1] -> `[N, H, W, C]` SR in [0, 1], of Keras' layers alone.
        folder: Of the run.
        multiple: What the sides of LR must divide by.

    Raises:
        OSError: It cannot be written.
    """
    before_import()
    with quiet_import():
        import mlflow.tensorflow
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    channels = network.input_shape[-1]
    lr, sr = (
        Schema([TensorSpec(np.dtype(np.float32), (-1, -1, -1, channels), name)])
        for name in (network.inputs[0].name, None)
    )
    side = -(-_EXAMPLE_SIDE // multiple) * multiple
    ramp = np.linspace(0, 1, side, dtype=np.float32)
    example = np.broadcast_to(ramp[None, :, None, None], (1, side, side, channels))
    beside = folder / f".{os.getpid()}.part.model"
    try:
        mlflow.tensorflow.save_model(
            network,
            str(beside),
            signature=ModelSignature(lr, sr),
            input_example=np.ascontiguousarray(example),
            pip_requirements=[
                f"{name}=={version(name)}" for name in ("mlflow", "tensorflow", "keras")
            ],
        )
        for path in beside.rglob("*"):
            flush(path)
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        beside.rename(folder / FOLDER)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def register(client: Any, name: str, folder: Path, run_id: str) -> None:
    """Make a run that is in MLflow a version of a registered model, once, with the alias `newest`.

    Args:
        client: An `MlflowClient`.
        name: Of the model; made where it is not there.
        folder: Of the run.
        run_id: MLflow's.

    Raises:
        MlflowException: It was refused, or the server is away.
    """
    from mlflow.exceptions import MlflowException

    if not (folder / FOLDER / "MLmodel").is_file():
        return
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    versions = client.search_model_versions(f"name='{name}'")
    own = next((version for version in versions if version.run_id == run_id), None)
    if own is None:
        own = client.create_model_version(name, f"runs:/{run_id}/{FOLDER}", run_id)
    # Also where an earlier attempt made the version and came no further.
    if all(int(version.version) <= int(own.version) for version in versions):
        client.set_registered_model_alias(name, ALIAS, own.version)
