"""The loop: step, count, evaluate, save. The step is the only clock."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from srexp.training import checkpoint
from srexp.training.trainer import Trainer

if TYPE_CHECKING:
    from srexp.training.learner import Learner

# Steps between two looks at the loss: each look makes a GPU wait for its queue to empty.
WINDOW = 10


class Diverged(RuntimeError):
    """The loss, or a weight, became NaN or infinite."""


@dataclass
class Progress:
    """Where a run is: what a checkpoint keeps beside the arrays.

    Attributes:
        step: Updates done.
        best_step: Where the best validation score was, -1 for none yet.
        best_psnr: That score, mean validation PSNR in dB.
        seconds: Training time so far, over all continuations, evaluation included.
    """

    step: int = 0
    best_step: int = -1
    best_psnr: float = -math.inf
    seconds: float = 0.0


@dataclass(frozen=True)
class Window:
    """What a few steps gave."""

    step: int
    loss: float
    learning_rate: float
    images_per_second: float
    data_wait: float  # share of the time spent waiting for data, 0 to 1


class Watcher(Protocol):
    """Who is told how training goes: the command, which logs and draws."""

    def stepped(self, step: int) -> None: ...
    def window(self, window: Window) -> None: ...
    def evaluate(self, step: int) -> float:
        """Score the validation images with the weights as they are; mean PSNR in dB."""
        ...

    def saved(self, path: Path, progress: Progress) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """How training ended: `done`, `max_minutes` or `stopped` (asked to), and where."""

    reason: str
    progress: Progress
    train_seconds: float
    data_wait_seconds: float


def checkpoint_paths(folder: Path) -> tuple[Path, Path]:
    """The files of the last and of the best weights in a run's folder."""
    return folder / "last.npz", folder / "best.npz"


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
    try:
        learner.restore(arrays)
    except checkpoint.CheckpointError as error:
        raise checkpoint.CheckpointError(f"{path}: {error}") from None
    return Progress(**meta["progress"])


def train(
    learner: Learner,
    batches: Iterator[tuple[Any, Any]],
    options: Trainer,
    progress: Progress,
    *,
    folder: Path,
    identity: dict[str, Any],
    watcher: Watcher,
    asked_to_stop: Callable[[], bool],
) -> Outcome:
    """Train from `progress.step` to `options.steps`.

    Args:
        learner: Network, optimizer, compiled step.
        batches: (inputs, hr) of step `progress.step`, of the one after it, and so on.
        options: How long, and how often to evaluate.
        progress: Where to begin; kept up to date.
        folder: Of the checkpoints.
        identity: Plain data that goes into each checkpoint.
        watcher: Is told, and evaluates.
        asked_to_stop: Looked at after each step; with several processes, after each window.

    Raises:
        Diverged: The loss or a weight is not finite. The checkpoints of before stand.
    """
    last, best = checkpoint_paths(folder)
    began, seconds_before = time.perf_counter(), progress.seconds
    train_seconds = wait_seconds = 0.0
    reason = "done"
    learner.synchronise(progress.step)

    def keep(evaluated: bool) -> None:
        if not learner.finite():
            raise Diverged(f"a weight became NaN or infinite before step {progress.step}")
        if not learner.strategy.chief:
            return
        progress.seconds = seconds_before + time.perf_counter() - began
        improved = False
        if evaluated:
            with learner.scored_weights():
                psnr = watcher.evaluate(progress.step)
            if math.isnan(psnr):  # every validation image was reproduced exactly
                psnr = -math.inf
            improved = progress.best_step < 0 or psnr > progress.best_psnr
            if improved:
                progress.best_psnr, progress.best_step = psnr, progress.step
        if improved:
            save(best, learner, progress, identity)
        save(last, learner, progress, identity)
        watcher.saved(last, progress)

    while progress.step < options.steps:
        first = progress.step
        to_evaluation = options.eval_every - first % options.eval_every
        end = min(options.steps, first + to_evaluation, first + WINDOW - first % WINDOW)
        losses, waited = [], 0.0
        start = time.perf_counter()
        while progress.step < end and reason == "done":
            before = time.perf_counter()
            inputs, hr = next(batches)
            waited += time.perf_counter() - before
            losses.append(learner.step(inputs, hr))
            progress.step += 1
            watcher.stepped(progress.step)
            if asked_to_stop():
                reason = "stopped"
            elif options.max_minutes and (time.perf_counter() - began > 60 * options.max_minutes):
                reason = "max_minutes"
            reason = learner.strategy.agreed(reason, now=progress.step == end)
        values = np.array([float(loss) for loss in losses])
        elapsed = time.perf_counter() - start
        train_seconds += elapsed
        wait_seconds += waited
        if not np.isfinite(values).all():
            step = first + 1 + int(np.flatnonzero(~np.isfinite(values))[0])
            raise Diverged(f"the loss of step {step} is {values[step - first - 1]}")
        watcher.window(
            Window(
                progress.step,
                float(values.mean()),
                learner.learning_rate(),
                len(values) * options.batch_size / elapsed,
                waited / elapsed,
            )
        )
        if progress.step == options.steps:
            reason = "done"  # whoever asked to stop, or the clock, came too late
        if reason == "stopped":
            keep(evaluated=False)
            break
        at_end = progress.step == options.steps or reason == "max_minutes"
        if at_end or progress.step % options.eval_every == 0:
            keep(evaluated=True)
        if reason != "done":
            break
    return Outcome(reason, progress, train_seconds, wait_seconds)
