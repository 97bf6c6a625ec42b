"""Hydra's launcher, with every job checked before the first starts.

Every Hydra program on the machine imports this module when it starts, so what srexp needs is
imported when a sweep is launched.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.utils import JobReturn, setup_globals
from omegaconf import open_dict


class SrexpLauncher(BasicLauncher):
    """Runs jobs one after the other in this process, as Hydra's basic launcher does."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Check all jobs, then run them.

        Raises:
            OptionError: A job's configuration cannot work; none was started.
            CommandFailed: Jobs failed; all were tried.
        """
        from srexp.commands.exit import CommandFailed
        from srexp.commands.sweep import Sweep
        from srexp.options import OptionError

        setup_globals()
        assert self.config is not None and self.task_function is not None
        checked = [self._checked(overrides) for overrides in job_overrides]
        guard = self.task_function
        with Sweep.begin(self.config, job_overrides, checked[0]) as sweep:
            self.task_function = partial(sweep.run, guard.task)  # type: ignore[attr-defined]
            try:
                returns = super().launch(job_overrides, initial_job_idx)
            finally:
                self.task_function = guard
        if sweep.failures:
            name, failure = sweep.failures[0]
            count = f"{len(sweep.failures)} of {len(job_overrides)} jobs failed"
            # Bad input (a missing folder, say) is 2 here too; one real failure makes it 1.
            bad_input = all(isinstance(error, OptionError) for _, error in sweep.failures)
            raise CommandFailed(f"{count}; the first, {name}: {failure}", 2 if bad_input else 1)
        return returns

    def _checked(self, overrides: Sequence[str]) -> dict[str, Any]:
        from srexp.config.settings import experiment_of, plain
        from srexp.options import OptionError

        assert self.config is not None and self.hydra_context is not None
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            del config["hydra"]
        try:
            values = plain(config)
            if values.get("resume") is not None:
                raise OptionError(f"resume={values['resume']}: goes on with one run, without -m")
            experiment_of(values)
        except OptionError as error:
            raise OptionError(f"{error} (in the job {' '.join(overrides)})") from None
        return values
