"""Hydra's launcher for srexp: every job checked first, then each in a process of its own.

Every Hydra program on the machine imports this module when it starts, so what srexp needs is
imported when a sweep is launched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from srexp.launching.launch import Launch


class SrexpLauncher(Launcher):
    """Runs jobs in processes of their own, `n_jobs` at a time.

    Attributes:
        jobs: What does it.
    """

    jobs: Launch

    def __init__(
        self, n_jobs: int | None = None, gpus: list[Any] | None = None, on_error: str = "continue"
    ) -> None:
        self._options: dict[str, Any] = {"n_jobs": n_jobs, "gpus": gpus, "on_error": on_error}
        self._searching = False

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Called by Hydra."""
        from srexp.launching.launch import Launch

        self.jobs = Launch(hydra_context, task_function, config, **self._options)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """See `Launch.run`."""
        done = self.jobs.run(job_overrides, initial_job_idx)
        if not self._searching:
            self.jobs.summarise()
            self.jobs.fail_if_any_did()
        return done

    def begin_search(self, swept: list[str], trials: dict[int, list[str]]) -> None:
        """Many launches are to come: failures are the sweeper's, who also has them summarised.

        Args:
            swept: The keys that differ between jobs.
            trials: Number -> overrides of the trials that there are already.
        """
        self._searching = True
        self.jobs.swept = swept
        self.jobs.earlier = {number + 1: overrides for number, overrides in trials.items()}

    @property
    def n_jobs(self) -> int:
        """How many jobs run at the same time."""
        return self.jobs.n_jobs

    @property
    def on_evaluated(self) -> Callable[[int, int, float], bool] | None:
        """See `Launch.on_evaluated`."""
        return self.jobs.on_evaluated

    @on_evaluated.setter
    def on_evaluated(self, told: Callable[[int, int, float], bool] | None) -> None:
        self.jobs.on_evaluated = told
