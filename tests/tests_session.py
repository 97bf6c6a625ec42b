"""Tiny trainings in this process: what tests of continuation compare."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from srexp.config.compose import compose
from srexp.config.identity import config_digest
from srexp.config.settings import experiment_of
from srexp.tracking.record import RunFolder
from srexp.training import checkpoint, loop
from srexp.training.materials import gather
from srexp.training.session import Session

# Decided by the clock.
TIMED = ("train/images_per_second", "train/data_wait")


class Silent:
    """A display that draws nothing."""

    def stepped(self, step: int) -> None: ...
    def window(self, window: Any) -> None: ...
    def evaluated(self, step: int, reports: Any) -> None: ...


def pictures(folder: Path) -> Path:
    """Two training pictures, and one to validate by under `val/`."""
    rows, columns = np.mgrid[0:26, 0:28]
    for number, path in enumerate(("val/p0.png", "p1.png", "p2.png")):
        wave = np.sin(rows * (0.3 + 0.1 * number)) * np.cos(columns * 0.4)
        picture = np.stack([wave, -wave, wave * 0.5], axis=2) * 100 + 128
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.astype(np.uint8)).save(folder / path)
    return folder


def tiny(folder: Path, *overrides: str) -> dict[str, Any]:
    """A configuration of 30 steps, evaluated every 10, on the `pictures` of a folder."""
    return compose(
        overrides=[
            "data=folder", f"data.train_dir={folder}", f"data.val_dir={folder / 'val'}",
            "benchmark=[]", "tracking=none", "protocol=rgb", "degradation.scale=2", "model=deconv",
            "model.depth=2", "model.filters=3", "trainer.steps=30", "trainer.eval_every=10",
            "trainer.hr_patch_size=12", "trainer.batch_size=2", "trainer.sample_grids=1",
            "optimizer.learning_rate=0.02", *overrides,
        ]
    )  # fmt: skip


def begin(folder: Path, values: dict[str, Any]) -> Session:
    """A new run in a folder."""
    experiment = experiment_of(values)
    materials = gather(experiment)
    run = RunFolder.create(
        folder, "deconv-x2", values, "", config_digest=config_digest(values),
        images_digest=materials.digest, title=None, sweep=None,
    )  # fmt: skip
    return Session(experiment, materials, run, Silent())


def go_on(run: Path, **trainer: Any) -> tuple[Session, list[str]]:
    """The same run, continued by what could be another process; and what it remarked."""
    folder = RunFolder.open(run)
    values = folder.config
    experiment = experiment_of({**values, "trainer": {**values["trainer"], **trainer}})
    session = Session(experiment, gather(experiment), folder, Silent())
    return session, session.go_on()


def finish(session: Session) -> RunFolder:
    """Train to the end."""
    assert session.train(lambda: None).reason == "done"
    session.run.release()
    return session.run


def stop_at(session: Session, step: int) -> RunFolder:
    """Ask to stop after a step, as Ctrl-C does."""
    outcome = session.train(lambda: "stopped" if session.progress.step == step else None)
    assert (outcome.reason, outcome.progress.step) == ("stopped", step)
    session.run.release()
    return session.run


def logged(run: RunFolder) -> list[tuple[int, str, float]]:
    """(step, metric, value) in the order of the file, without what the clock decides."""
    return [
        (point["step"], name, value)
        for point in run.points()
        for name, value in point["metrics"].items()
        if name not in TIMED
    ]


def state(run: RunFolder) -> dict[str, Any]:
    """Everything that two equal trainings have in common."""
    newest = checkpoint.newest(run.checkpoints)
    found: dict[str, Any] = {"logged": logged(run), "names": [path.name for path in newest]}
    for path in (newest[0], checkpoint.best_path(run.checkpoints)):
        arrays, meta = checkpoint.load(path)
        progress = loop.Progress(**meta["progress"])
        progress.seconds = 0.0
        kind = "best" if path.stem == "best" else "newest"
        found[kind] = (progress, {name: array.tobytes() for name, array in arrays.items()})
    return found


def killed_at(folder: str, values: dict[str, Any], name: str, count: int, when: str) -> None:
    """Train in this process until SIGKILL: before or after a file comes to its name.

    Args:
        folder: Of the run to be made.
        values: Its configuration.
        name: Of the file, such as `best.npz`; `metrics` for a line of metrics.jsonl.
        count: The how manieth time.
        when: `before` or `after`; `half` for half a line.
    """
    import srexp.files
    import srexp.tracking.record as record

    seen = 0

    def due(path: str) -> bool:
        nonlocal seen
        seen += path.endswith(name)
        return path.endswith(name) and seen == count

    def replace(source: Any, target: Any) -> None:
        now = due(str(target))
        if now and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)
        if now:
            os.kill(os.getpid(), signal.SIGKILL)

    def append(file: int, line: bytes) -> None:
        if due("metrics"):
            os.write(file, line[: len(line) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        write(file, line)

    rename, write = os.replace, record._append
    srexp.files.os.replace = replace  # type: ignore[assignment]
    record._append = append
    finish(begin(Path(folder), values))
