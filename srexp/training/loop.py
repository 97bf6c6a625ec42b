"""The loop: step, count, evaluate, save. The step is the only clock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from srexp.training import checkpoint
from srexp.training.trainer import Trainer

if TYPE_CHECKING:
    from srexp.data.pipeline import Call
    from srexp.training.learner import Learner

# Steps between two looks at the loss, at least: each look makes a GPU wait for its queue to empty.
WINDOW = 10


class Diverged(RuntimeError):
    """The loss, or a weight, became NaN or infinite."""


@dataclass
class Progress:
    """Where a run is: what a checkpoint keeps beside the arrays.

    Attributes:
        step: Updates done.
        best_step: Where the best validation score was, -1 for none yet.
        best_score: That score, the mean of what `trainer.monitor` names.
        reference: The last score that was better than the one before by more than
            `trainer.min_delta`: many small gains count together.
        stale: Evaluations since then.
        seconds: Training time so far, over all continuations, evaluation included.
        scalars: What each step gave since the last window ended, by name, so that a continuation
            ends the same window.
    """

    step: int = 0
    best_step: int = -1
    best_score: float = -math.inf
    reference: float = -math.inf
    stale: int = 0
    seconds: float = 0.0
    scalars: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """What a few steps gave.

    Attributes:
        step: The last of them.
        scalars: The mean of each scalar of the algorithm: `loss`, and others.
        learning_rate: Of the step after.
        images_per_second: Patches.
        data_wait: Share of the time spent waiting for data, 0 to 1.
    """

    step: int
    scalars: dict[str, float]
    learning_rate: float
    images_per_second: float
    data_wait: float

    @property
    def loss(self) -> float:
        """What is minimised."""
        return self.scalars["loss"]


class Watcher(Protocol):
    """Who is told how training goes: the command, which logs and draws."""

    def stepped(self, step: int) -> None: ...
    def window(self, window: Window) -> None: ...
    def evaluate(self, step: int) -> float:
        """Score the validation images with the weights as they are; the greater the better."""
        ...

    def saving(self) -> None:
        """A checkpoint is about to be written: what was logged must not be lost after it."""
        ...

    def saved(self, progress: Progress) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """How training ended, and where.

    `done`, `max_minutes`, `patience`, or what it was asked to stop for (`stopped`, `pruned`).
    """

    reason: str
    progress: Progress
    train_seconds: float
    data_wait_seconds: float


def save(path: Path, learner: Learner, progress: Progress, identity: dict[str, Any]) -> None:
    """Write everything that an exact continuation needs."""
    checkpoint.save(
        path, learner.arrays(), {**identity, "progress": vars(progress), "ema": learner.uses_ema}
    )


def load(path: Path, learner: Learner) -> Progress:
    """Restore a learner from a checkpoint.

    Raises:
        CheckpointError: See `checkpoint.load` and `Learner.restore`.
    """
    arrays, meta = checkpoint.load(path)
    return _restored(path, learner, arrays, meta)


def load_newest(folder: Path, learner: Learner) -> tuple[Progress, list[str]]:
    """Restore a learner from the newest sound checkpoint, and put the best one right.

    Returns:
        Where the run is, and what a person should know of damaged files.

    Raises:
        CheckpointError: None is sound, or they are of another network.
    """
    arrays, meta, faults = checkpoint.load_newest(folder)
    progress = _restored(folder, learner, arrays, meta)
    remarks = [f"{fault}; an older checkpoint is used" for fault in faults]
    if learner.strategy.chief:
        remarks += _mend_best(folder, progress)
        checkpoint.aside_path(folder).unlink(missing_ok=True)  # it is the best again
        # Otherwise a damaged one would in time take the place of a sound one.
        checkpoint.remove_beyond(folder, progress.step)
    return progress, remarks


def _restored(path: Path, learner: Learner, arrays: Any, meta: dict[str, Any]) -> Progress:
    try:
        learner.restore(arrays)
    except checkpoint.CheckpointError as error:
        raise checkpoint.CheckpointError(f"{path}: {error}") from None
    return Progress(**meta["progress"])


def _mend_best(folder: Path, progress: Progress) -> list[str]:
    """Make best.npz what the progress says, where a crash or damage has come between."""
    if progress.best_step < 0:
        return []
    path, step = checkpoint.best_path(folder), progress.best_step
    fault = f"{path}: is of another step"
    if (found := _step_of(path)) == step:
        return []
    if isinstance(found, str):
        fault = found
    for same in (*checkpoint.newest(folder), checkpoint.aside_path(folder)):
        if _step_of(same) == step:
            damaged = isinstance(found, str) and path.exists()  # and not merely a crash before it
            checkpoint.keep_as_best(same)
            return [f"{fault}; made again from {same.name}"] if damaged else []
    progress.best_step, progress.best_score = -1, -math.inf
    path.unlink(missing_ok=True)
    return [f"{fault}; the best weights, of step {step}, are lost, the next ones count"]


def _step_of(path: Path) -> int | str:
    """The step of a sound checkpoint, or what is wrong with it."""
    try:
        return int(checkpoint.load(path)[1]["progress"]["step"])
    except checkpoint.NewerFormatError:
        raise
    except checkpoint.CheckpointError as error:
        return str(error)


def train(
    learner: Learner,
    calls: Iterator[Call],
    options: Trainer,
    progress: Progress,
    *,
    folder: Path,
    identity: dict[str, Any],
    watcher: Watcher,
    asked_to_stop: Callable[[], str | None],
) -> Outcome:
    """Train from `progress.step` to `options.steps`.

    Args:
        learner: Network, optimizer, compiled step.
        calls: What step `progress.step` gets, and the ones after it.
        options: How long, and how often to evaluate.
        progress: Where to begin; kept up to date.
        folder: Of the checkpoints.
        identity: Plain data that goes into each checkpoint.
        watcher: Is told, and evaluates.
        asked_to_stop: The reason, or None. Looked at after each step; with several processes, at
            the ends of windows.

    Raises:
        Diverged: The loss or a weight is not finite. The checkpoints of before stand.
        OSError: A checkpoint could not be written. The ones before it stand.
    """
    if options.patience is not None and progress.stale >= options.patience:
        return Outcome("patience", progress, 0.0, 0.0)  # it was stopped just as it was to end
    began, seconds_before = time.perf_counter(), progress.seconds
    train_seconds = wait_seconds = 0.0
    reason = "done"
    # Whole calls.
    per_call = options.steps_per_call or 1
    size = -(-WINDOW // per_call) * per_call
    learner.synchronise(progress.step)

    def keep(evaluated: bool, due: bool) -> None:
        if not learner.finite():
            raise Diverged(f"a weight became NaN or infinite before step {progress.step}")
        if not learner.strategy.chief:
            return
        progress.seconds = seconds_before + time.perf_counter() - began
        improved = False
        # Of an evaluation that is not due a longer training knows nothing: it has a part in what
        # this one is scored with, and none in what is gone on from.
        counted = progress if due else replace(progress)
        if evaluated:
            with learner.scored_weights():
                improved = _count(counted, watcher.evaluate(progress.step), options.min_delta)
        watcher.saving()
        path = checkpoint.step_path(folder, progress.step)
        save(path, learner, progress, identity)
        if improved and not due and progress.best_step >= 0:
            checkpoint.set_best_aside(folder)
        if improved:
            checkpoint.keep_as_best(path)
        checkpoint.remove_old(folder, options.keep_checkpoints)
        watcher.saved(counted)

    while progress.step < options.steps:
        first = progress.step
        to_evaluation = options.eval_every - first % options.eval_every
        end = min(options.steps, first + to_evaluation, first + size - first % size)
        given: list[tuple[int, dict[str, Any]]] = []
        waited, start = 0.0, time.perf_counter()
        while progress.step < end and reason == "done":
            before = time.perf_counter()
            call = next(calls)
            waited += time.perf_counter() - before
            given.append((call.steps, learner.steps(call, progress.step)))
            progress.step += call.steps
            watcher.stepped(progress.step)
            if why := asked_to_stop():
                reason = why
            elif options.max_minutes and (time.perf_counter() - began > 60 * options.max_minutes):
                reason = "max_minutes"
            reason = learner.strategy.agreed(reason, now=progress.step == end)
        # Only now, so that steps do not wait for one another.
        scalars = {
            name: [float(v) for count, found in given for v in np.asarray(found[name])[:count]]
            for name in given[0][1]
        }
        elapsed = time.perf_counter() - start
        train_seconds += elapsed
        wait_seconds += waited
        for name, values in scalars.items():
            for number, value in enumerate(values, first + 1):
                if not math.isfinite(value):
                    raise Diverged(f"the {name} of step {number} is {value}")
            progress.scalars.setdefault(name, []).extend(values)
        if progress.step == end:
            watcher.window(
                Window(
                    progress.step,
                    {name: float(np.mean(v)) for name, v in progress.scalars.items()},
                    learner.learning_rate(),
                    (progress.step - first) * options.batch_size / elapsed,
                    waited / elapsed,
                )
            )
            progress.scalars = {}
        if progress.step == options.steps:
            reason = "done"  # whoever asked to stop, or the clock, came too late
        due = progress.step % options.eval_every == 0
        if progress.step == options.steps or reason == "max_minutes" or due:
            keep(evaluated=True, due=due)
            hopeless = options.patience is not None and progress.stale >= options.patience
            if options.patience is not None and reason == "done" and progress.step < options.steps:
                # Only the chief has scored anything.
                reason = learner.strategy.agreed("patience" if hopeless else "done", now=True)
        elif reason != "done":
            keep(evaluated=False, due=False)
        if reason != "done":
            break
    return Outcome(reason, progress, train_seconds, wait_seconds)


def _count(progress: Progress, score: float, min_delta: float) -> bool:
    """Note a score; whether it is the best so far."""
    if math.isnan(score):  # every validation image was reproduced exactly
        score = -math.inf
    first = progress.best_step < 0
    progress.stale += 1
    if first or score > progress.reference + min_delta:
        progress.reference, progress.stale = score, 0
    improved = first or score > progress.best_score
    if improved:
        progress.best_score, progress.best_step = score, progress.step
    return improved
