"""A run's network as an MLflow model: loaded where srexp is not, registered once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests_mlflow import artifacts, make_run, send

from srexp.tracking import mlflow_model
from srexp.tracking.mlflow_store import Store
from srexp.tracking.record import RunFolder

_LOADS = """
import sys
sys.modules["srexp"] = None
import mlflow, numpy as np
uri, lr, *addresses = sys.argv[1:]
mlflow.set_tracking_uri(uri)
for address, sr in zip(addresses[::2], addresses[1::2]):
    model = mlflow.pyfunc.load_model(address)
    (given,) = model.metadata.get_input_schema().inputs
    assert given.shape == (-1, -1, -1, 1) and given.type == np.float32
    assert np.asarray(model.input_example["lr"]).shape == (1, 18, 18, 1)
    np.save(sr, model.predict(np.load(lr)))
"""


def network(factor: float) -> keras.Model:
    """Twice as large, pixels repeated, times a factor."""
    lr = keras.Input((None, None, 1), name="lr")
    layer = keras.layers.Conv2D(1, 1, use_bias=False)
    made = keras.Model(lr, layer(keras.layers.UpSampling2D(2)(lr)))
    layer.set_weights([np.full((1, 1, 1, 1), factor, np.float32)])
    return made


def loaded(store: Store, addresses: Sequence[str], tmp_path: Path) -> list[np.ndarray]:
    """What another process makes of a ramp by the models of some addresses."""
    np.save(tmp_path / "lr.npy", ramp())
    made = [str(tmp_path / f"{number}.npy") for number in range(len(addresses))]
    both = [word for pair in zip(addresses, made, strict=True) for word in pair]
    done = subprocess.run(
        [sys.executable, "-c", _LOADS, store.uri, tmp_path / "lr.npy", *both],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [np.load(path) for path in made]


def ramp() -> np.ndarray:
    return np.linspace(0, 1, 2 * 5 * 7, dtype=np.float32).reshape(2, 5, 7, 1)


@pytest.fixture
def run(store: Store, tmp_path: Path) -> RunFolder:
    run = make_run(tmp_path, store)
    mlflow_model.save(network(0.25), run.folder)
    # A resumed run replaces it. 18: of the example's sides, which must divide by 6 here.
    mlflow_model.save(network(0.5), run.folder, 6)
    return run


def test_it_is_loaded_from_the_run_and_as_the_newest_version(
    store: Store, run: RunFolder, client: Any, tmp_path: Path
) -> None:
    assert [path.name for path in run.folder.glob("*model*")] == ["model"]
    run.info["mlflow"]["register"] = "large pictures"
    run.set_status("FINISHED", failure="")
    for _ in range(2):  # `srexp sync` may come again
        assert send(run).refused is None
    run_id = run.info["mlflow"]["run_id"]
    assert "model/MLmodel" in artifacts(client, run_id)
    assert "model/data/model.keras" in artifacts(client, run_id)
    wanted = 0.5 * ramp().repeat(2, axis=1).repeat(2, axis=2)
    for made in loaded(store, [f"runs:/{run_id}/model", "models:/large pictures@newest"], tmp_path):
        np.testing.assert_allclose(made, wanted, atol=1e-6)
    (version,) = client.search_model_versions("name='large pictures'")
    assert version.run_id == run_id

    later = make_run(tmp_path, store)
    later.info["mlflow"]["register"] = "large pictures"
    mlflow_model.save(network(1.0), later.folder)
    later.set_status("FINISHED", failure="")
    send(later)
    newest = client.get_model_version_by_alias("large pictures", "newest")
    assert newest.run_id == later.info["mlflow"]["run_id"] and int(newest.version) == 2


def test_an_alias_that_could_not_be_set_is_set_later(run: RunFolder, client: Any) -> None:
    from mlflow.exceptions import RestException

    run.info["mlflow"]["register"] = "halfway"
    run.set_status("FINISHED", failure="")

    class Refusing:
        """A client that makes versions and sets no alias."""

        def __getattr__(self, name: str) -> Any:
            if name == "set_registered_model_alias":
                raise RestException({"error_code": "PERMISSION_DENIED", "message": "no"})
            return getattr(client, name)

    assert send(run).refused is None
    run_id = run.info["mlflow"]["run_id"]
    client.delete_registered_model_alias("halfway", "newest")
    with pytest.raises(RestException):
        mlflow_model.register(Refusing(), "halfway", run.folder, run_id)
    for _ in range(2):
        mlflow_model.register(client, "halfway", run.folder, run_id)
        newest = client.get_model_version_by_alias("halfway", "newest")
        assert newest.run_id == run_id
    client.create_model_version("halfway", f"runs:/{run_id}/model", "another")
    client.delete_registered_model_alias("halfway", "newest")
    mlflow_model.register(client, "halfway", run.folder, run_id)  # no longer the newest
    assert not client.get_registered_model("halfway").aliases


def test_only_a_finished_run_is_registered(run: RunFolder, client: Any) -> None:
    run.info["mlflow"]["register"] = "unfinished"
    run.set_status("INTERRUPTED", failure="stopped")
    send(run)
    assert not client.search_registered_models("name='unfinished'")


def test_what_cannot_be_written_leaves_what_was_there(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow.tensorflow

    before = (run.folder / "model" / "MLmodel").read_bytes()

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mlflow.tensorflow, "save_model", full)
    with pytest.raises(OSError, match="No space left"):
        mlflow_model.save(network(1.0), run.folder)
    assert (run.folder / "model" / "MLmodel").read_bytes() == before
    assert [path.name for path in run.folder.glob("*model*")] == ["model"]
