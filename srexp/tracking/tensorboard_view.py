"""A run as TensorBoard's event files: curves, scores, pictures, texts, hyperparameters.

All of it is read from the run folder, so that the files can be written beside a training or later.
A run that goes on gets a new file with everything, and so no point twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from srexp.options import flatten
from srexp.tracking.description import describe, later_scores, scores
from srexp.tracking.record import RunFolder

# What sets runs apart in the HPARAMS tab; all of it is in the text `config`.
_HPARAMS = (
    "model.", "act.", "loss.", "optimizer.", "schedule.name", "degradation.", "seed",
    "trainer.steps", "trainer.batch_size", "trainer.hr_patch_size", "trainer.ema",
)  # fmt: skip


class TensorBoardView:
    """Appends what is new in a run folder to an event file.

    Attributes:
        folder: Of the event file.
        error: Why it could not be written, in one line, or None. Training goes on.
    """

    def __init__(self, run: RunFolder, folder: Path | None = None) -> None:
        """Begin a new file, and remove that of before.

        Args:
            run: What is shown.
            folder: Where the event file is to be; None for the run's own folder.
        """
        self.run = run
        self.folder = folder or run.folder
        self.error: str | None = None
        self._offset = 0  # in metrics.jsonl: what stands before it was written
        self._pictures: set[tuple[str, int]] = set()
        self._file: Any = None
        self._guarded(self._begin)

    def wake(self) -> None:
        """Something new is in the folder."""
        self._guarded(self._append)

    def close(self) -> None:
        """Write the rest: later scores, the table, how the run ended."""
        self._guarded(self._append)
        self._guarded(self._end)

    def _guarded(self, write: Any) -> None:
        if self.error is not None:
            return
        try:
            write()
        except OSError as error:
            self.error = f"{error.filename or self.folder}: {error.strerror or error}"

    def _begin(self) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.folder.mkdir(parents=True, exist_ok=True)
        for old in self.folder.glob("events.out.tfevents.*.srexp"):
            old.unlink()
        path = self.folder / f"events.out.tfevents.{time.time_ns()}.srexp"
        self._file = RecordWriter(path.open("wb"))
        event = Event(wall_time=time.time(), file_version="brain.Event:2")
        self._file.write(event.SerializeToString())
        config = json.dumps(self.run.config, indent=2)
        self._write([_text("config", f"```json\n{config}\n```")], 0)
        self._append()

    def _append(self) -> None:
        path = self.run.folder / "metrics.jsonl"
        if path.exists():
            with path.open("rb") as file:
                file.seek(self._offset)
                for line in file:
                    if not line.endswith(b"\n"):  # still being written
                        break
                    self._offset += len(line)
                    self._point(line)
        for picture, key, step in self.run.pictures():
            if (key, step) not in self._pictures:
                self._write([_image(key, picture)], step, picture.stat().st_mtime)
                self._pictures.add((key, step))
        self._file.flush()

    def _point(self, line: bytes) -> None:
        try:
            point = json.loads(line)
            numbers = {str(key): float(value) for key, value in point["metrics"].items()}
            step, moment = int(point["step"]), float(point["time"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return  # damaged
        self._write([_scalar(key, value) for key, value in numbers.items()], step, moment)

    def _end(self) -> None:
        from tensorboard.plugins.hparams.api_pb2 import Status

        for content in later_scores(self.run):
            means = {f"{content['key']}/{key}": float(v) for key, v in content["means"].items()}
            values = [_scalar(key, value) for key, value in means.items()]
            self._write(values, int(content.get("step", 0)), float(content["created"]))
        step = int(self.run.info.get("progress", {}).get("step", 0))
        finished = self.run.info["status"] == "FINISHED"
        status = Status.STATUS_SUCCESS if finished else Status.STATUS_FAILURE
        # Of what the scores are is known only now.
        self._write([_text("run", describe(self.run)), *_hparams(self.run), _ended(status)], step)
        self._file.close()

    def _write(self, values: list[Any], step: int, moment: float | None = None) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        moment = time.time() if moment is None else moment
        event = Event(wall_time=moment, step=step, summary=Summary(value=values))
        self._file.write(event.SerializeToString())


def _scalar(tag: str, value: float) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Summary.Value(tag=tag, simple_value=value)


def _image(tag: str, path: Path) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary

    with Image.open(path) as picture:
        width, height = picture.size
    encoded = path.read_bytes()
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=encoded)
    return Summary.Value(tag=tag, image=image)


def _text(tag: str, markdown: str) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.plugins.text.metadata import create_summary_metadata

    tensor = TensorProto(dtype="DT_STRING", string_val=[markdown.encode()])
    tensor.tensor_shape.dim.add(size=1)
    metadata = create_summary_metadata(display_name="", description="")
    return Summary.Value(tag=tag, metadata=metadata, tensor=tensor)


def _hparams(run: RunFolder) -> Iterator[Any]:
    """What the run is made of, and by what it is measured."""
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    start = plugin_data_pb2.SessionStartInfo(start_time_secs=float(run.info.get("created", 0)))
    infos = []
    for key, value in flatten(run.config).items():
        if not key.startswith(_HPARAMS) or value is None:
            continue
        if isinstance(value, bool):
            start.hparams[key].bool_value = value
            kind = api_pb2.DATA_TYPE_BOOL
        elif isinstance(value, int | float):
            start.hparams[key].number_value = value
            kind = api_pb2.DATA_TYPE_FLOAT64
        else:
            start.hparams[key].string_value = str(value)
            kind = api_pb2.DATA_TYPE_STRING
        infos.append(api_pb2.HParamInfo(name=key, type=kind))
    metrics = [
        api_pb2.MetricInfo(name=api_pb2.MetricName(tag=f"{task}/{metric}"))
        for task in scores(run)
        for metric in ("psnr_gain", "psnr")
    ]
    experiment = api_pb2.Experiment(hparam_infos=infos, metric_infos=metrics)
    data = plugin_data_pb2.HParamsPluginData
    yield _of_plugin(metadata.EXPERIMENT_TAG, data(experiment=experiment))
    yield _of_plugin(metadata.SESSION_START_INFO_TAG, data(session_start_info=start))


def _ended(status: Any) -> Any:
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    content = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    return _of_plugin(metadata.SESSION_END_INFO_TAG, content)


def _of_plugin(tag: str, content: Any) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata

    plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=content.SerializeToString())
    return Summary.Value(tag=tag, metadata=SummaryMetadata(plugin_data=plugin))
