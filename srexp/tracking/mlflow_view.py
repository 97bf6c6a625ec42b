"""MLflow as a one-way view of a run folder, sent by a thread that can never hurt training."""

from __future__ import annotations

import itertools
import logging
import os
import queue
import re
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

# MLflow's limits for one request.
_METRICS_A_BATCH, _PARAMS_A_BATCH, _PARAM_LENGTH = 1000, 100, 6000
_BATCH_SECONDS = 1.0

_MLFLOW_STATUS = {"FINISHED": "FINISHED", "INTERRUPTED": "KILLED", "FAILED": "FAILED"}


@dataclass
class Target:
    """Where the run is shown, and as what.

    Attributes:
        uri: Absolute; of a server or a database.
        experiment: Its MLflow experiment.
        artifact_root: Where artifacts lie for a local database; a server has its own place.
        run_name: What the runs table shows.
        timeout_seconds: Of one request.
        run_id: To go on with an existing MLflow run; None for a new one.
        parent_run_id: Of a sweep's parent run.
        sent: Metric or picture -> the last step that was sent before; not sent again.
    """

    uri: str
    experiment: str
    artifact_root: Path
    run_name: str
    timeout_seconds: int
    run_id: str | None = None
    parent_run_id: str | None = None
    sent: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


def legal(key: str) -> str:
    """A key with what MLflow allows in one; anything else becomes an underscore."""
    return re.sub(r"[^A-Za-z0-9_\-. :/]", "_", key)


def quiet_client(target: Target) -> Any:
    """An `MlflowClient` for a target: few retries, no telemetry, no chatter; makes the store."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(target.timeout_seconds)
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from mlflow import MlflowClient

    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    if target.uri.startswith("sqlite:///"):
        _create_sqlite_store(Path(target.uri.removeprefix("sqlite:///")))
    return MlflowClient(tracking_uri=target.uri)


def _create_sqlite_store(path: Path) -> None:
    """Make the database beside its place and link it there.

    Two processes that open the same new database together collide in MLflow's migrations.
    """
    if path.exists():
        return
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mlflow-") as folder:
        migrated, whole = Path(folder) / "migrated.db", Path(folder) / "whole.db"
        MlflowClient(tracking_uri=f"sqlite:///{migrated}").search_experiments()
        # A copy through SQLite includes what still lies in its write-ahead log.
        source, copy = sqlite3.connect(migrated), sqlite3.connect(whole)
        source.backup(copy)
        source.close()
        copy.close()
        try:
            os.link(whole, path)
        except FileExistsError:
            pass  # another process was first


def experiment_id(client: Any, target: Target) -> str:
    """Of the experiment, made where it does not exist yet."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(target.experiment)
    if found is None:
        local = target.uri.startswith("sqlite:///")
        location = (target.artifact_root.resolve().as_uri()) if local else None
        try:
            return str(
                client.create_experiment(
                    target.experiment,
                    artifact_location=location,
                    # Otherwise the UI shows pages for language models first.
                    tags={"mlflow.experimentKind": "custom_model_development"},
                )
            )
        except MlflowException:
            found = client.get_experiment_by_name(target.experiment)  # another process was first
            if found is None:
                raise
    return str(found.experiment_id)


def create_run(client: Any, target: Target) -> tuple[str, str]:
    """A new MLflow run; its experiment's id and its own."""
    experiment = experiment_id(client, target)
    tags = dict(target.tags)
    if target.parent_run_id:
        tags["mlflow.parentRunId"] = target.parent_run_id
    run = client.create_run(experiment, tags=tags, run_name=target.run_name)
    return experiment, run.info.run_id


