"""What tests of MLflow need: run folders, and MLflow's own server with faults of ours."""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from srexp.tracking.mirror import Mirror
from srexp.tracking.mlflow_store import Store
from srexp.tracking.record import RunFolder

CONFIG = {
    "model": {"name": "deconv", "depth": 3},
    "degradation": {"scale": 2},
    "protocol": {"rgb": {}},
    "paths": {"output_dir": "outputs"},
    "seed": 0,
}


def make_run(
    output_dir: Path, store: Store | None, config: dict[str, Any] | None = None, **info: Any
) -> RunFolder:
    """A run that trains (this process holds its lock) and is shown in a store."""
    known = {"config_digest": "0123", "images_digest": "4567", "title": None, "sweep": None}
    run = RunFolder.create(
        output_dir, "deconv-x2", config or CONFIG, "seed: 0\n", **{**known, **info}
    )
    if store is not None:
        run.update(mlflow=shown(run, store))
    return run


def shown(run: RunFolder, store: Store) -> dict[str, Any]:
    return {
        **asdict(store),
        "run_name": "a run",
        "parent_run_id": None,
        "run_id": None,
        "complete": False,
        "tags": {"srexp.run": run.id},
    }


def fill(run: RunFolder, steps: tuple[int, ...] = (10, 20, 30)) -> None:
    """Two numbers, a picture and a table a step, and a network."""
    for step in steps:
        run.log(step, {"train/loss": 1 / step})
        run.log(step, {"val_x2/rgb/psnr": 30.0 + step})
        draw(run, "val_x2/rgb/flower", f"step-{step:07d}")
    (run.folder / "evaluations" / "val_x2" / "rgb").mkdir(parents=True, exist_ok=True)
    (run.folder / "evaluations" / "val_x2" / "rgb" / "final.csv").write_text("image,psnr\n")
    (run.folder / "model.keras").write_bytes(b"weights" * 100)


def draw(run: RunFolder, key: str, stem: str) -> np.ndarray:
    path = run.folder / "grids" / key / f"{stem}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(stem)).integers(0, 256, (300, 400, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def send(run: RunFolder, *, fresh: bool = False) -> Mirror:
    """All of a run, at once."""
    mirror = Mirror(run)
    mirror.connect(fresh=fresh)
    mirror.send()
    mirror.finish()
    return mirror


def history(client: Any, run_id: str, key: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in client.get_metric_history(run_id, key)]


def artifacts(client: Any, run_id: str, folder: str | None = None) -> list[str]:
    """All files of a run."""
    found: list[str] = []
    for item in client.list_artifacts(run_id, folder):
        found += artifacts(client, run_id, item.path) if item.is_dir else [item.path]
    return sorted(found)


def pictures(client: Any, run_id: str) -> list[tuple[str, int]]:
    """(key, step) of each, as often as it is there, from MLflow's own naming."""
    names = [path for path in artifacts(client, run_id) if path.startswith("images/")]
    found = []
    for kind in (r"\.png", r"\+compressed\.webp"):
        form = rf"images/(.+)\+step\+(\d+)\+timestamp\+\d+\+[0-9a-f-]{{36}}{kind}"
        named = [match for name in names if (match := re.fullmatch(form, name))]
        found.append(sorted((m[1].replace("~", "/"), int(m[2])) for m in named))
    assert found[0] == found[1], "each has its thumbnail"
    assert 2 * len(found[0]) == len(names), "and nothing else is there"
    return found[0]


def is_there_once(client: Any, run: RunFolder, steps: tuple[int, ...] = (10, 20, 30)) -> None:
    """Assert that MLflow has what `fill` made, once."""
    experiment = run.info["mlflow"]["experiment_id"]
    found = client.search_runs([experiment], f"tags.`srexp.run` = '{run.id}'")
    assert [item.info.run_id for item in found] == [run.info["mlflow"]["run_id"]]
    run_id = found[0].info.run_id
    assert history(client, run_id, "train/loss") == [(step, 1 / step) for step in steps]
    assert history(client, run_id, "val_x2/rgb/psnr") == [(step, 30.0 + step) for step in steps]
    assert set(found[0].data.metrics) == {"train/loss", "val_x2/rgb/psnr"}
    assert pictures(client, run_id) == [("val_x2/rgb/flower", step) for step in steps]
    rest = [path for path in artifacts(client, run_id) if not path.startswith("images/")]
    assert rest == [
        "config.json", "config.yaml", "evaluations/val_x2/rgb/final.csv", "model.keras",
    ]  # fmt: skip
    assert found[0].data.params == {
        "model.name": "deconv", "model.depth": "3", "degradation.scale": "2",
        **({"protocol.rgb": "{}"} if "protocol.rgb" in found[0].data.params else {}),
        "seed": "0",
    }  # fmt: skip
    assert found[0].data.tags["mlflow.loggedImages"] == "True"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """MLflow's own server application in a thread, behind a gate that makes faults.

    Attributes:
        fault: Asked for each request (method, path); answers None, `500`, `413`, `lost` (done, but
            the connection is cut before the answer) or `hang`.
        requests: What came: (method, path, body).
    """

    def __init__(self, folder: Path) -> None:
        uri = f"sqlite:///{folder}/server.db"
        self._environment = {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "_MLFLOW_SERVER_FILE_STORE": uri,
            "_MLFLOW_SERVER_REGISTRY_STORE": uri,
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"{folder}/artifacts",
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        os.environ.update(self._environment)
        from mlflow.server import app
        from mlflow.server.handlers import _get_tracking_store

        _get_tracking_store()
        os.environ.pop("MLFLOW_TRACKING_URI", None)  # which opening it has set for this process
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        self._app = app
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._running: Any = None
        self.released = threading.Event()
        self.reset()

    def reset(self) -> None:
        """Work again."""
        self.fault: Callable[[str, str], str | None] = lambda method, path: None
        self.requests: list[tuple[str, str, bytes]] = []
        self.released.set()
        self.released = threading.Event()
        self.start()

    def start(self) -> None:
        """Answer at the same port as before."""
        if self._running is not None:
            return
        from werkzeug.serving import make_server

        self._running = make_server("127.0.0.1", self.port, self._gate, threaded=True)
        self._running.daemon_threads = True
        threading.Thread(target=self._running.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Be away: connections are refused."""
        if self._running is not None:
            self._running.shutdown()
            self._running.server_close()
            self._running = None

    def close(self) -> None:
        """For good."""
        self.released.set()
        self.stop()
        for key in self._environment:
            os.environ.pop(key, None)

    def paths(self, method: str = "POST") -> list[str]:
        """What was asked, the last part of each path."""
        return [path.rsplit("/", 1)[-1] for how, path, _ in self.requests if how == method]

    def _gate(self, environ: dict[str, Any], start_response: Any) -> Any:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        import io

        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        self.requests.append((method, path, body))
        fault = self.fault(method, path)
        if fault == "hang":
            self.released.wait(60)
        if fault in ("500", "413", "hang"):
            start_response(f"{fault if fault != 'hang' else 500} fault", [("Content-Length", "0")])
            return []
        if fault != "lost":
            return self._app(environ, start_response)
        b"".join(self._app(environ, lambda *_: lambda _: None))
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionError
