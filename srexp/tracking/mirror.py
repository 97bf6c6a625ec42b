"""What a run folder holds, shown in MLflow: everything once, in order, and again if need be.

All that is sent is read from the folder, so that what a dead server missed can be sent later by
anybody (`srexp sync`). What MLflow has already is asked of MLflow itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from srexp.options import flatten
from srexp.tracking.mlflow_store import (
    Store,
    create_run,
    experiment_id,
    find_by_tag,
    legal,
    one_line,
    quiet_client,
)
from srexp.tracking.record import RunFolder

# MLflow's limits for one request.
_METRICS_A_BATCH, _PARAMS_A_BATCH, _PARAM_LENGTH = 1000, 100, 6000

_MLFLOW_STATUS = {"FINISHED": "FINISHED", "FAILED": "FAILED"}  # all others: KILLED

# Files that are shown beside metrics and pictures, and the artifact folder they go to.
_FILES = (
    "config.yaml", "config.json", "environment.json", "error.txt", "model.keras",
    "evaluations/*/*/final.csv",
)  # fmt: skip


class Mirror:
    """Sends a run folder to MLflow.

    Every method raises whatever MLflow raises, and may then be called again: it goes on where it
    was.

    Attributes:
        run: Whose folder; `run.info["mlflow"]` says where to and as what.
        moved: Counts what was sent: a sign of life.
        refused: The first thing that MLflow refused, in one line. It costs that thing alone.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        shown = run.info["mlflow"]
        self.store = Store(
            shown["uri"], shown["experiment"], shown["artifact_root"], shown["timeout_seconds"]
        )
        self.moved = 0
        self.refused: str | None = None
        self._client: Any = None
        self._run_id = ""
        self._steps: dict[str, int] = {}  # metric -> the last step that MLflow has
        self._images: set[tuple[str, int]] = set()
        self._files: dict[Path, int] = {}
        self._offset = 0  # in metrics.jsonl: what stands before it was sent

    def connect(self, *, fresh: bool) -> None:
        """Find the run in MLflow, or make it; send its parameters.

        Args:
            fresh: It cannot be there yet.
        """
        if self._client is not None:
            return
        client = quiet_client(self.store)
        shown = self.run.info["mlflow"]
        experiment = experiment_id(client, self.store)
        run_id = shown.get("run_id") if not fresh else None
        found = self._existing(client, run_id) if run_id else None
        if found is None and not fresh:
            run_id = find_by_tag(client, experiment, "srexp.run", self.run.id)
            found = self._existing(client, run_id) if run_id else None
        if found is None:
            run_id = create_run(client, experiment, shown["run_name"], _tags(shown))
        else:
            experiment = found.info.experiment_id
            client.update_run(run_id, status="RUNNING")
            self._ask_what_is_there(client, found)
        self._run_id = str(run_id)
        self.run.update(mlflow={**shown, "experiment_id": experiment, "run_id": self._run_id})
        self._send_params(client, found.data.params if found else {})
        self._client = client

    def send(self) -> None:
        """Send what is new in the folder."""
        for metrics, end in self._batches():
            if metrics:
                self._try(self._log_metrics, metrics)
            self._offset = end
            self.moved += len(metrics)
        for path, key, step in self._new_images():
            self._try(self._log_image, path, key, step)
            self._images.add((key, step))
            self.moved += 1
        for path, changed in self._new_files():
            folder = "model" if path.suffix == ".keras" else _parent(path, self.run.folder)
            self._try(self._client.log_artifact, self._run_id, str(path), folder)
            self._files[path] = changed
            self.moved += 1

    def finish(self) -> None:
        """Set the final status, and note in the run folder that nothing is left to be sent."""
        info = self.run.info
        tags = {"srexp.status": info["status"]}
        if info.get("failure"):
            tags["srexp.failure"] = info["failure"][:500]
        parent = info["mlflow"].get("parent_run_id") or self._find_parent()
        if parent:
            tags["mlflow.parentRunId"] = parent
        for key, value in tags.items():
            self._client.set_tag(self._run_id, key, value)
        status = _MLFLOW_STATUS.get(info["status"], "KILLED")
        self._client.set_terminated(self._run_id, status, int(info.get("updated", 0) * 1000))
        self.run.update(mlflow={**info["mlflow"], "complete": True})

    def unsent(self) -> int:
        """How many numbers, pictures and files MLflow does not have."""
        return (
            sum(len(metrics) for metrics, _ in self._batches())
            + len(list(self._new_images()))
            + len(list(self._new_files()))
        )

    def _existing(self, client: Any, run_id: str) -> Any:
        """The run in MLflow, or None where it is gone."""
        from mlflow.exceptions import MlflowException

        try:
            return client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _ask_what_is_there(self, client: Any, found: Any) -> None:
        # The latest point of each metric, with its step; `found.data.metrics` has values alone.
        self._steps = {m.key: m.step for m in found.data.to_proto().metrics}
        for artifact in client.list_artifacts(found.info.run_id, "images"):
            # MLflow's own naming of logged images; the compressed one is written last.
            named = re.match(r"images/(.+)\+step\+(\d+)\+.*compressed\.webp$", artifact.path)
            if named:
                self._images.add((named[1].replace("~", "/"), int(named[2])))

    def _send_params(self, client: Any, known: dict[str, str]) -> None:
        from mlflow.entities import Param

        ours = {
            legal(key): str(value)[:_PARAM_LENGTH]
            for key, value in flatten(self.run.config).items()
            if key != "resume" and not key.startswith("paths.")
        }
        new = [Param(key, value) for key, value in ours.items() if key not in known]
        for start in range(0, len(new), _PARAMS_A_BATCH):
            client.log_batch(self._run_id, params=new[start : start + _PARAMS_A_BATCH])
        # A param cannot change; a longer run says so in a tag that can.
        for key in (key for key in ours if known.get(key, ours[key]) != ours[key]):
            client.set_tag(self._run_id, f"resumed.{key}", ours[key])

    def _batches(self) -> Iterator[tuple[list[tuple[str, float, int, int]], int]]:
        """(key, value, time in ms, step) of new points, and where in the file they end."""
        path = self.run.folder / "metrics.jsonl"
        if not path.exists():
            return
        batch: list[tuple[str, float, int, int]] = []
        with path.open("rb") as file:
            file.seek(self._offset)
            end = self._offset
            for line in file:
                if not line.endswith(b"\n"):  # still being written
                    break
                new = self._new_metrics(line)
                if batch and len(batch) + len(new) > _METRICS_A_BATCH:
                    yield batch, end
                    batch = []
                batch += new
                end += len(line)
        if end > self._offset:
            yield batch, end

    def _new_metrics(self, line: bytes) -> list[tuple[str, float, int, int]]:
        try:
            point = json.loads(line)
        except ValueError:
            return []
        step, time = point["step"], int(point["time"] * 1000)
        named = {legal(key): value for key, value in point["metrics"].items()}
        return [(k, v, time, step) for k, v in named.items() if step > self._steps.get(k, -1)]

    def _log_metrics(self, metrics: list[tuple[str, float, int, int]]) -> None:
        from mlflow.entities import Metric

        for start in range(0, len(metrics), _METRICS_A_BATCH):
            part = metrics[start : start + _METRICS_A_BATCH]
            self._client.log_batch(self._run_id, metrics=[Metric(*metric) for metric in part])
            self._steps.update({key: step for key, _, _, step in part})

    def _new_images(self) -> Iterator[tuple[Path, str, int]]:
        grids = self.run.folder / "grids"
        best = int(self.run.info.get("progress", {}).get("best_step", 0))
        for path in sorted(grids.glob("*/*/*/*.png")):
            key = re.sub(r"[^A-Za-z0-9_\-. /]", "_", str(path.parent.relative_to(grids).as_posix()))
            if path.stem != "final":
                step = int(path.stem.removeprefix("step-"))
            elif any(path.parent.glob("step-*.png")):
                continue  # the picture of the best step is there already
            else:
                step = max(best, 0)
            if (key, step) not in self._images:
                yield path, key, step

    def _log_image(self, path: Path, key: str, step: int) -> None:
        with Image.open(path) as picture:
            self._client.log_image(self._run_id, picture.convert("RGB"), key=key, step=step)

    def _new_files(self) -> Iterator[tuple[Path, int]]:
        for pattern in _FILES:
            for path in sorted(self.run.folder.glob(pattern)):
                changed = path.stat().st_mtime_ns
                if self._files.get(path) != changed:
                    yield path, changed

    def _try(self, send: Any, *arguments: Any) -> None:
        """What MLflow refuses costs that thing; anything else is the caller's."""
        from mlflow.exceptions import MlflowException

        try:
            send(*arguments)
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            self.refused = self.refused or one_line(error)

    def _find_parent(self) -> str | None:
        """The sweep's run, where it was made after this one."""
        sweep = self.run.info.get("sweep")
        if not sweep:
            return None
        experiment = self.run.info["mlflow"]["experiment_id"]
        return find_by_tag(self._client, experiment, "srexp.sweep", sweep)


def _tags(shown: dict[str, Any]) -> dict[str, str]:
    tags: dict[str, str] = dict(shown["tags"])
    if shown.get("parent_run_id"):
        tags["mlflow.parentRunId"] = shown["parent_run_id"]
    return {legal(key): value for key, value in tags.items()}


def _parent(path: Path, folder: Path) -> str | None:
    parent = path.parent.relative_to(folder).as_posix()
    return None if parent == "." else parent