class MlflowView(threading.Thread):
    """Sends what it is given, in order, in batches, from a thread of its own.

    Nothing that goes wrong here reaches the caller: the first failure is kept in `error` and,
    unless MLflow merely refused an item, ends the sending; what is not sent is counted in
    `unsent`. The run folder has it all.

    Attributes:
        error: Why the sending stopped, in one line, or None.
        unsent: How many items were not sent.
        run_id: Of the MLflow run, once there is one.
    """

    def __init__(
        self,
        target: Target,
        params: dict[str, Any],
        announce: Callable[[str, str], None],
        sent: Callable[[dict[str, int]], None],
    ) -> None:
        """Args:
        target: Where to.
        params: Flattened configuration.
        announce: Called in the thread with experiment id and run id.
        sent: Called in the thread with `Target.sent` as it is after each batch of metrics.
        """
        super().__init__(name="mlflow-writer", daemon=True)
        self.target = target
        self.params = {legal(key): str(value)[:_PARAM_LENGTH] for key, value in params.items()}
        self.announce = announce
        self._tell_sent = sent
        self._sent = dict(target.sent)
        self.error: str | None = None
        self.unsent = 0
        self.run_id: str | None = None
        self._items: queue.Queue[tuple[str, tuple[Any, ...]]] = queue.Queue()

    def metrics(self, point: dict[str, Any]) -> None:
        """Queue one point of `metrics.jsonl`."""
        before = self.target.sent
        named = {legal(key): value for key, value in point["metrics"].items()}
        new = {k: v for k, v in named.items() if point["step"] > before.get(k, -1)}
        if new:
            self._items.put(("metrics", ({**point, "metrics": new},)))

    def tags(self, tags: dict[str, str]) -> None:
        """Queue tags."""
        self._items.put(("tags", ({legal(key): value for key, value in tags.items()},)))

    def image(self, path: Path, key: str, step: int) -> None:
        """Queue a picture file; one key a sample, so that the UI's step slider works."""
        key = legal(key)
        if step > self.target.sent.get(f"image {key}", -1):
            self._items.put(("image", (path, key, step)))

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Queue a file."""
        self._items.put(("artifact", (path, folder)))

    @property
    def busy(self) -> bool:
        """Whether something waits to be sent."""
        return not self._items.empty()

    def close(self, status: str) -> None:
        """Send what is queued, set the final status, end the thread."""
        self._items.put(("end", (status,)))
        if self.is_alive():
            self.join()

    def run(self) -> None:
        """The thread."""
        client: Any = None
        try:
            client = quiet_client(self.target)
            self._begin(client)
        except BaseException as error:  # whatever it is, training must not notice
            self._fail(error)
        broken = self.error is not None
        ended = False
        while not ended:
            items = self._gather()
            ended = items[-1][0] == "end"
            for kind, group in itertools.groupby(items, key=lambda item: item[0]):
                batch = [arguments for _, arguments in group]
                sent = False
                # The status is tried in any case: a run left RUNNING says something false.
                if not broken or (kind == "end" and self.run_id is not None):
                    try:
                        self._send(client, kind, batch)
                        sent = True
                    except BaseException as error:
                        self._fail(error)
                        # What MLflow refuses costs that item; anything else ends the sending.
                        broken = getattr(error, "error_code", "") != "INVALID_PARAMETER_VALUE"
                if not sent and kind != "end":
                    self.unsent += len(batch)

    def _gather(self) -> list[tuple[str, tuple[Any, ...]]]:
        """What arrives within a second: points are cheap only in batches."""
        items = [self._items.get()]
        deadline = time.monotonic() + _BATCH_SECONDS
        while items[-1][0] != "end" and (left := deadline - time.monotonic()) > 0:
            try:
                items.append(self._items.get(timeout=left))
            except queue.Empty:
                break
        return items

    def _begin(self, client: Any) -> None:
        from mlflow.entities import Param

        target = self.target
        if target.run_id is None:
            experiment, self.run_id = create_run(client, target)
            params = [Param(key, value) for key, value in self.params.items()]
            for start in range(0, len(params), _PARAMS_A_BATCH):
                client.log_batch(self.run_id, params=params[start : start + _PARAMS_A_BATCH])
        else:
            run = client.get_run(target.run_id)
            experiment, self.run_id = run.info.experiment_id, target.run_id
            client.update_run(self.run_id, status="RUNNING")
            # A param cannot change; a longer run says so in a tag that can.
            for key, value in self.params.items():
                if run.data.params.get(key) != value:
                    client.set_tag(self.run_id, f"resumed.{key}", value)
        self.announce(experiment, self.run_id)

    def _send(self, client: Any, kind: str, batch: list[tuple[Any, ...]]) -> None:
        if kind == "metrics":
            self._send_metrics(client, [point for (point,) in batch])
        for arguments in batch:
            if kind == "tags":
                for key, value in arguments[0].items():
                    client.set_tag(self.run_id, key, value)
            elif kind == "image":
                path, key, step = arguments
                with Image.open(path) as picture:
                    client.log_image(self.run_id, picture.convert("RGB"), key=key, step=step)
                self._sent[f"image {key}"] = step
            elif kind == "artifact":
                client.log_artifact(self.run_id, str(arguments[0]), arguments[1])
            elif kind == "end":
                client.set_terminated(self.run_id, _MLFLOW_STATUS[arguments[0]])

    def _send_metrics(self, client: Any, points: list[dict[str, Any]]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(key, value, int(point["time"] * 1000), point["step"])
            for point in points
            for key, value in point["metrics"].items()
        ]
        for start in range(0, len(metrics), _METRICS_A_BATCH):
            client.log_batch(self.run_id, metrics=metrics[start : start + _METRICS_A_BATCH])
        self._sent.update({key: point["step"] for point in points for key in point["metrics"]})
        self._tell_sent(dict(self._sent))

    def _fail(self, error: BaseException) -> None:
        if self.error is not None:
            return
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        self.error = first_line[:300]
