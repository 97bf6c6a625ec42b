"""The part of a process that is not the chief in `trainer.strategy=multi_worker`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from srexp.training import checkpoint, loop
from srexp.training.experiment import Experiment
from srexp.training.materials import Materials
from srexp.training.session import build_learner, build_network, calls_of, settled
from srexp.training.strategy import Strategy


class _Silent:
    """Watches and says nothing: the chief evaluates."""

    def stepped(self, step: int) -> None: ...
    def window(self, window: loop.Window) -> None: ...
    def evaluate(self, step: int) -> float:
        return math.nan

    def saving(self) -> None: ...
    def saved(self, progress: loop.Progress) -> None: ...


def work(
    experiment: Experiment,
    materials: Materials,
    strategy: Strategy,
    asked_to_stop: Callable[[], str | None],
    *,
    checkpoints: Path | None,
) -> loop.Outcome:
    """Train along with the chief, and write nothing.

    Args:
        experiment: The chief's.
        materials: The chief's.
        strategy: With this process' place in it.
        asked_to_stop: Looked at as in the chief; stops all.
        checkpoints: Of the run that is continued, or None. Every process reads them itself, so
            the run's folder must lie on a file system that all share.

    Raises:
        Diverged: The loss or a weight is not finite.
        CheckpointError: The checkpoint to resume from cannot be used.
    """
    experiment = settled(experiment)
    learner = build_learner(experiment, build_network(experiment), strategy)
    progress = loop.Progress()
    if checkpoints is not None and checkpoint.newest(checkpoints):
        progress, _ = loop.load_newest(checkpoints, learner)
    trainer = experiment.trainer
    if progress.step >= trainer.steps:
        return loop.Outcome("done", progress, 0.0, 0.0)
    return loop.train(
        learner,
        calls_of(experiment, materials, strategy, progress.step),
        trainer,
        progress,
        folder=checkpoints or Path(),
        identity={},
        watcher=_Silent(),
        asked_to_stop=asked_to_stop,
    )
