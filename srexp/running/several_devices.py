"""A training in several processes or on several devices."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from srexp.options import OptionError
from srexp.quiet import quiet_import
from srexp.running.display import Stop
from srexp.running.ends import RunFailed, RunInterrupted
from srexp.running.job import Job
from srexp.tracking.record import RunFolder
from srexp.training import checkpoint

if TYPE_CHECKING:
    from srexp.training.experiment import Experiment
    from srexp.training.materials import Materials
    from srexp.training.strategy import Strategy


def join(
    say: Callable[[str], None], experiment: Experiment, job: Job | None, digest: str
) -> Strategy | None:
    """Find the devices of a step, with `multi_worker` all other processes; None for one device.

    Before the run folder is made, so that a cluster that cannot work leaves nothing behind.
    """
    trainer = experiment.trainer
    if trainer.strategy == "none" or trainer.dry_run:
        return None
    if trainer.strategy == "multi_worker" and job is not None:
        raise OptionError(
            "trainer.strategy=multi_worker: trains one run a process, so no sweep (-m); start "
            "each run by itself"
        )
    with quiet_import():
        import tensorflow
    from srexp.training import devices
    from srexp.training import strategy as strategies

    devices.configure(trainer, experiment.seed)
    try:
        strategy = strategies.make(trainer, say)
        strategy.check_same(digest, "configuration, or other images,")
    except tensorflow.errors.OpError as error:
        line = plainly(error, experiment) or f"the processes did not meet: {error.message}"
        raise RunFailed(line) from None
    return strategy


def work_along(
    experiment: Experiment,
    materials: Materials,
    strategy: Strategy,
    run: RunFolder | None,
    stop: Stop,
) -> None:
    """Train along with the chief, who writes and reports."""
    from srexp.training.loop import Diverged
    from srexp.training.worker import work

    try:
        stop.graceful = True
        outcome = work(
            experiment,
            materials,
            strategy,
            lambda: "stopped" if stop.asked else None,
            checkpoints=run.checkpoints if run else None,
        )
    except (Diverged, checkpoint.CheckpointError) as error:
        raise RunFailed(str(error)) from None
    except Exception as error:
        line = plainly(error, experiment)
        if line is None:
            raise
        raise RunFailed(line) from None
    finally:
        stop.graceful = False
    if stop.asked:
        raise RunInterrupted(f"stopped at step {outcome.progress.step}", stop.exit_code)


def plainly(error: Exception, experiment: Experiment, run: str = "RUN") -> str | None:
    """One line for what TensorFlow says at length, where there is one."""
    if "tensorflow" not in sys.modules:
        return None
    from srexp.training.memory import out_of_memory
    from srexp.training.strategy import lost_worker

    return out_of_memory(error, experiment) or lost_worker(error, experiment.trainer, run)
