"""What a run folder holds, shown in MLflow: everything once, in order, and again if need be.

All that is sent is read from the folder, so that what a dead server missed can be sent later by
anybody (`srexp sync`). What MLflow has already is asked of MLflow itself.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from srexp.options import flatten
from srexp.tracking import mlflow_model
from srexp.tracking.description import describe, is_ours
from srexp.tracking.mlflow_store import (
    create_run,
    existing_run,
    experiment_id,
    find_by_tag,
    is_deleted,
    is_refusal,
    legal,
    one_line,
    quiet_client,
    sendable,
)
from srexp.tracking.options import place
from srexp.tracking.record import RunFolder

# MLflow's limits: of one request, and of a value in characters.
_METRICS_A_BATCH, _PARAMS_A_BATCH = 1000, 100
_PARAM_LENGTH, _TAG_LENGTH, _FAILURE_LENGTH = 6000, 5000, 500
_NOTE, _NOTE_LENGTH, _DATASET_LENGTH = "mlflow.note.content", 5000, 500

_MLFLOW_STATUS = {"FINISHED": "FINISHED", "FAILED": "FAILED"}  # all others: KILLED

# Files that are shown beside metrics and pictures, and the artifact folder they go to.
_FILES = (
    "config.yaml", "config.json", "environment.json", "error.txt", "model.keras",
    "evaluations/*/*/*.csv", "evaluations/*/*/*.json", "report.html", "model/**/*",
)  # fmt: skip

# Of MLflow's names for pictures; they are names of files too, so they must not be long.
_PICTURE_KEY, _PICTURE_KEY_LENGTH = r"A-Za-z0-9_\-. /", 120
# The side of what its pages show before one clicks; MLflow itself would make it 256.
_SHOWN = 1024

# (key, value, time in ms, step)
Point = tuple[str, float, int, int]


class Mirror:
    """Sends a run folder to MLflow.

    Every method raises whatever MLflow raises, and may then be called again.

    Attributes:
        run: Whose folder; `run.info["mlflow"]` says where to and as what.
        sent: Kind (`numbers`, `pictures`, `files`) -> how many.
        refused: The first thing that MLflow refused, in one line. It costs that thing alone.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.store = place(run.folder.resolve().parent, None, run.info["mlflow"])
        self.sent = {"numbers": 0, "pictures": 0, "files": 0}
        self.refused: str | None = None
        self._client: Any = None
        self._run_id = ""
        self._connected = False
        self._had_failed = False
        # Metric -> step and time of the last point that MLflow has.
        self._latest: dict[str, tuple[int, int]] = {}
        self._images: set[tuple[str, int]] = set()
        self._files: dict[Path, int] = {}
        self._offset = 0  # in metrics.jsonl: what stands before it was sent

    @property
    def moved(self) -> int:
        """How much was sent: a sign of life."""
        return sum(self.sent.values())

    def connect(self, *, fresh: bool) -> None:
        """Find the run in MLflow, or make it; send its parameters.

        Args:
            fresh: It cannot be there yet.
        """
        if self._connected:
            return
        self._client = client = quiet_client(self.store)
        shown = self.run.info["mlflow"]
        found = None if fresh else self._existing(shown.get("run_id"))
        if found is None:
            experiment = experiment_id(client, self.store)
            if not fresh:
                found = self._existing(find_by_tag(client, experiment, "srexp.run", self.run.id))
        if found is None:
            began = self.run.info.get("created")
            run_id = create_run(client, experiment, shown["run_name"], _tags(shown), began)
            self._files = {}
        else:
            run_id = str(found.info.run_id)
            experiment = str(found.info.experiment_id)
        self._run_id = run_id
        self._ask_what_is_there(found)
        known = {**asdict(self.store), "experiment_id": experiment, "run_id": run_id}
        before = shown.get("run_id")
        if before and before != run_id:  # somebody may have noted it
            known["earlier_run_ids"] = [*shown.get("earlier_run_ids", []), before]
        if not known.items() <= shown.items():
            self.run.update(mlflow={**shown, **known})
        self._send_params(found.data.params if found else {})
        self._send_datasets()
        self._describe(found.data.tags if found else {})
        self._connected = True

    def disconnect(self) -> None:
        """After a failure: ask MLflow again what it has, since an answer may have been lost."""
        self._connected = False

    def send(self) -> None:
        """Send what is new in the folder."""
        for metrics, end in self._batches():
            self._log_metrics(metrics)
            self._offset = end
        for metrics, tags in self._new_scores():
            self._log_metrics(metrics)
            for tag, value in tags.items():
                self._client.set_tag(self._run_id, legal(tag), sendable(value, _TAG_LENGTH))
        for path, key, step in self._new_images():
            self.sent["pictures"] += self._taken(self._log_image, path, key, step)
            self._images.add((key, step))
        for path, changed in self._new_files():
            folder = _parent(path, self.run.folder)
            log = self._client.log_artifact
            self.sent["files"] += self._taken(log, self._run_id, str(path), folder)
            self._files[path] = changed

    def terminate(self) -> None:
        """Set the final status, where the run is in MLflow at all."""
        if not self._run_id:
            return
        info = self.run.info
        tags = {"srexp.status": info["status"]}
        failure = info.get("failure") or ""
        if failure or self._had_failed:
            tags["srexp.failure"] = sendable(failure, _FAILURE_LENGTH)
        parent = info["mlflow"].get("parent_run_id") or self._find_parent()
        if parent:
            tags["mlflow.parentRunId"] = parent
        for key, value in tags.items():
            self._client.set_tag(self._run_id, key, value)
        self._describe(self._client.get_run(self._run_id).data.tags)
        status = _MLFLOW_STATUS.get(info["status"], "KILLED")
        self._client.set_terminated(self._run_id, status, int(info.get("updated", 0) * 1000))

    def finish(self) -> None:
        """Set the final status, and note in the run folder that nothing is left to be sent."""
        self.terminate()
        name = self.run.info["mlflow"].get("register")
        if name and self.run.info["status"] == "FINISHED":
            self._taken(mlflow_model.register, self._client, name, self.run.folder, self._run_id)
        self.run.update(mlflow={**self.run.info["mlflow"], "complete": True})

    def look(self) -> Literal["there", "deleted", "gone"]:
        """Whether MLflow still has the run that it had; deleted ones can be restored there."""
        run_id = self.run.info["mlflow"].get("run_id")
        found = existing_run(quiet_client(self.store), run_id) if run_id else None
        if found is None:
            return "gone"
        return "deleted" if is_deleted(found) else "there"

    def adopt(self, parent_run_id: str) -> None:
        """Put a run that is in MLflow below its sweep's run, which was made after it."""
        shown = self.run.info["mlflow"]
        client = quiet_client(self.store)
        client.set_tag(shown["run_id"], "mlflow.parentRunId", parent_run_id)
        self.run.update(mlflow={**shown, "parent_run_id": parent_run_id})

    def unsent(self) -> int:
        """How many numbers, pictures and files MLflow does not have."""
        return (
            sum(len(metrics) for metrics, _ in (*self._batches(), *self._new_scores()))
            + len(list(self._new_images()))
            + len(list(self._new_files()))
        )

    def _existing(self, run_id: str | None) -> Any:
        """The run in MLflow; None where it is gone or deleted."""
        found = existing_run(self._client, run_id) if run_id else None
        return None if found is None or is_deleted(found) else found

    def _ask_what_is_there(self, found: Any) -> None:
        self._offset, self._latest, self._images, self._had_failed = 0, {}, set(), False
        if found is None:
            return
        # The latest point of each metric, with its step; `found.data.metrics` has values alone.
        latest = found.data.to_proto().metrics
        self._latest = {m.key: (m.step, m.timestamp) for m in latest}
        self._had_failed = "srexp.failure" in found.data.tags
        for artifact in self._client.list_artifacts(self._run_id, "images"):
            # MLflow's own naming of logged images; the compressed one is written last.
            named = re.match(r"images/(.+)\+step\+(\d+)\+.*compressed\.webp$", artifact.path)
            if named:
                self._images.add((named[1].replace("~", "/"), int(named[2])))
        tags = _tags(self.run.info["mlflow"])
        for key in (key for key in tags if found.data.tags.get(key) != tags[key]):
            self._client.set_tag(self._run_id, key, tags[key])
        # What is sent after its end does not begin it again.
        if self.run.info["status"] == "RUNNING" and found.info.status != "RUNNING":
            self._client.update_run(self._run_id, status="RUNNING")

    def _send_params(self, known: dict[str, str]) -> None:
        from mlflow.entities import Param

        ours = {
            legal(key): sendable(value, _PARAM_LENGTH)
            for key, value in flatten(self.run.config).items()
            if key != "resume" and not key.startswith("paths.")
        }
        new = [Param(key, value) for key, value in ours.items() if key not in known]
        for start in range(0, len(new), _PARAMS_A_BATCH):
            self._log("params", new[start : start + _PARAMS_A_BATCH])
        # A param cannot change; a longer run says so in a tag that can.
        for key in (key for key in ours if known.get(key, ours[key]) != ours[key]):
            value = sendable(ours[key], _TAG_LENGTH)
            self._client.set_tag(self._run_id, legal(f"resumed.{key}"), value)

    def _send_datasets(self) -> None:
        """What the run was trained, chosen and scored on; MLflow takes each once."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        given = [
            DatasetInput(
                Dataset(
                    name=sendable(known["name"], _DATASET_LENGTH),
                    digest=known["digest"],
                    source_type=known["source_type"],
                    source=json.dumps(known["source"]),
                    profile=json.dumps({"num_images": known["images"]}),
                ),
                [InputTag("mlflow.data.context", known["context"])],
            )
            for known in self.run.info["mlflow"].get("datasets", ())
        ]
        if given:
            self._taken(self._client.log_inputs, self._run_id, given)

    def _describe(self, tags: dict[str, str]) -> None:
        known, note = tags.get(_NOTE), sendable(describe(self.run), _NOTE_LENGTH)
        if known != note and is_ours(known):
            self._client.set_tag(self._run_id, _NOTE, note)

    def _batches(self) -> Iterator[tuple[list[Point], int]]:
        """New points, and where in the file they end."""
        path = self.run.folder / "metrics.jsonl"
        if not path.exists():
            return
        batch: list[Point] = []
        with path.open("rb") as file:
            file.seek(self._offset)
            end = self._offset
            for line in file:
                if not line.endswith(b"\n"):  # still being written
                    break
                new = self._new_points(line)
                if batch and len(batch) + len(new) > _METRICS_A_BATCH:
                    yield batch, end
                    batch = []
                batch += new
                end += len(line)
        if end > self._offset:
            yield batch, end

    def _new_points(self, line: bytes) -> list[Point]:
        try:
            point = json.loads(line)
            step, time = int(point["step"]), int(point["time"] * 1000)
            named = {legal(key): float(value) for key, value in point["metrics"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return []  # damaged
        return [(k, v, time, step) for k, v in named.items() if step > self._known(k)[0]]

    def _known(self, key: str) -> tuple[int, int]:
        return self._latest.get(key, (-1, 0))

    def _new_scores(self) -> Iterator[tuple[list[Point], dict[str, str]]]:
        """What `srexp evaluate` found since, the oldest first: points, and tags that label them.

        They stand beside the scores of the training's end and under the same names, so that the
        newest is what the table of runs shows and sorts by; those of a self-ensemble and of the
        last weights have names of their own.
        """
        found = []
        for path in self.run.folder.glob("evaluations/*/*/*.json"):
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
                key = str(content["key"]) + ("/ensemble" if content["ensemble"] else "")
                key += "/last" if str(content["weights"]).startswith("last") else ""
                step, time = int(content["step"]), int(content["created"] * 1000)
                points = [
                    (legal(f"{key}/{name}"), float(value), time, step)
                    for name, value in content["means"].items()
                ]
                tags = {f"srexp.task.{content['key']}": str(content["label"])}
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue  # damaged, or of an older srexp
            found.append((time, points, tags))
        for _, points, tags in sorted(found, key=lambda one: one[0]):
            new = [point for point in points if (point[3], point[2]) > self._known(point[0])]
            if new:
                yield new, tags

    def _log_metrics(self, points: list[Point]) -> None:
        from mlflow.entities import Metric

        for start in range(0, len(points), _METRICS_A_BATCH):
            part = points[start : start + _METRICS_A_BATCH]
            self.sent["numbers"] += self._log("metrics", [Metric(*point) for point in part])
            self._latest.update({key: (step, time) for key, _, time, step in part})

    def _log(self, kind: str, things: list[Any]) -> int:
        """Metrics or params, all at once; where MLflow refuses that, those that it takes."""
        try:
            self._client.log_batch(self._run_id, **{kind: things})
            return len(things)
        except Exception as error:
            if len(things) == 1 or not is_refusal(error):
                self._note_refusal(error)
                return 0
            middle = len(things) // 2
            return self._log(kind, things[:middle]) + self._log(kind, things[middle:])

    def _new_images(self) -> Iterator[tuple[Path, str, int]]:
        for path, name, step in self.run.pictures():
            key = legal(name, _PICTURE_KEY, _PICTURE_KEY_LENGTH)
            if (key, step) not in self._images:
                yield path, key, step

    def _log_image(self, path: Path, key: str, step: int) -> None:
        """As `MlflowClient.log_image`, but under a name that the picture alone decides.

        Where an answer is lost, the picture is sent once more, and is there once.
        """
        self._client.set_tag(self._run_id, "mlflow.loggedImages", "True")
        time = int(path.stat().st_mtime * 1000)
        own = uuid.uuid5(uuid.NAMESPACE_URL, f"{self._run_id}/{key}/{step}")
        name = f"{key.replace('/', '~')}+step+{step}+timestamp+{time}+{own}"
        with tempfile.TemporaryDirectory() as folder:
            png, small = Path(folder) / f"{name}.png", Path(folder) / f"{name}+compressed.webp"
            try:
                with Image.open(path) as picture:
                    thumbnail = picture.convert("RGB")
                    thumbnail.thumbnail((_SHOWN, _SHOWN))
            except OSError as error:
                self.refused = self.refused or f"{path}: no picture ({error})"
                return
            thumbnail.save(small)
            shutil.copyfile(path, png)
            self._client.log_artifact(self._run_id, str(png), "images")
            self._client.log_artifact(self._run_id, str(small), "images")

    def _new_files(self) -> Iterator[tuple[Path, int]]:
        for pattern in _FILES:
            for path in sorted(self.run.folder.glob(pattern)):
                # Of the curve; being written.
                if path.name.startswith(("step-", ".")) or path.is_dir():
                    continue
                changed = path.stat().st_mtime_ns
                if self._files.get(path) != changed:
                    yield path, changed

    def _taken(self, send: Callable[..., Any], *arguments: Any) -> bool:
        """Send one thing; whether MLflow took it."""
        try:
            send(*arguments)
            return True
        except Exception as error:
            self._note_refusal(error)
            return False

    def _note_refusal(self, error: Exception) -> None:
        """Note what costs one thing alone; raise anything else."""
        if not is_refusal(error):
            raise error
        run = existing_run(self._client, self._run_id)
        if run is None or is_deleted(run):  # then nothing will be taken
            raise error
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
    return {legal(key): sendable(value, _TAG_LENGTH) for key, value in tags.items()}


def _parent(path: Path, folder: Path) -> str | None:
    parent = path.parent.relative_to(folder).as_posix()
    return None if parent == "." else parent
