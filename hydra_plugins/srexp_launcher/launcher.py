"""Hydra's launcher for srexp: every job checked first, then each in a process of its own.

Every Hydra program on the machine imports this module when it starts, so what srexp needs is
imported when a sweep is launched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from srexp.commands.launch import Launch


class SrexpLauncher(Launcher):
    """Runs jobs in processes of their own, `n_jobs` at a time.

    Attributes:
        jobs: What does it; a sweeper may set its `on_evaluated` and `swept`.
        summarise: Whether each launch ends with the summary; a sweeper that launches many times
            turns it off and calls `jobs.finish` itself.
    """

    jobs: Launch

    def __init__(
        self, n_jobs: int | None = None, gpus: list[Any] | None = None, on_error: str = "continue"
    ) -> None:
        self._options: dict[str, Any] = {"n_jobs": n_jobs, "gpus": gpus, "on_error": on_error}
        self.summarise = True

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Called by Hydra."""
        from srexp.commands.launch import Launch

        self.jobs = Launch(hydra_context, task_function, config, **self._options)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """See `Launch.run` and `Launch.finish`."""
        done = self.jobs.run(job_overrides, initial_job_idx)
        if self.summarise:
            self.jobs.finish()
        return done
