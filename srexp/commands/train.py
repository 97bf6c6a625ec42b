"""`srexp train`: one run, from the command line or as a job of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from srexp.config.settings import plain
from srexp.launching.other_launchers import job_of_hydra
from srexp.running.ends import RunFailed, RunInterrupted
from srexp.running.job import Job
from srexp.running.run import train_run
from srexp.terminal.exit import CommandFailed, CommandInterrupted
from srexp.terminal.front import run_hydra
from srexp.terminal.interruption import Interruption


def main() -> None:
    """The command."""
    run_hydra("train", train)


def train(config: DictConfig, job: Job | None = None) -> float | None:
    """One run, from a composed configuration.

    Returns:
        Mean PSNR gain over bicubic in dB on the last benchmark (or the validation images) under
        the first protocol; None for a dry run. Sweepers may maximise it.

    Raises:
        OptionError, RunError, CheckpointError: Bad input; nothing was made.
        CommandFailed: Training failed or was stopped; the run says so.
    """
    return train_values(plain(config), job or job_of_hydra())


def train_values(values: dict[str, Any], job: Job | None = None) -> float | None:
    """The same from plain data."""
    from srexp.terminal.console import make_console
    from srexp.terminal.display import TrainingDisplay

    try:
        done = train_run(
            values, _given(), display=TrainingDisplay(make_console()), stop=Interruption(), job=job
        )
    except RunFailed as error:
        raise CommandFailed(str(error), 1) from None
    except RunInterrupted as error:
        raise CommandInterrupted(str(error), error.exit_code) from None
    return done.gain if done is not None else None


def _given() -> Sequence[str] | None:
    """What was typed; None where it was no command line that composed the run."""
    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else None
